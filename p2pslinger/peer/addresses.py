"""Where peers might be: addresses to dial, and how patient to be with each.

They come from last time's neighbours, the configuration, the local network, other
peers' cards and the directory. An address that fails is tried again later and later,
but for ever: who is cut off today may be back tomorrow.
"""

from __future__ import annotations

import math
import random
from collections.abc import Container, Iterable
from dataclasses import dataclass

from p2pslinger.ids import PeerId

#: Seconds before a failed address is tried again: 1, 2, 4, ... at most a minute if the
#: owner has named it, and ten if not: the peers that a grid had once may be many.
FIRST_RETRY, LAST_RETRY, LAST_RETRY_UNNAMED = 1.0, 60.0, 600.0

#: Seconds before a peer that has said goodbye is tried again.
AFTER_GOODBYE = 30.0

#: Addresses that are remembered.
MOST = 1024


@dataclass(eq=False, slots=True)
class Place:
    """One address.

    Attributes:
        host: As it was told to us: a name or an address.
        port: TCP and UDP.
        peer: Who is there, as far as we know.
        named: The owner has named it: it is never forgotten.
        met: Somebody was there since this peer started.
        due: When to try it next, on the monotonic clock; infinite while it is tried.
        wait: Seconds until the try after that.
        why: Why the last try failed, or "".
    """

    host: str
    port: int
    peer: PeerId | None = None
    named: bool = False
    met: bool = False
    due: float = 0.0
    wait: float = FIRST_RETRY
    why: str = ""

    @property
    def urgent(self) -> bool:
        """Whether the owner wants us there, and we have never been."""
        return self.named and not self.met


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
            known.named = known.named or named
            return False
        if len(self._places) >= MOST and not named and not self._make_room():
            return False
        self._places[host, port] = Place(host, port, peer, named)
        return True

    def of(self, peer: PeerId) -> list[Place]:
        """Return where a peer might be."""
        return [place for place in self._places.values() if place.peer == peer]

    def untried(self, avoid: Container[PeerId | None]) -> int:
        """Count the addresses that have not failed, those of `avoid` left out."""
        return sum(
            1
            for place in self._places.values()
            if not place.why and place.peer not in avoid
        )

    def due(self, now: float, avoid: Container[PeerId | None]) -> list[Place]:
        """Return what may be tried now, in random order, but what is urgent first.

        Args:
            now: Monotonic time.
            avoid: Peers that need no dialling.
        """
        places = [
            place
            for place in self._places.values()
            if place.due <= now and place.peer not in avoid
        ]
        self._rng.shuffle(places)
        return sorted(places, key=lambda place: not place.urgent)

    def next_due(
        self, avoid: Container[PeerId | None], *, urgent: bool = False
    ) -> float:
        """Return when the next address is due, of all or of the `urgent` ones."""
        return min(
            (
                place.due
                for place in self._places.values()
                if place.peer not in avoid and (place.urgent or not urgent)
            ),
            default=math.inf,
        )

    def trying(self, place: Place) -> None:
        """Note that somebody is on the way there."""
        place.due = math.inf

    def reached(self, place: Place, peer: PeerId, now: float) -> None:
        """Note who was there."""
        place.peer, place.met, place.due = peer, True, now
        place.wait, place.why = FIRST_RETRY, ""

    def failed(self, place: Place, why: str, now: float) -> None:
        """Note that nobody was there; try again later."""
        place.why = why
        place.due = now + place.wait * self._rng.uniform(0.75, 1.25)
        most = LAST_RETRY if place.named else LAST_RETRY_UNNAMED
        place.wait = min(most, place.wait * 2)

    def forget(self, place: Place) -> None:
        """Forget an address: it turned out to be our own."""
        self._places.pop((place.host, place.port), None)

    def lost(self, peer: PeerId, now: float) -> None:
        """A connection has broken: try the peer's addresses again very soon."""
        for place in self.of(peer):
            place.wait = FIRST_RETRY
            place.due = now + self._rng.uniform(0.1, FIRST_RETRY)

    def hurry(self, now: float) -> None:
        """Whatever was not reached may be now: try everything very soon."""
        for place in self._places.values():
            if place.due != math.inf:
                place.wait = FIRST_RETRY
                soon = now + self._rng.uniform(0.1, FIRST_RETRY)
                place.due = min(place.due, soon)

    def drop(self, peer: PeerId) -> None:
        """Forget where a peer was: it has said that nobody can dial it."""
        for place in self.of(peer):
            if not place.named:
                self.forget(place)

    def parted(self, peer: PeerId, now: float) -> None:
        """A peer has said goodbye, or we have: try others before it."""
        for place in self.of(peer):
            pause = FIRST_RETRY if place.urgent else AFTER_GOODBYE
            place.due = now + pause * self._rng.uniform(0.75, 1.25)

    def troubles(self) -> Iterable[Place]:
        """Return the addresses that the owner named and that do not answer."""
        return [place for place in self._places.values() if place.named and place.why]

    def _make_room(self) -> bool:
        """Forget the address that has failed for longest, if any has failed."""
        failing = [p for p in self._places.values() if p.why and not p.named]
        if failing:
            self.forget(max(failing, key=lambda place: place.wait))
        return bool(failing)
