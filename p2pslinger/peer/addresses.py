"""Where peers might be: addresses to dial, and how patient to be with each.

They come from last time's neighbours, the configuration, the local network and other
peers' cards. An address that fails is tried again later and later, but for ever.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from p2pslinger.ids import PeerId

#: Seconds before a failed address is tried again: 1, 2, 4, ... at most 60.
FIRST_RETRY, LAST_RETRY = 1.0, 60.0

#: Addresses from strangers' cards that are remembered.
MOST = 1024


@dataclass(slots=True)
class Place:
    """One address.

    Attributes:
        host: As it was told to us: a name or an address.
        port: TCP and UDP.
        peer: Who is there, as far as we know.
        named: The owner has named it: it is never forgotten.
        due: When to try it next, on the monotonic clock.
        wait: Seconds until the try after that.
        why: Why the last try failed, or "".
    """

    host: str
    port: int
    peer: PeerId | None = None
    named: bool = False
    due: float = 0.0
    wait: float = FIRST_RETRY
    why: str = ""


class Addresses:
    """The addresses that this peer knows.

    Args:
        rng: Spreads the tries.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._places: dict[tuple[str, int], Place] = {}

    def add(
        self, host: str, port: int, peer: PeerId | None = None, *, named: bool = False
    ) -> bool:
        """Learn an address; return whether it is news."""
        known = self._places.get((host, port))
        if known is not None:
            known.peer = peer or known.peer
            return False
        if len(self._places) >= MOST and not named:
            return False
        self._places[host, port] = Place(host, port, peer, named)
        return True

    def of(self, peer: PeerId) -> list[Place]:
        """Return where a peer might be."""
        return [place for place in self._places.values() if place.peer == peer]

    def due(self, now: float, connected: set[PeerId]) -> list[Place]:
        """Return what to try now, in random order, the owner's own words first."""
        places = [
            place
            for place in self._places.values()
            if place.due <= now and place.peer not in connected
        ]
        self._rng.shuffle(places)
        return sorted(places, key=lambda place: not place.named)

    def next_due(self, connected: set[PeerId]) -> float | None:
        """Return when the next address is due."""
        times = [p.due for p in self._places.values() if p.peer not in connected]
        return min(times, default=None)

    def reached(self, place: Place, peer: PeerId) -> None:
        """Note who was there."""
        place.peer, place.wait, place.why = peer, FIRST_RETRY, ""

    def failed(self, place: Place, why: str, now: float) -> None:
        """Note that nobody was there; try again later, or forget it."""
        place.why = why
        place.due = now + place.wait * self._rng.uniform(0.75, 1.25)
        place.wait = min(LAST_RETRY, place.wait * 2)
        if not place.named and place.wait >= LAST_RETRY:
            self._places.pop((place.host, place.port), None)

    def forget(self, place: Place) -> None:
        """Forget an address: it turned out to be our own."""
        self._places.pop((place.host, place.port), None)

    def soon(self, peer: PeerId, now: float) -> None:
        """A peer has left: try its addresses again, a little later."""
        for place in self.of(peer):
            place.wait = FIRST_RETRY
            place.due = now + self._rng.uniform(0.1, FIRST_RETRY)

    def troubles(self) -> list[Place]:
        """Return the addresses that the owner named and that do not answer."""
        return [place for place in self._places.values() if place.named and place.why]
