"""The arguments of one job, in order: shards, and the batches they came in.

Shards are numbered from 0, tasks globally; a shard knows the index of its first task.
Of a throw-away job, the front of the shelf is dropped as soon as all of its tasks have
results, so that a program may go on submitting for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import ShardHead


@dataclass(frozen=True, slots=True)
class Batch:
    """Shards that were appended at once, described in one record of the job key's.

    Attributes:
        first: Number of its first shard.
        record: Of a throw-away job it bears no signature. It is sent by its submitter
            alone, over connections that prove who that is; nobody else is believed.
    """

    first: int
    record: Signed


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard.

    Attributes:
        number: Its number in the job.
        base: Global index of its first task.
        head: Its signed description.
        data: Its bytes, or None if they are a blob.
        batch: The batch that describes it.
    """

    number: int
    base: int
    head: ShardHead
    data: bytes | None
    batch: Batch

    @property
    def stop(self) -> int:
        """One after the global index of its last task."""
        return self.base + self.head.count


class Shelf:
    """The shards of one job."""

    def __init__(self) -> None:
        self._shards: list[Shard] = []
        self._bases: list[int] = []
        #: Number of the first shard that is still here.
        self.first = 0

    def add(self, shard: Shard) -> None:
        """Put a shard at the end."""
        self._shards.append(shard)
        self._bases.append(shard.base)

    def of(self, start: int, stop: int) -> list[Shard]:
        """Return the shards that hold the tasks [start, stop), in order."""
        low = bisect_right(self._bases, start) - 1
        high = bisect_right(self._bases, stop - 1)
        return self._shards[max(0, low) : high]

    def count(self, start: int, stop: int) -> int:
        """Return how many shards hold the tasks [start, stop)."""
        low = max(0, bisect_right(self._bases, start) - 1)
        return bisect_right(self._bases, stop - 1) - low

    def find(self, digest: bytes) -> Shard | None:
        """Return the shard with that content."""
        for shard in self._shards:
            if shard.head.digest == digest:
                return shard
        return None

    def prune(self, done: int) -> list[Shard]:
        """Drop the shards before task `done`; return them."""
        count = bisect_right(self._bases, done)
        if count and self._shards[count - 1].stop > done:
            count -= 1
        dropped = self._shards[:count]
        if dropped:
            del self._shards[:count]
            del self._bases[:count]
            self.first += count
        return dropped

    def __len__(self) -> int:
        return len(self._shards)
