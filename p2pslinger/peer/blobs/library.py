"""This peer's blobs: those that it keeps, and those that it computes with.

- What a job needs is pinned for it. A keeper's blobs (`put`, `take`, `obtain`) stay
  until the job ends. What is only computed with (`get`) goes as soon as nobody uses
  it; the one does not disturb the other. What nobody needs is a cache.
- Blobs that are not here are fetched (`fetching`). Whoever gives wrong bytes is blamed
  there; here, what cannot be had is unavailable, whatever the reason.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from p2pslinger import limits
from p2pslinger.errors import DiskError, PeerError, UnavailableError
from p2pslinger.ids import BlobId, JobId, PeerId
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.peer.blobs.fetching import Fetches, Fetching, Ways, Wish
from p2pslinger.peer.blobs.metering import Meter
from p2pslinger.peer.blobs.transfer import Reach
from p2pslinger.peer.owner import Owner
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.blobs import CHUNK

#: Seconds after a full disk in which no large blob is fetched in vain.
FULL = 30.0

T = TypeVar("T")


class Library:
    """The blobs of one peer.

    Args:
        me: This peer.
        blobs: Where they are.
        owner: Owns the tasks that fetch.
        reach: Connects to a peer that has some of a blob.
        blame: Called with who has sent wrong bytes.

    Attributes:
        meter: Says when bytes of others' jobs may go.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        blobs: Blobs,
        owner: Owner,
        reach: Reach,
        blame: Callable[[PeerId, PeerError], None],
    ) -> None:
        self.blobs = blobs
        self.meter = Meter()
        self._full = ("", -math.inf)
        #: Called with a blob of which a further chunk has come.
        self.arrived: Callable[[BlobId], None] = lambda _: None
        self._fetches = Fetches(
            Ways(
                me,
                blobs,
                self.disk,
                owner,
                reach,
                blame,
                self._heard,
                self.meter,
            )
        )

    # --- what is here -------------------------------------------------------------

    def has(self, job: JobId, digest: bytes) -> bool:
        """Return whether a blob is kept here for a job."""
        return self.blobs.is_pinned(BlobId(digest), job)

    def lends(self, job: JobId, digest: bytes) -> bool:
        """Return whether a blob is here for a job, kept or only computed with."""
        in_use = self.blobs.is_pinned(BlobId(digest), _in_use(job))
        return in_use or self.has(job, digest)

    async def read(self, digest: bytes) -> bytes:
        """Return a blob's bytes.

        Raises:
            UnavailableError: it is not here; as `DiskError` if it was damaged.
        """
        try:
            return await self.disk(lambda: self.blobs.read(BlobId(digest)))
        except MemoryError as error:
            raise UnavailableError("no memory for a blob") from error

    def pieces(self, digest: bytes) -> Iterator[bytes]:
        """Return an iterator over a blob's bytes, to be sent as a body.

        Raises what `read` raises.
        """
        return self.blobs.pieces(BlobId(digest))

    def keep(self, job: JobId, digest: bytes) -> bool:
        """Keep a blob for a job, if it is here and durable; return whether it is."""
        blob = BlobId(digest)
        return self.blobs.is_durable(blob) and self._pin(blob, job)

    def restore(self, job: JobId, digests: Iterable[bytes]) -> list[bytes]:
        """Keep a job's blobs again, after a restart; return those that are not here."""
        return [digest for digest in digests if not self.keep(job, digest)]

    def end(self, job: JobId) -> None:
        """Keep nothing more for a job, and have nothing more in use."""
        self.blobs.unpin_all(job)
        self.leave(job)

    async def put(
        self, job: JobId, data: bytes, *, durable: bool = False, filed: bool = False
    ) -> BlobId:
        """Keep bytes as a blob of a job.

        Args:
            job: It.
            data: The bytes.
            durable: They survive a power cut.
            filed: They take no memory.

        Raises:
            DiskError: there is no room, or the disk fails.
        """
        return await self.disk(
            lambda: self.blobs.put(data, durable=durable, filed=filed, pin=job),
            wait=durable or len(data) > CHUNK,
        )

    async def take(
        self,
        job: JobId,
        body: Body,
        digest: bytes,
        size: int,
        *,
        durable: bool = False,
    ) -> None:
        """Keep a body as a blob of a job; its bytes go to disk as they come.

        Raises:
            PeerError: it is not that blob.
            DiskError: there is no room, or the disk fails.
            ConnectionLostError: it has ended too early.
        """
        with self.blobs.writer(limit=size, durable=durable) as writer:
            try:
                left = size
                async for part in _large(body):
                    left -= len(part)
                    if left < 0:
                        raise PeerError(f"sent a body of more than {size} bytes")
                    await self.disk(partial(writer.write, part))
            except BaseException:
                body.close()
                raise
            if left:
                raise PeerError(f"sent a body of {size - left} bytes, not of {size}")
            await self.disk(lambda: writer.finish(BlobId(digest), pin=job))

    def discard(self, job: JobId, digest: bytes) -> None:
        """Keep a blob no longer for a job, nor as a cache: nobody will ask for it."""
        self.blobs.discard(BlobId(digest), job)

    def release(self, job: JobId, digest: bytes) -> None:
        """Nothing that is computed here uses a blob any more."""
        self.blobs.unpin(BlobId(digest), _in_use(job))
        self._tidy()

    def leave(self, job: JobId) -> None:
        """Nothing of a job is computed here any more."""
        self.blobs.unpin_all(_in_use(job))
        self._tidy()

    def fetching(self, job: JobId, digest: bytes) -> Fetching | None:
        """Return a blob of a job that is coming chunk by chunk."""
        return self._fetches.find(job, BlobId(digest))

    def is_gotten(self, digest: bytes) -> bool:
        """Return whether others keep a blob and we have only got it."""
        return self._fetches.is_gotten(BlobId(digest))

    async def disk(self, work: Callable[[], T], /, *, wait: bool = True) -> T:
        """Run what may wait for a disk: beside the event loop, if there is one."""
        if wait and self.blobs.on_disk:
            return await asyncio.to_thread(work)
        return work()

    # --- what is elsewhere --------------------------------------------------------

    async def get(
        self, job: JobId, digest: bytes, size: int, *keepers: Connection
    ) -> bytes:
        """Return a blob's bytes to compute with, fetched if they are not here.

        A large one stays until `release` or `leave`. One of a single chunk does not:
        whoever asked has it.

        Args:
            keepers: Connections to who keeps the job.

        Raises:
            UnavailableError: nobody has it, or has the right bytes, or there is no
                memory for it; as `DiskError` if there is no room for it on disk.
        """
        blob, kept = BlobId(digest), self.has(job, digest)
        if kept or self._pin(blob, _in_use(job)):
            try:
                return await self.read(blob)
            except DiskError:
                pass  # it was damaged, and set aside: get it again
        if kept:
            await self.obtain(job, digest, size, *keepers)
            return await self.read(blob)
        self._expect_room(size)
        try:
            wish = Wish(job, _in_use(job), keepers)
            data = await self._fetches.fetch(blob, size, wish)
            return data if data is not None else await self.read(blob)
        except DiskError as error:
            self._full = (str(error), asyncio.get_running_loop().time() + FULL)
            raise

    async def obtain(
        self, job: JobId, digest: bytes, size: int, *keepers: Connection
    ) -> None:
        """Get a blob to keep it: it is durable, and stays until `end`.

        Raises what `get` raises.
        """
        blob = BlobId(digest)
        if not self.blobs.has(blob):
            wish = Wish(job, job, keepers, durable=True)
            data = await self._fetches.fetch(blob, size, wish)
            if data is not None:
                await self.put(job, data, durable=True)
                return
        if self.keep(job, digest):
            return
        await self.put(job, await self.read(blob), durable=True)

    def _heard(self, blob: BlobId) -> None:
        self.arrived(blob)

    def _pin(self, blob: BlobId, pin: JobId) -> bool:
        try:
            self.blobs.pin(blob, pin)
        except UnavailableError:
            return False
        return True

    def _expect_room(self, size: int) -> None:
        """Fetch nothing large in vain while the disk is full."""
        why, until = self._full
        if size > CHUNK and asyncio.get_running_loop().time() < until:
            raise DiskError(why)

    def _tidy(self) -> None:
        """Something may have been let go: there may be room again."""
        self._full = ("", -math.inf)
        self._fetches.forget(self.lends)


def _in_use(job: JobId) -> JobId:
    """Return the pin of what a job computes with here, beside what is kept for it."""
    return JobId(job + b"*")


async def _large(body: Body) -> AsyncIterator[bytes]:
    """Yield a body in parts that are worth a thread's while."""
    parts: list[bytes] = []
    size = 0
    async for piece in body:
        parts.append(piece)
        size += len(piece)
        if size >= limits.MIB:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)
