"""Peers that lend and borrow blobs, over real sockets, and nothing else of a peer."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

import msgspec

from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import JobId, PeerId, peer_id
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Handler, Handlers
from p2pslinger.peer.blobs.lending import Lending
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.owner import Owner
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.messages import PEER_CODEC, Hello
from p2pslinger.wire.records import Address

JOB = JobId(b"j" * 20)


class Lender:
    """A library and the connections to others'.

    Attributes:
        held: Blobs of its own job, in memory.
        blamed: Who has sent wrong bytes.
        asked: What others have asked of it, by kind.
    """

    def __init__(
        self, name: str, owner: Owner, folder: Path | None, quota: int
    ) -> None:
        self.name = name
        self.key = hashlib.sha256(name.encode()).digest()
        self.id: PeerId = peer_id(self.key)
        self.held: dict[bytes, bytes] = {}
        self.blamed: list[PeerId] = []
        self.asked: Counter[str] = Counter()
        self.links: dict[PeerId, Connection] = {}
        self.known: dict[PeerId, Lender] = {}
        memory = 0 if folder else 1 << 30
        self.blobs = Blobs(folder, quota=quota, memory=memory)
        self.library = Library(
            me=self.id,
            blobs=self.blobs,
            owner=owner,
            reach=self.reach,
            blame=self.blame,
        )
        self.lending = Lending(self.library, owner, self.own)
        self.table = Handlers()
        self.lending.add_to(self.table)

    def own(self, job: JobId, digest: bytes) -> bytes:
        if job == JOB and digest in self.held:
            return self.held[digest]
        raise UnavailableError("the job has no such blob")

    def blame(self, peer: PeerId, error: PeerError) -> None:
        self.blamed.append(peer)
        self.links[peer].close(error)

    async def reach(self, peer: PeerId, _: Sequence[Address]) -> Connection:
        if peer not in self.links:
            if peer not in self.known:
                raise UnavailableError("nobody knows where it is")
            await connect(self, self.known[peer])
        return self.links[peer]

    async def get(self, digest: bytes, size: int, *keepers: Lender) -> bytes:
        links = [self.links[keeper.id] for keeper in keepers]
        return await self.library.get(JOB, digest, size, *links)

    @property
    def sent(self) -> int:
        """Bytes that have left it."""
        return sum(link.outbox.bytes for link in self.links.values())

    # --- the connections' service -------------------------------------------------

    def opened(self, connection: Connection) -> None:
        assert connection.peer is not None
        self.links[connection.peer] = connection

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        """The link stays known, closed."""

    def handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        def counted(handle: Handler) -> Handler:
            def hear(connection, message, exchange):  # type: ignore[no-untyped-def]
                self.asked[type(message).__name__] += 1
                handle(connection, message, exchange)

            return hear

        return {kind: counted(handle) for kind, handle in self.table.items()}

    def make(self, other: Lender) -> Connection:
        return Connection(
            codec=PEER_CODEC,
            service=self,
            hello=lambda: Hello(1, "0.1.0", "peer", 1000.0),
            check=lambda _, __: None,
            peer_key=lambda _: other.key,
        )


async def connect(one: Lender, other: Lender) -> None:
    """Connect two of them."""
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    left, right = one.make(other), other.make(one)
    await loop.create_connection(lambda: left, sock=a)
    await loop.create_connection(lambda: right, sock=b)
    await left.ready
    await right.ready


async def star(middle: Lender, others: Sequence[Lender]) -> None:
    """Connect all with one; the others know of each other if they are told."""
    for other in others:
        await connect(middle, other)
        other.known = {one.id: one for one in others if one is not other}


class Town:
    """Makes lenders, and closes their links when the story is over."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._lenders: list[Lender] = []

    def __call__(
        self, name: str, folder: Path | None = None, *, quota: int = 1 << 30
    ) -> Lender:
        self._lenders.append(Lender(name, self._owner, folder, quota))
        return self._lenders[-1]

    async def close(self) -> None:
        links = [link for one in self._lenders for link in one.links.values()]
        for link in links:
            link.close()
        if links:
            await asyncio.wait([link.gone for link in links])


def story(tell: Callable[[Town], Coroutine[None, None, None]]) -> None:
    """Run a story; it has a minute."""

    async def main() -> None:
        async with asyncio.timeout(60), Owner() as owner:
            town = Town(owner)
            try:
                await tell(town)
            finally:
                await town.close()

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    """Let the event loop run until something is true; the story has a time limit."""
    while not true():  # noqa: ASYNC110  # nothing to wait for: turns pass
        await asyncio.sleep(0)
