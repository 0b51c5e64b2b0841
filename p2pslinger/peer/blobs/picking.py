"""Which chunk of a blob to ask of whom next.

- Chunks that few offer come first, and each peer begins at another place: so all have
  something to give each other.
- What a giver on the local network offers is left to it by distant ones.
- What others offer is left to them by a keeper, who has everybody to serve; unless they
  have a lot to do already.
- A chunk that is slow to come may be asked of a second giver.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.wire.blobs import members

#: Chunks offered by others beyond which a keeper is used beside them.
BACKLOG = 16

#: Chunks among which the rarest is looked for: looking at all of them for every chunk
#: of a large blob would take longer than to receive it.
LOOKED_AT = 64

#: Seconds after which an idle lane may fetch a chunk that another giver was asked for.
SLOW = 2.0


@dataclass(eq=False)
class Giver:
    """Somebody who has chunks, as the transfer sees it.

    Attributes:
        connection: To it.
        peer: Who it is.
        keeper: It keeps the job.
        near: It is on the local network.
        offered: The chunks that it gives.
    """

    connection: Connection
    peer: PeerId
    keeper: bool
    near: bool
    offered: int = 0


@dataclass(eq=False)
class Flight:
    """A chunk that was asked for: of whom, and when last."""

    givers: list[Giver] = field(default_factory=list)
    since: float = 0.0


class Picking:
    """Everyone who gives chunks of one blob, and what was asked of them.

    Args:
        first: The chunk to begin at.

    Attributes:
        givers: They.
    """

    def __init__(self, first: int) -> None:
        self.givers: dict[PeerId, Giver] = {}
        self._first = first
        self._flying: dict[int, Flight] = {}

    def begin(self, index: int, giver: Giver, now: float) -> None:
        """A chunk has been asked of a giver."""
        flight = self._flying.setdefault(index, Flight())
        flight.givers.append(giver)
        flight.since = now

    def end(self, index: int, giver: Giver) -> None:
        """It has come, or does not."""
        flight = self._flying[index]
        flight.givers.remove(giver)
        if not flight.givers:
            del self._flying[index]

    def pick(self, giver: Giver, lacking: int, now: float) -> int | None:
        """Choose what to fetch from a giver next, if there is something."""
        flying = self.in_flight
        wanted = giver.offered & lacking & ~flying
        wanted &= ~self._left_to_others(giver, lacking & ~flying, now)
        if wanted:
            return self._rarest(wanted)
        for index in members(giver.offered & lacking & flying):
            flight = self._flying[index]
            slow = now - flight.since >= SLOW
            if slow and len(flight.givers) == 1 and giver not in flight.givers:
                return index
        return None

    def _left_to_others(self, giver: Giver, wanted: int, now: float) -> int:
        """Return the chunks that better givers bring, if they bring any."""
        slow = {
            one
            for flight in self._flying.values()
            if now - flight.since >= SLOW
            for one in flight.givers
        }
        nearer = others = 0
        for one in self.givers.values():
            if one in slow:
                continue
            if one.near and not giver.near:
                nearer |= one.offered
            elif giver.keeper and not one.keeper and one.near == giver.near:
                others |= one.offered
        if (others & wanted).bit_count() > BACKLOG:
            others = 0
        return nearer | others

    def _rarest(self, wanted: int) -> int:
        """Return the chunk that the fewest offer, beginning at our own place."""
        later = wanted >> self._first << self._first
        around = (later, wanted ^ later)
        best, fewest = -1, 0
        looked_at = 0
        for part in around:
            for index in members(part):
                offers = sum(g.offered >> index & 1 for g in self.givers.values())
                if best < 0 or offers < fewest:
                    best, fewest = index, offers
                looked_at += 1
                if fewest <= 1 or looked_at >= LOOKED_AT:
                    return best
        return best

    @property
    def in_flight(self) -> int:
        """The chunks that are on their way."""
        flying = 0
        for index in self._flying:
            flying |= 1 << index
        return flying


def is_near(host: str) -> bool:
    """Return whether an address belongs to this machine or the local network."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local
