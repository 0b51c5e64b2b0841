"""One job as a simulated program sees it: what it was told, and when."""

from __future__ import annotations

import asyncio
from typing import cast

from p2pslinger import limits
from p2pslinger.client.arguments import Shard
from p2pslinger.client.failures import error_of
from p2pslinger.client.values import unpack_values
from p2pslinger.errors import SlingerError
from p2pslinger.ids import ID_BYTES, JobId
from p2pslinger.net.connection import Connection
from p2pslinger.wire.control import (
    Append,
    AppendBig,
    CloseJob,
    GetValues,
    RangeOut,
    Seal,
    ShardIn,
)
from p2pslinger.wire.owning import AwaitKept, KeptBy

#: The id of a job that has none yet.
UNKNOWN = JobId(bytes(ID_BYTES))


class ProgramJob:
    """One job of a simulated program.

    Args:
        connection: To its peer.
        handle: What the program calls it.
        id: Its id, if that is known.
        tasks: How many it has so far.

    Attributes:
        id: The job's id.
        tasks: How many it has.
        ranges: When each range of results came, in the order in which they came; in
            the world's seconds.
        values: Values that are here, by index.
        errors: Why tasks failed, by index.
        again: Tasks whose result came more than once.
        kept: How many keepers hold it, once that is known; of a durable job only.
    """

    def __init__(
        self,
        connection: Connection,
        handle: int,
        *,
        id: JobId = UNKNOWN,
        tasks: int = 0,
    ) -> None:
        self._connection = connection
        self._handle = handle
        self.id = id
        self.tasks = tasks
        self.kept: KeptBy | None = None
        self.ranges: list[tuple[float, RangeOut]] = []
        self.values: dict[int, object] = {}
        self.errors: dict[int, Exception] = {}
        self.again: list[int] = []
        self._why: SlingerError | None = None
        self._news = asyncio.Event()
        self._unread: list[RangeOut] = []

    async def append(self, shard: Shard) -> None:
        """Send more arguments."""
        self.tasks += shard.count
        form = int(shard.form)
        if len(shard.data) <= limits.INLINE:
            small = ShardIn(shard.count, form, shard.data)
            self._connection.push(Append(self._handle, (small,)))
        else:
            big = AppendBig(self._handle, shard.count, form, len(shard.data))
            await self._connection.request(big, shard.data)

    def seal(self) -> None:
        """Say that nothing more will be appended."""
        self._connection.push(Seal(self._handle))

    async def await_kept(self, timeout: float) -> KeptBy:
        """Wait until all wanted keepers hold the job, or for that many seconds."""
        ask = AwaitKept(self._handle, timeout)
        self.kept = cast("KeptBy", await self._connection.request(ask))
        return self.kept

    @property
    def is_done(self) -> bool:
        """Whether every task has an outcome here."""
        return len(self.values) + len(self.errors) >= self.tasks

    @property
    def why(self) -> SlingerError | None:
        """Why nothing more will come, or None."""
        return self._why

    async def results(self) -> list[object]:
        """Wait until every task has an outcome; return the values in order.

        Raises:
            Exception: what the first of the tasks that failed has raised.
            SlingerError: no more will come.
        """
        while not self.is_done:
            while self._unread:
                await self._fetch(self._unread.pop(0))
            if self.is_done:
                break
            if self._why is not None:
                raise self._why
            self._news.clear()
            await self._news.wait()
        if self.errors:
            raise self.errors[min(self.errors)]
        return [self.values[index] for index in range(self.tasks)]

    def leave(self) -> None:
        """Want nothing more of it: a throw-away job ends."""
        self._connection.push(CloseJob(self._handle))

    # --- called by its program ----------------------------------------------------

    def take(self, when: float, out: RangeOut) -> None:
        """Take in a range of results."""
        self.ranges.append((when, out))
        if out.digest:
            self._unread.append(out)
        else:
            self._read(out, out.values)
        self._news.set()

    def end(self, why: SlingerError) -> None:
        """No more will come."""
        self._why = self._why or why
        self._news.set()

    async def _fetch(self, out: RangeOut) -> None:
        """Get values that are too big for a message."""
        ask = GetValues(self._handle, out.digest)
        _, body = await self._connection.fetch(ask)
        self._read(out, await body.read_all(out.size))

    def _read(self, out: RangeOut, data: bytes) -> None:
        low, high = out.only or (out.start, out.stop)
        for failure in out.failures:
            if low <= failure.index < high:
                self._came(failure.index)
                self.errors[failure.index] = error_of(failure, "mine")
        values = unpack_values(out.form, data, "mine")
        for index, value in enumerate(values, out.start):
            if low <= index < high and index not in self.errors:
                self._came(index)
                self.values[index] = value

    def _came(self, index: int) -> None:
        if index in self.values or index in self.errors:
            self.again.append(index)
