"""How a large blob gets to other peers: how fast to one, and at what cost to eight.

Every peer is a process of its own, with connections over TLS on the loopback device and
its blobs on disk; there is nothing else in it. What the submitter sends for eight peers
counts, not how long they take: they share the cores of one machine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import msgspec

from benchmarks.figures import show
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Handler, Handlers
from p2pslinger.net.streams import TlsStreams
from p2pslinger.peer.blobs.lending import Lending
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.owner import Owner
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire import authkey
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.messages import PEER_CODEC, Hello
from p2pslinger.wire.records import Address, PeerCard, seal

SIZE = 256 << 20
PEERS = 8
JOB = JobId(b"j" * 20)
HOST = "127.0.0.1"

#: Times the blob's size that may leave the submitter for eight peers.
MOST_SENT = 3


class Node:
    """A peer that has nothing but connections and blobs."""

    def __init__(self, key: Authkey, folder: Path, owner: Owner) -> None:
        self._identity = Identity(os.urandom(32))
        self._grid = key.grid
        self._streams = TlsStreams(self._identity, key)
        self._links: dict[PeerId, Connection] = {}
        self._table = Handlers()
        self._port = 0
        self.library = Library(
            me=self._identity.id,
            blobs=Blobs(folder),
            owner=owner,
            reach=self.reach,
            blame=self._blame,
        )
        Lending(self.library, owner, self._own).add_to(self._table)

    async def listen(self) -> int:
        """Let others connect; return the port."""
        self._port = (await self._streams.listen(HOST, 0, self._make)).port
        return self._port

    async def connect(self, port: int) -> Connection:
        """Connect to another node."""
        return await self._streams.dial(HOST, port, self._make, 10.0)

    async def reach(self, peer: PeerId, addresses: Sequence[Address]) -> Connection:
        """Connect to a node that somebody has named."""
        if peer not in self._links:
            await self.connect(addresses[0].port)
        return self._links[peer]

    @property
    def sent(self) -> int:
        """Bytes that have left, all connections together."""
        return sum(link.outbox.bytes for link in self._links.values())

    # --- the connections' service -------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Keep it."""
        assert connection.peer is not None
        self._links[connection.peer] = connection

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        """Nothing is done about it: it ends with the benchmark."""

    def handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        """Return who takes which message."""
        return self._table

    def _make(self) -> Connection:
        return Connection(
            codec=PEER_CODEC,
            service=self,
            hello=self._hello,
            check=lambda _, __: None,
            peer_key=self._streams.peer_key,
        )

    def _hello(self) -> Hello:
        addresses = (Address(HOST, self._port),)
        card = PeerCard("", addresses, "", (), 0, "none", 1, time.time() + 3600)
        signed = seal(card, self._identity, self._grid)
        return Hello(1, "benchmark", "peer", time.time(), signed)

    def _blame(self, peer: PeerId, error: PeerError) -> None:
        raise AssertionError(f"{error}: nobody here lies")

    def _own(self, job: JobId, digest: bytes) -> bytes:
        raise UnavailableError("nothing is held in memory alone")


async def give(pipe: Pipe, key: Authkey, folder: Path) -> None:
    """Have a blob; say how much was sent when asked."""
    async with Owner() as owner:
        node = Node(key, folder, owner)
        data = os.urandom(SIZE)
        await node.library.put(JOB, data)
        pipe.send((await node.listen(), blob_digest(data)))
        while await asyncio.to_thread(pipe.recv):
            pipe.send(node.sent)


async def take(pipe: Pipe, key: Authkey, folder: Path) -> None:
    """Get the blob when told to; say how long it took."""
    async with Owner() as owner:
        node = Node(key, folder, owner)
        await node.listen()
        port, digest = pipe.recv()
        keeper = await node.connect(port)
        pipe.send(None)
        pipe.recv()
        began = time.monotonic()
        data = await node.library.get(JOB, digest, SIZE, keeper)
        pipe.send(time.monotonic() - began)
        assert blob_digest(data) == digest
        await asyncio.to_thread(pipe.recv)  # others may still fetch from here


def play(role: str, pipe: Pipe, key: Authkey, folder: Path) -> None:
    """Run one node."""
    folder.mkdir(mode=0o700)
    asyncio.run((give if role == "give" else take)(pipe, key, folder))


def distribute(peers: int) -> tuple[list[float], float]:
    """Let some peers get a blob; return their seconds, and how often it was sent."""
    context = multiprocessing.get_context("spawn")
    key = authkey.from_random(os.urandom(40))
    pipes: list[Pipe] = []
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(peers + 1):
            mine, theirs = context.Pipe()
            role, place = ("take" if number else "give"), Path(folder) / str(number)
            process = context.Process(target=play, args=(role, theirs, key, place))
            process.start()
            pipes.append(mine)
            processes.append(process)
        giver, *takers = pipes
        where = giver.recv()
        for order in (where, True):
            for taker in takers:
                taker.send(order)
            answers = [taker.recv() for taker in takers]
        giver.send(True)
        sent = giver.recv()
        for pipe in pipes:
            pipe.send(False)
        for process in processes:
            process.join()
    return answers, sent / SIZE


def main() -> None:
    """Distribute a blob to one peer, and to eight."""
    rates = [SIZE / 1e9 / distribute(1)[0][0] for _ in range(3)]
    show("256 MiB blob to another peer, over TLS, to disk", rates, "GB/s")
    seconds, sent = distribute(PEERS)
    show("256 MiB blob to 8 peers, until the last has it", [max(seconds)], "s")
    show("sent for it by the submitter", [sent], "times its size", most=MOST_SENT)


if __name__ == "__main__":
    main()
