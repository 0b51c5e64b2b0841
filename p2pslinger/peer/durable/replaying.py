"""One task of a durable job, taken out of it to be computed once more.

All that makes it what it is was signed when it was submitted, and is kept with the job:
so whoever can read the job can replay its tasks. What is large is fetched where it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.ids import PeerId
from p2pslinger.limits import INLINE
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.wire.keeping import Kind
from p2pslinger.wire.records import RangeResult, ShardBatch, ShardHead, read
from p2pslinger.wire.replay import PackedTask, Recorded

#: Fetches a blob of the job.
Fetch = Callable[[bytes], Awaitable[bytes]]


class Large(NamedTuple):
    """Something of a task that is too large for a message, and what it is."""

    digest: bytes
    what: str


def packed_task(job: DurableJob, index: int) -> tuple[PackedTask, list[Large]]:
    """Return all that makes up a task, and what came of it; and what has to follow.

    Raises:
        UsageError: there is no such task.
        UnavailableError: its arguments are not here.
    """
    total = job.kept.board.total
    if index >= total:
        has = f"tasks 0 to {total - 1}" if total else "no tasks"
        raise UsageError(f"there is no task {index}: the job has {has}")
    first, head = _shard_of(job, index)
    manifest, large, data = job.kept.manifest, list[Large](), b""
    if not manifest.function.code:
        large.append(Large(manifest.function.digest, "its function"))
    if head.size <= INLINE:
        data = _small(job, head, index)
    else:
        large.append(Large(head.digest, "its arguments"))
    large += (Large(one.digest, "a shared value") for one in head.shared)
    found = job.outcomes.of(index)
    recorded = None if found is None else _recorded(job, *found, index)
    if recorded is not None and recorded.size and found is not None:
        large.append(Large(found[1].digest, "its result, to compare with"))
    told = PackedTask(
        job.id,
        manifest.name,
        manifest.function,
        manifest.policy,
        first,
        head,
        data,
        recorded,
        manifest.needs,
    )
    return told, large


async def fetched(index: int, large: list[Large], fetch: Fetch) -> bytes:
    """Return what has to follow a task, joined.

    Raises:
        UnavailableError: something can't be had; the text says what.
    """
    parts = []
    for one in large:
        try:
            parts.append(await fetch(one.digest))
        except UnavailableError as error:
            raise UnavailableError(
                f"task {index} can't be replayed without {one.what}: {error}"
            ) from None
    return b"".join(parts)


def _small(job: DurableJob, head: ShardHead, index: int) -> bytes:
    data = job.file.content(head.digest)
    if data is None:
        raise UnavailableError(
            f"task {index} can't be replayed without its arguments, which are damaged "
            "on this machine: try on another one that keeps the job"
        )
    return data


def _shard_of(job: DurableJob, index: int) -> tuple[int, ShardHead]:
    """Return the first task of the shard that has a task, and the shard."""
    for id in job.replica.of_kind(Kind.SHARDS):
        item = job.file.item(id)
        if item is None:
            continue
        batch = read(ShardBatch, item.signed)
        base = batch.base
        for head in batch.heads:
            if base <= index < base + head.count:
                return base, head
            base += head.count
    raise UnavailableError(
        f"task {index} can't be replayed: what describes its arguments is damaged on "
        "this machine, so try on another one that keeps the job"
    )


def _recorded(
    job: DurableJob, peer: PeerId, result: RangeResult, index: int
) -> Recorded:
    failed = {failure.index: failure for failure in result.failures}
    failure = failed.get(index)
    follows = bool(result.digest) and failure is None
    return Recorded(
        peer,
        result.start,
        result.form,
        result.values,
        result.size if follows else 0,
        failure,
        job.means.unpickles(job.kept, peer),
    )
