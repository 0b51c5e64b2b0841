"""Links: the open connections to other peers, one for each.

Who dialled does not matter once a connection is open. Two peers may dial each other at
the same moment; then both keep the connection that the peer with the smaller id has
made, and close the other.

A connection can also be a *probe*: made to see who answers, and closed at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from p2pslinger import limits
from p2pslinger.errors import (
    PeerError,
    SlingerError,
    UnavailableError,
)
from p2pslinger.ids import GridId, PeerId, short
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Handler
from p2pslinger.net.streams import Listening, Streams
from p2pslinger.peer.events import Dropped, Events, PeerJoined, PeerLeft
from p2pslinger.version import __version__
from p2pslinger.wire.acquainting import NewCard
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keyring import Holds
from p2pslinger.wire.messages import PEER_CODEC, Hello
from p2pslinger.wire.records import PeerCard, open_signed

#: Seconds in which two connections between the same peers count as made at the same
#: moment; later, the newer one is taken to replace one that has died unnoticed.
SAME_MOMENT = 3.0

#: Seconds that dialling one address may take, handshake and hello included.
DIAL_TIMEOUT = 5.0

#: What a hello says that its sender is.
PEER, PROBE = "peer", "probe"


class OwnAddressError(UnavailableError):
    """Whoever answers at that address is this peer itself."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to a peer, and what that peer has said about itself.

    Attributes:
        connection: It.
        peer: Who is at the other end.
        card: What it says about itself.
        signed: The card as it was signed, to pass on.
        dialled: We made the connection.
        clock: Seconds that its clock is ahead of ours, give or take the delay.
        holds: Which authkey it uses.
    """

    connection: Connection
    peer: PeerId
    card: PeerCard
    signed: Signed
    dialled: bool
    clock: float
    holds: Holds | None = None


class Links:
    """Makes, accepts and keeps connections to peers; the service behind each.

    Args:
        loop: Gives the time.
        streams: Dials and listens.
        identity: Who we are.
        grid: Which grid.
        wall: Gives the wall time, seconds.
        card: Gives our signed peer card.
        handlers: Who takes which message.
        joined: Called with every new link.
        left: Called with every link that is gone, and why.
        met_self: Called with the card, and the address, of whoever has our identity.
        holding: Tells which authkey we use.
        refuses: Tells with whom there is to be no connection.
        events: Where to report.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        streams: Streams,
        identity: Identity,
        grid: GridId,
        wall: Callable[[], float],
        card: Callable[[], Signed],
        handlers: Mapping[type[msgspec.Struct], Handler],
        joined: Callable[[Link], None],
        left: Callable[[Link, str], None],
        met_self: Callable[[PeerCard, str], None],
        holding: Callable[[], Holds],
        refuses: Callable[[PeerId], bool],
        events: Events,
    ) -> None:
        self._loop = loop
        self._streams = streams
        self._identity = identity
        self._grid = grid
        self._wall = wall
        self._card = card
        self._handlers = handlers
        self._joined = joined
        self._left = left
        self._met_self = met_self
        self._holding = holding
        self._refuses = refuses
        self._events = events
        self._heard: dict[Connection, tuple[PeerCard, Hello]] = {}
        self._dialled: set[Connection] = set()
        self._listening: Listening | None = None
        self._closing = False
        self.open: dict[PeerId, Link] = {}
        self._dropped: Counter[str] = Counter()

    @property
    def dropped(self) -> Counter[str]:
        """Connections that were refused or broken off, by cause."""
        refused = self._listening.refused if self._listening is not None else 0
        return self._dropped + Counter({"handshake": refused})

    def connections(self) -> list[Connection]:
        """Return the open connections."""
        return [link.connection for link in self.open.values()]

    async def listen(self, host: str, port: int) -> int:
        """Let peers dial us; return the port.

        Raises:
            UnavailableError: the port is taken, or the address is not ours.
        """
        self._listening = await self._streams.listen(
            host, port, lambda: self._make(PEER)
        )
        return self._listening.port

    def deafen(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def probe(self, host: str, port: int) -> PeerId:
        """Return who answers at an address, without connecting for good.

        Raises:
            SlingerError: nobody answers there, or none of this grid.
        """
        connection = await self._streams.dial(
            host, port, lambda: self._make(PROBE), DIAL_TIMEOUT
        )
        connection.close()
        assert connection.peer is not None
        return connection.peer

    async def dial(self, host: str, port: int) -> PeerId:
        """Connect to a peer; return who it is.

        Raises:
            UnavailableError: nobody answers there, or it is not of this grid.
        """
        made: list[Connection] = []

        def make() -> Connection:
            made.append(self._make(PEER))
            self._dialled.update(made)
            return made[-1]

        try:
            connection = await self._streams.dial(host, port, make, DIAL_TIMEOUT)
        finally:
            self._dialled.difference_update(made)
        assert connection.peer is not None
        return connection.peer

    def update(self, peer: PeerId, signed: Signed) -> None:
        """Take a neighbour's new card.

        Raises:
            PeerError: it is not its own.
        """
        link = self.open.get(peer)
        if link is not None:
            if signed.key != link.connection.key:
                raise PeerError("sent another peer's card as its new one")
            card = open_signed(PeerCard, signed, self._grid)
            self.open[peer] = replace(link, card=card, signed=signed)

    def holds(self, peer: PeerId, holds: Holds) -> None:
        """Note that a neighbour uses another authkey."""
        link = self.open.get(peer)
        if link is not None:
            self.open[peer] = replace(link, holds=holds)

    def refuse(self, peer: PeerId, error: PeerError) -> None:
        """Break with a peer that does not keep to the protocol."""
        self._dropped["protocol"] += 1
        link = self.open.get(peer)
        if link is not None:
            link.connection.close(error)

    def sift(self) -> None:
        """Part from those with whom there is to be no connection any more."""
        for link in list(self.open.values()):
            if self._refuses(link.peer):
                link.connection.close(self._banned(link.peer))

    def _banned(self, peer: PeerId) -> UnavailableError:
        """Say it so that it can be read at both ends."""
        self._dropped["banned"] += 1
        me = short(self._identity.id)
        return UnavailableError(f"the owner of peer {me} has banned peer {short(peer)}")

    def close(self) -> None:
        """Say goodbye to everyone."""
        self._closing = True
        self.deafen()
        for link in list(self.open.values()):
            link.connection.close(UnavailableError("the peer is shutting down"))

    # --- the connections' service -------------------------------------------------

    def handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        """Return who takes which message."""
        return self._handlers

    def opened(self, connection: Connection) -> None:
        """Keep a new connection, unless there is a better one."""
        if connection not in self._heard:  # a probe, ours or the other's
            connection.close()
            return
        card, hello = self._heard.pop(connection)
        peer = connection.peer
        assert peer is not None
        dialled = connection in self._dialled
        signed, clock = hello.card, hello.wall - self._wall()
        assert signed is not None
        link = Link(connection, peer, card, signed, dialled, clock, hello.holds)
        old = self.open.get(peer)
        if old is not None:
            if not self._better(link, old):
                connection.close(UnavailableError("we are connected already"))
                return
            if old.card.started != card.started:  # it has restarted, or has a twin
                old.connection.push(NewCard(signed))
            self._drop(old, "a newer connection replaces it")
            old.connection.close(UnavailableError("a newer connection replaces it"))
        self.open[peer] = link
        self._events.emit(PeerJoined(peer, card.name))
        self._joined(link)

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        """Forget a connection."""
        self._heard.pop(connection, None)
        if isinstance(why, PeerError):
            self._dropped["protocol"] += 1
            self._events.emit(Dropped("protocol", str(why)))
        if connection.peer is not None:
            link = self.open.get(connection.peer)
            if link is not None and link.connection is connection:
                self._drop(link, str(why or "it has said goodbye"))

    def _drop(self, link: Link, why: str) -> None:
        del self.open[link.peer]
        self._events.emit(PeerLeft(link.peer, why))
        self._left(link, why)

    def _better(self, new: Link, old: Link) -> bool:
        if new.connection.opened_at - old.connection.opened_at > SAME_MOMENT:
            return True
        if new.dialled == old.dialled:
            return True
        return new.dialled == (self._identity.id < new.peer)

    # --- making connections -------------------------------------------------------

    def _make(self, role: str) -> Connection:
        return Connection(
            codec=PEER_CODEC,
            service=self,
            hello=lambda: self._hello(role),
            check=self._check if role == PEER else _accept,
            peer_key=self._streams.peer_key,
        )

    def _hello(self, role: str) -> Hello:
        wall = self._wall()
        if role != PEER:
            return Hello(limits.PROTOCOL, __version__, role, wall)
        card, holds = self._card(), self._holding()
        return Hello(limits.PROTOCOL, __version__, role, wall, card, holds)

    def _check(self, connection: Connection, hello: Hello) -> None:
        """Refuse whoever is not another peer with a card of its own."""
        if self._closing:
            raise UnavailableError("the peer is shutting down")
        if connection.peer is not None and self._refuses(connection.peer):
            raise self._banned(connection.peer)
        if hello.role == PROBE:
            return
        if hello.role != PEER or hello.card is None:
            raise PeerError("did not say which peer it is")
        if hello.card.key != connection.key:
            raise PeerError("showed another peer's card")
        card = open_signed(PeerCard, hello.card, self._grid)
        if connection.peer == self._identity.id:
            self._met_self(card, connection.host)
            raise OwnAddressError("that is this peer itself")
        full = len(self.open) >= limits.LINKS_ACCEPTED
        if full and connection.peer not in self.open:
            raise UnavailableError(
                f"peer {short(self._identity.id)} has {len(self.open)} connections, "
                "as many as it takes"
            )
        self._heard[connection] = (card, hello)


def _accept(connection: Connection, hello: Hello) -> None:
    """Take whoever answers a probe: the certificate has said who it is."""
