"""Programs on simulated machines: what `slinger.connect()` is on a real one.

A real program has threads and a blocking socket, which virtual time can't have. This
one says the same things to its peer, over a stream that never leaves its host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import msgspec
from blake3 import blake3

from p2pslinger import limits
from p2pslinger.client.arguments import Shard, shards_of
from p2pslinger.client.failures import error_of
from p2pslinger.client.packing import FunctionPackage, pack_function
from p2pslinger.client.values import unpack_values
from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import JobId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handler, Handlers
from p2pslinger.testing.hosts import Host
from p2pslinger.version import __version__
from p2pslinger.wire.control import (
    CONTROL_CODEC,
    Append,
    AppendBig,
    CloseJob,
    GetValues,
    JobEnded,
    Opened,
    OpenJob,
    RangeOut,
    Results,
    Seal,
    ShardIn,
)
from p2pslinger.wire.manifest import Function, Policy
from p2pslinger.wire.messages import Hello


class Program:
    """A program and its connection to the peer of its machine.

    Args:
        loop: Gives the time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: dict[int, ProgramJob] = {}
        self._connection: Connection
        self._table = Handlers()
        self._table.on(Results, self._heard)
        self._table.on(JobEnded, self._ended)

    async def connect(self, host: Host, port: int) -> None:
        """Connect to the peer whose control port this is."""
        _, self._connection = await host.connect((host.ip, port), self._make)
        await self._connection.ready

    async def submit(
        self,
        function: Callable[..., object] | FunctionPackage,
        arguments: Iterable[object],
        *,
        name: str = "",
        policy: Policy | None = None,
    ) -> ProgramJob:
        """Submit a job of one task for each argument.

        Raises:
            PackingError: something in it can't be sent.
            SlingerError: the peer refuses it, or is gone.
        """
        package = function
        if not isinstance(package, FunctionPackage):
            package = pack_function(package)
        handle = len(self._jobs)
        job = self._jobs[handle] = ProgramJob(self, self._connection, handle)
        big = len(package.code) > limits.INLINE
        python = None if package.python is None else "{}.{}".format(*package.python)
        described = Function(
            package.name[: limits.NAME],
            b"" if big else package.code,
            blake3(package.code).digest(),
            len(package.code),
            python,
        )
        ask = OpenJob(handle, name or described.name, described, policy or Policy())
        answer = await self._connection.request(ask, package.code if big else None)
        job.id = JobId(cast("Opened", answer).job)
        for shard in shards_of(arguments, shipped=package.modules):
            await job.append(shard)
        self._connection.push(Seal(handle))
        return job

    def close(self) -> None:
        """End: throw-away jobs end as well."""
        self._connection.close()

    # --- the connection's service -------------------------------------------------

    def _make(self) -> Connection:
        return Connection(
            codec=CONTROL_CODEC,
            service=self,
            hello=lambda: Hello(limits.PROTOCOL, __version__, "program", 0.0),
            check=lambda *_: None,
            peer_key=None,
        )

    def opened(self, connection: Connection) -> None:
        """Nothing to do: whoever connects waits for it."""

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        """The peer is gone: nothing more will come of any job."""
        for job in self._jobs.values():
            job.end(why or UnavailableError("the program has disconnected"))

    def handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        """Return who takes which message."""
        return self._table

    def _heard(self, _: Connection, results: Results, __: Exchange) -> None:
        for out in results.ranges:
            self._jobs[results.handle].take(self._loop.time(), out)

    def _ended(self, _: Connection, ended: JobEnded, __: Exchange) -> None:
        self._jobs[ended.handle].end(UnavailableError(ended.text))


class ProgramJob:
    """One job of a simulated program.

    Attributes:
        id: The job's id.
        tasks: How many it has.
        ranges: When each range of results came, in the order in which they came.
        values: Values that are here, by index.
        errors: Why tasks failed, by index.
        again: Tasks whose result came more than once.
    """

    id: JobId

    def __init__(self, program: Program, connection: Connection, handle: int) -> None:
        self._program = program
        self._connection = connection
        self._handle = handle
        self.tasks = 0
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

    async def results(self) -> list[object]:
        """Wait until every task has an outcome; return the values in order.

        Raises:
            Exception: what the first of the tasks that failed has raised.
            SlingerError: no more will come.
        """
        while len(self.values) + len(self.errors) < self.tasks:
            while self._unread:
                await self._fetch(self._unread.pop(0))
            if len(self.values) + len(self.errors) >= self.tasks:
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
        for failure in out.failures:
            self.errors[failure.index] = error_of(failure, "mine")
        values = unpack_values(out.form, data, "mine")
        for index, value in enumerate(values, out.start):
            if index in self.values:
                self.again.append(index)
            if index not in self.errors:
                self.values[index] = value
