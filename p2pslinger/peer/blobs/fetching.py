"""Fetching: the blobs that are on their way to this peer.

A blob that two tasks want is fetched once. One of a single chunk comes from a keeper as
it is; a larger one comes chunk by chunk from everyone who has some (`transfer`). It
goes on for as long as somebody waits for it; what has come of a large one by then is
not lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import BlobId, JobId, PeerId
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.peer.blobs.metering import Meter
from p2pslinger.peer.blobs.transfer import Disk, Reach, Transfer
from p2pslinger.peer.owner import Owner
from p2pslinger.store.blobpartial import Partial
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.blobs import CHUNK, ChunkList, blob_digest
from p2pslinger.wire.messages import Fetch
from p2pslinger.wire.transfer import Chunked, GetChunkList, Have

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """One who wants a blob.

    Attributes:
        job: Whose blob it is.
        pin: What it is to be pinned for.
        keepers: Connections to who keeps that job.
        durable: It is to survive a power cut.
    """

    job: JobId
    pin: JobId
    keepers: Sequence[Connection]
    durable: bool = False


@dataclass(eq=False)
class Fetching:
    """A blob that is being fetched.

    Attributes:
        size: Its bytes.
        done: Its bytes if it is one chunk; else None, and it is in the store.
        wishes: For whom.
        waiting: How many still wait for it.
        left: Nobody does any more, and it is being ended.
        partial, transfer: What is here of it, and how the rest comes.
    """

    size: int
    done: asyncio.Future[bytes | None]
    wishes: list[Wish] = field(default_factory=list)
    waiting: int = 0
    left: bool = False
    task: asyncio.Task[None] | None = None
    partial: Partial | None = None
    transfer: Transfer | None = None

    @property
    def keepers(self) -> list[Connection]:
        """Everyone who keeps a job that has it, each once."""
        return list(dict.fromkeys(k for wish in self.wishes for k in wish.keepers))


@dataclass(frozen=True, slots=True)
class Ways:
    """What fetching needs.

    Attributes:
        me: This peer.
        blobs: Where blobs go.
        disk: Runs what may wait for a disk.
        owner: Owns the tasks that fetch.
        reach: Connects to a peer that has some of a blob.
        blame: Called with who has sent wrong bytes.
        arrived: Called with a blob of which a further chunk has come.
        meter: Says when bytes may come.
    """

    me: PeerId
    blobs: Blobs
    disk: Disk
    owner: Owner
    reach: Reach
    blame: Callable[[PeerId, PeerError], None]
    arrived: Callable[[BlobId], None]
    meter: Meter


class Fetches:
    """All blobs that are on their way.

    Args:
        ways: How they come.
    """

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._running: dict[BlobId, Fetching] = {}
        #: Blobs that others keep and we have got, and who knows of it.
        self._gotten: dict[tuple[JobId, BlobId], list[Connection]] = {}

    def find(self, job: JobId, blob: BlobId) -> Fetching | None:
        """Return a blob of a job that is coming chunk by chunk."""
        fetching = self._running.get(blob)
        if fetching is None or fetching.transfer is None:
            return None
        return fetching if any(wish.job == job for wish in fetching.wishes) else None

    def is_gotten(self, blob: BlobId) -> bool:
        """Return whether others keep a blob, and we have only got it."""
        return any(name == blob for _, name in self._gotten)

    def forget(self, lends: Callable[[JobId, BlobId], bool]) -> None:
        """Tell keepers which blobs we have got and do not lend any more."""
        for job, blob in [one for one in self._gotten if not lends(*one)]:
            for keeper in self._gotten.pop((job, blob)):
                keeper.push(Have(job, blob, False))

    async def fetch(self, blob: BlobId, size: int, wish: Wish) -> bytes | None:
        """Fetch a blob, or wait for it if it is on its way.

        Returns its bytes if it is one chunk; else it is in the store, and pinned.

        Raises:
            UnavailableError: nobody has it, or has the right bytes; as `DiskError` if
                there is no room for it.
        """
        while (fetching := self._running.get(blob)) is not None and fetching.left:
            await asyncio.wait([fetching.done])  # it ends, and we begin anew
        if fetching is None:
            done = asyncio.get_running_loop().create_future()
            fetching = self._running[blob] = Fetching(size, done)
            fetching.task = self._ways.owner.spawn(self._run(blob, fetching))
            if fetching.task is None:
                del self._running[blob]
                raise UnavailableError("this peer is shutting down")
            ended = partial(self._ended, blob, fetching)
            fetching.task.add_done_callback(lambda _: ended())
        fetching.wishes.append(wish)
        if fetching.transfer is not None:
            for keeper in wish.keepers:
                fetching.transfer.add(keeper, keeper=True)
        fetching.waiting += 1
        try:
            return await asyncio.shield(fetching.done)
        finally:
            fetching.waiting -= 1
            if not fetching.waiting and fetching.task is not None:
                fetching.left = True
                fetching.task.cancel()

    async def _run(self, blob: BlobId, fetching: Fetching) -> None:
        try:
            data = None
            if fetching.size <= CHUNK:
                data = await self._one_chunk(blob, fetching)
            else:
                await self._all_chunks(blob, fetching)
        except SlingerError as error:
            fetching.done.set_exception(error)
        else:
            fetching.done.set_result(data)
        del self._running[blob]  # now: whoever comes next must not join

    def _ended(self, blob: BlobId, fetching: Fetching) -> None:
        """A fetch is over, perhaps before it began."""
        if self._running.get(blob) is fetching:
            del self._running[blob]
        if not fetching.done.done():
            why = UnavailableError("nobody waits for it any more")
            fetching.done.set_exception(why)
        fetching.done.exception()  # whoever asked may have left

    async def _one_chunk(self, blob: BlobId, fetching: Fetching) -> bytes:
        async def ask(keeper: Connection, job: JobId) -> bytes:
            await self._ways.meter.receive(job, fetching.size)
            _, body = await keeper.fetch(Fetch(job, blob))
            data = await _whole(body, fetching.size)
            if blob_digest(data) != blob:
                raise PeerError("sent other bytes than those of a blob")
            return data

        return await self._first_of(fetching, ask)

    async def _all_chunks(self, blob: BlobId, fetching: Fetching) -> None:
        async def ask(keeper: Connection, job: JobId) -> ChunkList:
            answer = await keeper.request(GetChunkList(job, blob))
            if not isinstance(answer, Chunked):
                raise PeerError(f"listed chunks by a {type(answer).__name__}")
            return ChunkList.read(blob, fetching.size, answer.digests)

        chunks = await self._first_of(fetching, ask)
        ways, durable = self._ways, any(wish.durable for wish in fetching.wishes)
        opened = ways.disk(lambda: ways.blobs.partial(chunks, durable=durable))
        with await opened as begun:
            fetching.partial = begun
            fetching.transfer = Transfer(
                me=ways.me,
                job=fetching.wishes[0].job,
                partial=begun,
                disk=ways.disk,
                reach=ways.reach,
                blame=ways.blame,
                arrived=lambda: ways.arrived(blob),
                meter=ways.meter,
            )
            try:
                await fetching.transfer.run(fetching.keepers)
                first = fetching.wishes[0].pin
                await ways.disk(lambda: begun.finish(pin=first))
            except MemoryError as error:
                raise _no_memory(fetching.size) from error
            finally:
                fetching.transfer = fetching.partial = None
        self._finished(blob, fetching)

    def _finished(self, blob: BlobId, fetching: Fetching) -> None:
        """Pin a blob for all who wanted it; tell the keepers that we have it."""
        for wish in fetching.wishes:
            self._ways.blobs.pin(blob, wish.pin)
            self._gotten.setdefault((wish.job, blob), []).extend(wish.keepers)
            for keeper in wish.keepers:
                keeper.push(Have(wish.job, blob, True))
        self._ways.arrived(blob)

    async def _first_of(
        self, fetching: Fetching, ask: Callable[[Connection, JobId], Awaitable[T]]
    ) -> T:
        """Ask one keeper after the other; blame who answers what no honest one does."""
        why: SlingerError = UnavailableError("nobody is there who has the blob")
        tried: set[tuple[Connection, JobId]] = set()
        while True:
            asked = ((k, wish.job) for wish in fetching.wishes for k in wish.keepers)
            keeper, job = next((one for one in asked if one not in tried), (None, None))
            if keeper is None or job is None:
                raise why
            tried.add((keeper, job))
            try:
                return await ask(keeper, job)
            except PeerError as error:
                assert keeper.peer is not None
                self._ways.blame(keeper.peer, error)
                why = UnavailableError(f"the keeper of a blob {error}")
            except UnavailableError as error:
                why = error


async def _whole(body: Body, size: int) -> bytes:
    try:
        data = await body.read_all(size)
    except MemoryError as error:
        body.close()
        raise _no_memory(size) from error
    except BaseException:
        body.close()
        raise
    if len(data) != size:
        raise PeerError("sent a blob of another size than it had announced")
    return data


def _no_memory(size: int) -> UnavailableError:
    return UnavailableError(f"no memory for a blob of {size} bytes")
