"""Who has which chunks of a blob that is here, and which each may fetch from us.

A keeper has everybody to serve and often the slowest line, so it spares that: a chunk
goes out once before any goes out twice, and a third time only to a peer to whom nobody
else gives it. In between, those who have chunks give them to each other: a blob for
eight peers leaves its keeper about once. Whoever is no keeper gives what it has to
everyone.

What was promised to a peer that has gone counts no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.wire.blobs import encode_set, members
from p2pslinger.wire.transfer import HOLDERS, Offer

#: Chunks that a keeper promises one peer at a time: enough for it to be busy until it
#: asks again, few enough that a fast one gets more of them than a slow one.
PROMISED = 8


@dataclass(eq=False)
class Member:
    """A peer that fetches a blob, or has it.

    Attributes:
        connection: To it.
        promised: Chunks that we have let it fetch here.
        complete: It has all of them.
        parked: Its open request for an offer.
        known: Chunks that this request is not about.
        alone: Nobody else gives it any.
    """

    connection: Connection
    promised: int = 0
    complete: bool = False
    parked: Exchange | None = None
    known: int = 0
    alone: bool = False


class Swarm:
    """Everybody who has to do with one blob that is here, at least in part.

    Args:
        every: The set of the blob's chunks.
        sparing: We keep the blob for others, and spare our line.
    """

    def __init__(self, every: int, *, sparing: bool) -> None:
        self.every = every
        self.sparing = sparing
        self._members: dict[PeerId, Member] = {}
        self._next = 0

    def ask(
        self, connection: Connection, exchange: Exchange, *, known: int, alone: bool
    ) -> None:
        """Park a request for an offer; `look` answers it."""
        member = self._member(connection)
        if member.parked is not None:
            member.parked.reply(Offer(b""))
        member.parked, member.known, member.alone = exchange, known, alone

        def left() -> None:
            if member.parked is exchange:
                member.parked = None

        exchange.on_cancel = left

    def look(self, here: int) -> None:
        """Answer those for whom there is something; `here` are the chunks we have."""
        for _, member in self._live():
            exchange = member.parked
            if exchange is None:
                continue
            offer = self._offer(member, here)
            if offer:
                member.parked = None
                exchange.on_cancel = None
                member.promised |= offer
                exchange.reply(Offer(encode_set(offer)))

    def may_fetch(self, connection: Connection, index: int) -> bool:
        """Tell whether a peer may fetch a chunk here now."""
        if not self.sparing:
            return True
        assert connection.peer is not None
        member = self._members.get(connection.peer)
        return member is not None and bool(member.promised >> index & 1)

    def note(self, connection: Connection, *, held: bool) -> None:
        """A peer has the whole blob, or nothing of it any more."""
        if held:
            self._member(connection).complete = True
        elif connection.peer is not None:
            self._members.pop(connection.peer, None)

    def others(self, asker: Connection) -> list[Connection]:
        """Return some who have chunks, those who have all first; each time others."""
        here = [
            (peer, member)
            for peer, member in self._live()
            if member.connection is not asker
        ]
        here.sort(key=lambda one: not one[1].complete)
        for peer, member in here[:HOLDERS]:  # to the end: the next asker gets others
            del self._members[peer]
            self._members[peer] = member
        return [member.connection for _, member in here[:HOLDERS]]

    # --- inside -------------------------------------------------------------------

    def _member(self, connection: Connection) -> Member:
        assert connection.peer is not None
        member = self._members.get(connection.peer)
        if member is None:
            member = self._members[connection.peer] = Member(connection)
        elif member.connection is not connection:
            member.connection, member.parked = connection, None
        return member

    def _live(self) -> Iterator[tuple[PeerId, Member]]:
        """Yield those who are still there; forget the others."""
        for peer, member in list(self._members.items()):
            if member.connection.is_open:
                yield peer, member
            else:  # somebody else may be at it as well
                self._members.pop(peer, None)

    def _offer(self, member: Member, here: int) -> int:
        rest = here & ~member.known
        if not self.sparing or not rest:
            return rest
        once = twice = 0
        for _, other in self._live():
            if other is not member:
                theirs = self.every if other.complete else other.promised
                twice |= once & theirs
                once |= theirs
        for part in (rest & ~once, rest & ~twice, rest if member.alone else 0):
            if part:
                return self._some(part)
        return 0

    def _some(self, chunks: int) -> int:
        """Return a few of some chunks, and others the next time."""
        later = chunks >> self._next << self._next
        some = 0
        for part in (later, chunks ^ later):
            for index in members(part):
                some |= 1 << index
                if some.bit_count() == PROMISED:
                    self._next = index + 1
                    return some
        self._next = 0
        return some
