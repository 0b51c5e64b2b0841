"""Lending: how this peer gives others the chunks of blobs that are here.

It gives what a job needs here: blobs in the store, those that are still on their way
as far as they have come, and what a job that was submitted here holds in memory. Each
chunk that was read from a disk is checked first: a damaged one must not look as if we
had forged it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import cast

from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import BlobId, JobId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.blobs.holders import Swarm
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.blobs.picking import is_near
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.blobs import (
    CHUNK,
    Bytes,
    ChunkList,
    chunk_count,
    chunks_of,
    decode_set,
)
from p2pslinger.wire.messages import Fetch, Fetched
from p2pslinger.wire.records import Address, PeerCard, read
from p2pslinger.wire.transfer import (
    Chunked,
    GetChunk,
    GetChunkList,
    GetOffer,
    Have,
    HeldBy,
    Holder,
    WhoHas,
)

#: Chunks that one connection may be asked for at once: honest peers ask for few, and
#: each is a megabyte of memory until it has left.
LENT = 16

#: Blobs whose members are remembered before those that are gone are looked for.
SWARMS = 64

#: Blobs in memory whose lists of chunks are remembered.
LISTS = 256


class Lending:
    """Answers who asks for blobs.

    Args:
        library: The blobs that are here.
        owner: Owns the tasks that read them.
        own: Gives the bytes of what a job submitted here holds in memory, or raises
            UnavailableError.
        listed: Tells what such bytes consist of, if that is known.
    """

    def __init__(
        self,
        library: Library,
        owner: Owner,
        own: Callable[[JobId, bytes], bytes],
        listed: Callable[[JobId, bytes], ChunkList | None] = lambda *_: None,
    ) -> None:
        self._library = library
        self._owner = owner
        self._own = own
        self._listed = listed
        self._swarms: OrderedDict[tuple[JobId, BlobId], Swarm] = OrderedDict()
        self._lists: OrderedDict[BlobId, ChunkList] = OrderedDict()
        self._lent: Counter[Connection] = Counter()
        self._most = SWARMS
        library.arrived = self._arrived

    def add_to(self, table: Handlers) -> None:
        """Take the messages that are about blobs."""
        table.on(Fetch, self._fetch)
        table.on(GetChunkList, self._get_list)
        table.on(GetOffer, self._get_offer)
        table.on(GetChunk, self._get_chunk)
        table.on(WhoHas, self._who_has)
        table.on(Have, self._have)

    # --- handlers -----------------------------------------------------------------

    def _fetch(self, _: Connection, fetch: Fetch, exchange: Exchange) -> None:
        job, blob = JobId(fetch.job), BlobId(fetch.digest)
        size = self._size(job, blob)
        if size > CHUNK:
            raise UnavailableError("it has several chunks: they are fetched one by one")
        wait = self._library.meter.before_sending(job, size)
        if wait:
            self._owner.spawn(self._give_later(wait, job, blob, exchange))
        else:
            self._give(job, blob, exchange)

    async def _give_later(
        self, wait: float, job: JobId, blob: BlobId, exchange: Exchange
    ) -> None:
        await asyncio.sleep(wait)
        try:
            self._give(job, blob, exchange)
        except SlingerError as error:
            exchange.fail(error)

    def _give(self, job: JobId, blob: BlobId, exchange: Exchange) -> None:
        if self._library.lends(job, blob):
            size = self._library.blobs.size(blob)
            exchange.reply(Fetched(size), self._library.pieces(blob))
        else:
            data = self._own(job, blob)
            exchange.reply(Fetched(len(data)), data)

    def _get_list(self, _: Connection, ask: GetChunkList, exchange: Exchange) -> None:
        job, blob = JobId(ask.job), BlobId(ask.digest)
        self._owner.spawn(self._send_list(job, blob, exchange))

    def _get_offer(
        self, connection: Connection, ask: GetOffer, exchange: Exchange
    ) -> None:
        if not exchange.number:
            raise PeerError("asked for chunks without waiting for an answer")
        job, blob = JobId(ask.job), BlobId(ask.digest)
        fetching = self._library.fetching(job, blob)
        if fetching is not None and fetching.transfer is not None:
            fetching.transfer.add(connection, keeper=False)  # it has some, or soon will
        swarm = self._swarm(job, blob)
        known = decode_set(ask.known, swarm.every)
        swarm.ask(connection, exchange, known=known, alone=ask.alone)
        swarm.look(self._here(job, blob, swarm))

    def _get_chunk(
        self, connection: Connection, ask: GetChunk, exchange: Exchange
    ) -> None:
        job, blob = JobId(ask.job), BlobId(ask.digest)
        swarm = self._swarm(job, blob)
        if not swarm.every >> ask.index & 1:
            raise PeerError(f"asked for chunk {ask.index}, which a blob does not have")
        if not swarm.may_fetch(connection, ask.index):
            raise UnavailableError("that chunk was not offered")
        if self._lent[connection] >= LENT:
            raise PeerError(f"asked for more than {LENT} chunks at once")
        self._lent[connection] += 1
        self._owner.spawn(self._send_chunk(connection, job, blob, ask.index, exchange))

    def _who_has(self, connection: Connection, ask: WhoHas, exchange: Exchange) -> None:
        others = self._swarm(JobId(ask.job), BlobId(ask.digest)).others(connection)
        near = is_near(connection.host)
        if not near:  # what is local to us means nothing to it
            others.sort(key=lambda one: is_near(one.host))
        exchange.reply(HeldBy(tuple(map(_holder, others))))

    def _have(self, connection: Connection, have: Have, _: Exchange) -> None:
        job, blob = JobId(have.job), BlobId(have.digest)
        try:
            swarm = self._swarm(job, blob)
        except UnavailableError:
            return  # the job is over
        swarm.note(connection, held=have.held)

    # --- what is here -------------------------------------------------------------

    def _size(self, job: JobId, blob: BlobId) -> int:
        """Return the bytes of a blob that is here, at least in part.

        Raises:
            UnavailableError: nothing of it is here.
        """
        if self._library.lends(job, blob):
            return self._library.blobs.size(blob)
        fetching = self._library.fetching(job, blob)
        return fetching.size if fetching is not None else len(self._own(job, blob))

    def _here(self, job: JobId, blob: BlobId, swarm: Swarm) -> int:
        """Return the chunks of a blob that are here."""
        fetching = self._library.fetching(job, blob)
        if fetching is None or self._library.lends(job, blob):
            return swarm.every
        return fetching.transfer.have if fetching.transfer is not None else 0

    def _swarm(self, job: JobId, blob: BlobId) -> Swarm:
        """Return who has to do with a blob that is here.

        Raises:
            UnavailableError: nothing of it is here.
        """
        size = self._size(job, blob)
        swarm = self._swarms.get((job, blob))
        if swarm is None:
            self._forget_some()
            ours = self._library.fetching(job, blob) is None
            sparing = ours and not self._library.is_gotten(blob)
            every = (1 << chunk_count(size)) - 1
            swarm = self._swarms[job, blob] = Swarm(every, sparing=sparing)
        return swarm

    def _forget_some(self) -> None:
        """Forget who fetched blobs that are gone, if there are many."""
        if len(self._swarms) < self._most:
            return
        for job, blob in list(self._swarms):
            try:
                self._size(job, blob)
            except UnavailableError:
                del self._swarms[job, blob]
        self._most = max(SWARMS, 2 * len(self._swarms))

    def _arrived(self, blob: BlobId) -> None:
        """Offer what has come of a blob to those who wait for it."""
        for (job, name), swarm in self._swarms.items():
            if name == blob:
                swarm.look(self._here(job, blob, swarm))

    # --- sending ------------------------------------------------------------------

    async def _send_list(self, job: JobId, blob: BlobId, exchange: Exchange) -> None:
        try:
            exchange.reply(Chunked((await self._list(job, blob)).encode()))
        except SlingerError as error:
            exchange.fail(error)

    async def _list(self, job: JobId, blob: BlobId) -> ChunkList:
        library = self._library
        if library.lends(job, blob):
            return await library.disk(lambda: library.blobs.chunks(blob))
        fetching = library.fetching(job, blob)
        if fetching is not None and fetching.partial is not None:
            return fetching.partial.chunks
        known = self._listed(job, blob)
        if known is not None:
            return known
        if blob not in self._lists:
            data = self._own(job, blob)
            self._lists[blob] = await library.disk(lambda: chunks_of(data))
            if len(self._lists) > LISTS:
                self._lists.popitem(last=False)
        return self._lists[blob]

    async def _send_chunk(
        self,
        connection: Connection,
        job: JobId,
        blob: BlobId,
        index: int,
        exchange: Exchange,
    ) -> None:
        def sent() -> None:
            self._lent[connection] -= 1
            if not self._lent[connection]:
                del self._lent[connection]

        try:
            await self._library.meter.send(job, CHUNK)
            data = await self._chunk(job, blob, index)
        except SlingerError as error:
            sent()
            exchange.fail(error)
        except BaseException:
            sent()
            raise
        else:
            sending = Sending(data, sent)
            if exchange.cancelled:
                sending.close()
            exchange.reply(Fetched(len(data)), sending)

    async def _chunk(self, job: JobId, blob: BlobId, index: int) -> Bytes:
        library = self._library
        fetching = library.fetching(job, blob)
        if fetching is not None and fetching.partial is not None:
            partial = fetching.partial
            try:
                return await library.disk(lambda: partial.read(index))
            except UnavailableError:
                pass  # perhaps it has just become a blob of the store
        if library.lends(job, blob):
            return await library.disk(lambda: library.blobs.chunk(blob, index))
        return memoryview(self._own(job, blob))[index * CHUNK : (index + 1) * CHUNK]


class Sending:
    """One chunk as a body that tells when it has left, or was given up."""

    def __init__(self, data: Bytes, done: Callable[[], None]) -> None:
        self._data: Bytes | None = data
        self._done: Callable[[], None] | None = done

    def __iter__(self) -> Sending:
        return self

    def __next__(self) -> bytes:
        data, self._data = self._data, None
        if data is None:
            self.close()
            raise StopIteration
        return cast(bytes, data)  # whatever has bytes is sent from where it lies

    def close(self) -> None:
        """Let go of the chunk."""
        done, self._done, self._data = self._done, None, None
        if done is not None:
            done()


def _holder(connection: Connection) -> Holder:
    """Say where a peer can be dialled: as it says, and as it reached us."""
    assert connection.peer is not None
    addresses: list[Address] = []
    if connection.hello.card is not None:
        addresses = list(read(PeerCard, connection.hello.card).addresses)
    if addresses and connection.host:
        addresses.insert(0, Address(connection.host, addresses[0].port))
    return Holder(connection.peer, tuple(dict.fromkeys(addresses)))
