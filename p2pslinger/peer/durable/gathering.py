"""Taking in items that another peer has brought, with all that they refer to.

An item that names arguments, values or a function by digest is worth something only
with those bytes. So small ones come along, big ones are fetched first, and only then
the item is taken in, made durable and acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from p2pslinger.errors import DiskError, PeerError
from p2pslinger.limits import INLINE
from p2pslinger.net.connection import Connection
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.rules.replica import item_id
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Content, Item, Kind
from p2pslinger.wire.records import ResultBatch, ShardBatch, read


async def gather(
    job: DurableJob,
    items: Sequence[Item],
    contents: Sequence[Content],
    source: Connection,
) -> list[bytes]:
    """Take in items; return when they are durable.

    Returns:
        Ids of items that were refused: nobody may say that, or what they refer to is
        not what they have signed.

    Raises:
        DiskError: the disk does not take them.
        UnavailableError: something that they refer to can't be had.
    """
    given = {
        content.digest: content.data
        for content in contents
        if blob_digest(content.data) == content.digest
    }
    loop = asyncio.get_running_loop()
    refused: list[bytes] = []
    on_disk: list[asyncio.Future[DiskError | None]] = []
    for item in items:
        future: asyncio.Future[DiskError | None] = loop.create_future()
        try:
            if item_id(item.signed) not in job.replica:
                job.replica.check(item)
            found = await _contents_of(job, item, given, source)
            job.take(item, contents=found, saved=partial(_settle, future))
            on_disk.append(future)
        except PeerError:
            refused.append(item_id(item.signed))
    for future in on_disk:
        error = await future
        if error is not None:
            raise error
    return refused


def _settle(future: asyncio.Future[DiskError | None], error: DiskError | None) -> None:
    if not future.done():
        future.set_result(error)


async def _contents_of(
    job: DurableJob, item: Item, given: dict[bytes, bytes], source: Connection
) -> dict[bytes, bytes]:
    """Return the small data that an item names; see that its blobs are here."""
    if item_id(item.signed) in job.replica:
        return {}
    found: dict[bytes, bytes] = {}
    library = job.means.library
    for digest, size, blob in _named(item.kind, item.signed):
        if blob:
            if job.is_keeper:
                if not library.has(job.id, digest):
                    job.check_room(size)
                await library.obtain(job.id, digest, size, source)
        elif digest in given:
            found[digest] = given[digest]
        elif job.file.content(digest) is None:
            data = await library.get(job.id, digest, size, source)
            found[digest] = data
    return found


def _named(kind: Kind, signed: Signed) -> Iterator[tuple[bytes, int, bool]]:
    """Yield digest and size of everything that an item names; is it a blob?"""
    if kind is Kind.SHARDS:
        for head in read(ShardBatch, signed).heads:
            yield head.digest, head.size, head.size > INLINE
            for one in head.shared:
                yield one.digest, one.size, True
    elif kind is Kind.RESULTS:
        for result in read(ResultBatch, signed).results:
            if result.digest:
                yield result.digest, result.size, True
