"""A transfer: one big blob on its way to this peer, from everyone who has some of it.

Every giver offers chunks, and has a few lanes in which one chunk after the other comes:

    giver --Offer--> which chunks it gives     lane: pick, GetChunk, check, keep
          <-GetChunk--  --bytes-->             lane: ...

- A chunk is asked of one giver. One that is slow to bring it may lose it to another
  that has nothing better to do.
- A keeper names further givers; who asks us for chunks has some as well, or soon will.
- A giver that sends wrong bytes is blamed and not asked again. One that is lost, or has
  nothing any more, is done without. With nobody left the transfer ends in an error;
  what has come stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Protocol, TypeVar

from p2pslinger.errors import (
    DiskError,
    PeerError,
    SlingerError,
    UnavailableError,
)
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.peer.blobs.metering import Meter
from p2pslinger.peer.blobs.picking import SLOW, Giver, Picking, is_near
from p2pslinger.store.blobpartial import Partial
from p2pslinger.wire.blobs import CHUNK, decode_set, encode_set
from p2pslinger.wire.records import Address
from p2pslinger.wire.transfer import (
    GetChunk,
    GetOffer,
    HeldBy,
    Holder,
    Offer,
    WhoHas,
)

#: Chunks under way from one giver: as many as keep a line busy whose round trip takes
#: as long as two of them.
LANES = 4

#: Offered chunks below which a giver is asked for further offers.
LOW = 6

#: Seconds that a request for offers stays open before it is asked afresh; without any
#: progress for that long a keeper is told that nobody else gives us anything.
PATIENCE = 3.0

#: Seconds between two questions to a keeper who else has the blob.
MEET_EVERY = 5.0

#: Seconds without any progress after which a transfer is given up.
STALLED = 60.0

#: Connects to a peer that may be at these addresses.
Reach = Callable[[PeerId, Sequence[Address]], Awaitable[Connection]]


T = TypeVar("T")


class Disk(Protocol):
    """Runs what may wait for a disk."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run it; return or raise what it does."""


class Transfer:
    """Fetches the chunks that a partial blob lacks.

    Args:
        me: This peer: two peers begin with different chunks.
        job: The blob's job.
        partial: Takes the chunks.
        disk: Runs what writes to it.
        reach: Connects to further givers.
        blame: Called with who has sent wrong bytes.
        arrived: Called after every chunk.
        meter: Says when a chunk may come.

    Attributes:
        have: The chunks that are here.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        job: JobId,
        partial: Partial,
        disk: Disk,
        reach: Reach,
        blame: Callable[[PeerId, PeerError], None],
        arrived: Callable[[], None],
        meter: Meter,
    ) -> None:
        self._job = job
        self._meter = meter
        self._partial = partial
        self._disk = disk
        self._reach = reach
        self._blame = blame
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._every = partial.chunks.all
        first = int.from_bytes(me[:4], "big") % len(partial.chunks.digests)
        self._picking = Picking(first)
        self._givers = self._picking.givers
        self.have = partial.have
        self._bad: set[PeerId] = {me}
        self._meeting: set[PeerId] = set()
        self._news = asyncio.Event()
        self._progress = self._loop.time()
        self._why: SlingerError = UnavailableError("nobody is there who has the blob")
        self._failure: DiskError | None = None
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def lacking(self) -> int:
        """The chunks that are not here yet."""
        return self._every & ~self.have

    async def run(self, keepers: Sequence[Connection]) -> None:
        """Fetch everything, from these keepers and whoever else has some.

        Raises:
            UnavailableError: nobody is left who gives any; as `DiskError` if the chunks
                can't be kept.
        """
        failure: SlingerError | None = None
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for keeper in keepers:
                    self.add(keeper, keeper=True)
                await self._completed()
            except SlingerError as error:  # raised below: a group would wrap it
                failure = error
            finally:
                self._group = None
                for task in self._tasks:
                    task.cancel()
        if failure is not None:
            raise failure

    def add(self, connection: Connection, *, keeper: bool) -> None:
        """Get chunks from one more giver."""
        peer = connection.peer
        if self._group is None or peer is None or peer in self._bad:
            return
        old = self._givers.get(peer)
        if old is not None and old.connection.is_open:
            return
        giver = Giver(connection, peer, keeper, is_near(connection.host))
        self._givers[peer] = giver
        self._start(self._use(giver))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        assert self._group is not None
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _completed(self) -> None:
        while self.lacking:
            if self._failure is not None:
                raise self._failure
            if not self._givers and not self._meeting:
                raise self._why
            if self._loop.time() - self._progress > STALLED:
                raise UnavailableError(
                    f"no chunk of a blob has come for {STALLED:g} s, from "
                    f"{len(self._givers)} peers that have some of it"
                )
            await self._change(STALLED)

    # --- who gives ----------------------------------------------------------------

    async def _use(self, giver: Giver) -> None:
        """Get chunks from a giver until all are here, or it fails."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear_offers(giver))
                for _ in range(LANES):
                    group.create_task(self._fetch_chunks(giver))
                if giver.keeper:
                    group.create_task(self._meet_others(giver))
        except* SlingerError as errors:
            self._drop(giver, errors)

    def _drop(self, giver: Giver, errors: ExceptionGroup[SlingerError]) -> None:
        """Do without a giver; wrong bytes are its fault, all else is not."""
        for error in errors.exceptions:
            if isinstance(error, PeerError):
                self._bad.add(giver.peer)
                self._blame(giver.peer, error)
                break
            if isinstance(error, SlingerError):
                self._why = error
        if self._givers.get(giver.peer) is giver:
            del self._givers[giver.peer]
        self._wake()

    async def _hear_offers(self, giver: Giver) -> None:
        while self.lacking:
            open_to_us = giver.offered & self.lacking & ~self._picking.in_flight
            if open_to_us.bit_count() >= LOW or not self.lacking & ~giver.offered:
                await self._change(PATIENCE)
                continue
            ask = GetOffer(
                self._job,
                self._partial.blob,
                encode_set(self.have | giver.offered),
                self._is_alone(giver),
            )
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await giver.connection.request(ask)
            except TimeoutError:
                continue
            if not isinstance(answer, Offer):
                raise PeerError(f"offered chunks by a {type(answer).__name__}")
            giver.offered |= decode_set(answer.chunks, self._every)
            self._wake()

    def _is_alone(self, giver: Giver) -> bool:
        """Tell whether only a keeper that spares its line can help us."""
        if self._picking.in_flight or self._loop.time() - self._progress < PATIENCE:
            return False
        others = (one.offered for one in self._givers.values() if one is not giver)
        return giver.keeper and not any(offered & self.lacking for offered in others)

    async def _meet_others(self, keeper: Giver) -> None:
        """Ask a keeper now and then who else has some of the blob."""
        while self.lacking:
            answer = await keeper.connection.request(
                WhoHas(self._job, self._partial.blob)
            )
            if not isinstance(answer, HeldBy):
                raise PeerError(f"named holders by a {type(answer).__name__}")
            for holder in answer.holders:
                peer = PeerId(holder.peer)
                if not {peer} & (self._givers.keys() | self._meeting | self._bad):
                    self._meeting.add(peer)
                    self._start(self._meet(peer, holder))
            await asyncio.sleep(MEET_EVERY)

    async def _meet(self, peer: PeerId, holder: Holder) -> None:
        try:
            self.add(await self._reach(peer, holder.addresses), keeper=False)
        except SlingerError as error:
            self._why = error
        finally:
            self._meeting.discard(peer)
            self._wake()

    # --- chunks -------------------------------------------------------------------

    async def _fetch_chunks(self, giver: Giver) -> None:
        """Get one chunk after the other from a giver."""
        lane = memoryview(bytearray(CHUNK))
        while self.lacking and self._failure is None:
            await self._meter.receive(self._job, CHUNK)
            index = self._picking.pick(giver, self.lacking, self._loop.time())
            if index is None:
                self._meter.not_received(self._job, CHUNK)
                await self._change(SLOW)
                continue
            self._picking.begin(index, giver, self._loop.time())
            try:
                await self._keep(index, await self._get(giver, index, lane))
            finally:
                self._picking.end(index, giver)
                self._wake()

    async def _get(self, giver: Giver, index: int, into: memoryview) -> memoryview:
        """Get a chunk; return the part of `into` that it fills."""
        ask = GetChunk(self._job, self._partial.blob, index)
        length = self._partial.chunks.length(index)
        _, body = await giver.connection.fetch(ask, room=length)
        at = 0

        def take(piece: bytes) -> None:
            nonlocal at
            at += len(piece)
            if at > length:
                raise PeerError("sent more bytes than a chunk has")
            into[at - len(piece) : at] = piece

        try:
            await body.pour(take)
        finally:
            body.close()
        if at < length:
            raise PeerError("sent fewer bytes than a chunk has")
        return into[:length]

    async def _keep(self, index: int, chunk: memoryview) -> None:
        if self.have >> index & 1:
            return  # another giver was faster
        try:
            await self._disk(lambda: self._partial.write(index, chunk))
        except DiskError as error:
            self._failure = error
            return
        self.have = self._partial.have
        self._progress = self._loop.time()
        self._arrived()

    # --- news ---------------------------------------------------------------------

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _change(self, most: float) -> None:
        """Wait until something has changed, at most so many seconds."""
        try:
            async with asyncio.timeout(most):
                await self._news.wait()
        except TimeoutError:
            pass
