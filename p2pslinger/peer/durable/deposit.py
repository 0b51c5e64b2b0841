"""A durable job as one program of this machine sees it.

A program appends arguments to a job that it has opened; they are numbered and signed in
the order in which they came, whenever the disk is through with them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.ids import JobId
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.settled import Follower
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import ShardIn
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.owning import KeptBy
from p2pslinger.wire.records import ShardBatch, ShardHead, seal

if TYPE_CHECKING:
    from p2pslinger.peer.durable.deposits import Deposits


class Deposit:
    """A durable job, as one program of this machine sees it.

    Args:
        held: The job.
        deposits: Where it was opened or found.
        writer: This program has opened it, and may append.
    """

    def __init__(self, held: Held, deposits: Deposits, *, writer: bool) -> None:
        self._job = held.job.id
        self._deposits = deposits
        self._writer = writer
        self._chain = bytes(32)
        self._shards = 0
        self._tasks = 0
        self._sealed = False

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self._job

    @property
    def held(self) -> Held:
        """The job as it is here now: kept, or only read.

        Raises:
            UnavailableError: it is not here any more.
        """
        return self._deposits.held(self._job)

    def append(self, shards: Sequence[tuple[ShardIn, bytes]]) -> None:
        """Append arguments.

        Raises:
            UsageError: it is sealed, or was opened by another program.
        """
        if not self._writer or self._sealed:
            raise UsageError("nothing can be appended to a job that is sealed")
        if self.held.job.end:
            return
        heads = tuple(
            ShardHead(
                shard.count, shard.form, blob_digest(data), len(data), shard.shared
            )
            for shard, data in shards
        )
        batch = ShardBatch(self.id, self._shards, self._tasks, self._chain, heads)
        assert self.held.job.key is not None
        signed = seal(batch, self.held.job.key, self._deposits.means.grid)
        self._chain = blob_digest(self._chain + signed.body)
        self._shards += len(heads)
        self._tasks += sum(head.count for head in heads)
        contents = {
            head.digest: data for head, (_, data) in zip(heads, shards, strict=True)
        }
        shared = {one.digest: one.size for head in heads for one in head.shared}
        item = Item(Kind.SHARDS, signed)
        self._deposits.deposit(self.held, item, contents, shared)

    def seal(self) -> None:
        """Say that nothing more will be appended."""
        if self._writer and not self._sealed:
            self._sealed = True
            with contextlib.suppress(UnavailableError):  # forgotten meanwhile
                self._deposits.owning.change(self.held, {"sealed": self._tasks})

    def withdraw(self, start: int, stop: int) -> None:
        """Stop nothing: others may want these tasks."""

    def leave(self, follower: Follower) -> None:
        """A program has gone, or wants nothing more of the job."""
        self.seal()
        with contextlib.suppress(UnavailableError):
            self.held.job.outcomes.leave(follower)

    async def values(self, digest: bytes) -> bytes:
        """Return values that are a blob, from here or from another keeper.

        Raises:
            UnavailableError: nobody has them any more.
        """
        job = self.held.job
        size = job.blobs.get(digest)
        if size is None:
            raise UnavailableError("these values are no longer here")
        connections = [
            one.connection for one in self.held.fellows.there() if one.connection
        ]
        return await job.means.library.get(job.id, digest, size, *connections)

    def disclaim(self, digest: bytes) -> None:
        """Keep the values all the same: others may want them."""

    async def kept(self, timeout: float) -> KeptBy:
        """Return how many keepers hold it all, when that is enough or time is up."""
        return await self._deposits.kept(self.held, timeout)
