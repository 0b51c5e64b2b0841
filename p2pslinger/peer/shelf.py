"""The arguments of one job, in order: shards, and the batches they came in.

Shards are numbered from 0, tasks globally; a shard knows the index of its first task.
Of a throw-away job, the front of the shelf is dropped as soon as all of its tasks have
results, so that a program may go on submitting for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

from p2pslinger.ids import GridId
from p2pslinger.wire.identity import Identity, Purpose, Signed
from p2pslinger.wire.records import ShardHead


class Batch(Protocol):
    """Shards that were appended at once, described in one record of the job key's.

    Attributes:
        first: Number of its first shard.
    """

    first: int

    def signed(self) -> Signed:
        """Return the signed record."""

    def unsigned(self) -> Signed:
        """Return the record for this machine's own slots: nobody is to be convinced."""


@dataclass(slots=True)
class SignedBatch:
    """A batch that came with its signature."""

    first: int
    record: Signed

    def signed(self) -> Signed:
        """Return it."""
        return self.record

    def unsigned(self) -> Signed:
        """Return it: it is signed anyway."""
        return self.record


class LazyBatch:
    """A batch of our own, signed when the first other peer needs it.

    Args:
        first: Number of its first shard.
        body: The encoded `ShardBatch`.
        key: The job key.
        grid: Which grid.
    """

    __slots__ = ("_body", "_grid", "_key", "_signed", "first")

    def __init__(self, first: int, body: bytes, key: Identity, grid: GridId) -> None:
        self.first = first
        self._body = body
        self._key = key
        self._grid = grid
        self._signed: Signed | None = None

    def signed(self) -> Signed:
        """Return the record; sign it if nobody has needed that yet."""
        if self._signed is None:
            self._signed = self._key.sign(Purpose.SHARDS, self._grid, self._body)
        return self._signed

    def unsigned(self) -> Signed:
        """Return the record with zeros for a signature, if it has none yet."""
        return self._signed or Signed(self._body, self._key.public, bytes(64))


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
