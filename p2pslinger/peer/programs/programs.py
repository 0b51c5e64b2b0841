"""Programs: what this machine's own processes ask of its peer, on the control socket.

Each connection holds the jobs that it has opened, by the program's own handles. When it
ends, by whatever death, its throw-away jobs end with it and their slots are free.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError, UsageError
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handler, Handlers
from p2pslinger.peer.blobs.shared import SharedValues
from p2pslinger.peer.durable.deposits import Deposits
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.bigvalues import BigValues
from p2pslinger.peer.programs.decisions import Decisions
from p2pslinger.peer.programs.handover import ProgramConnection, taken
from p2pslinger.peer.programs.jobreports import JobReports
from p2pslinger.peer.programs.listener import Listener
from p2pslinger.peer.programs.questions import Questions
from p2pslinger.peer.programs.replays import Replays
from p2pslinger.peer.programs.submissions import Submission, ThrowAway
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.peer.reports import Reports
from p2pslinger.version import __version__
from p2pslinger.wire.control import (
    CONTROL_CODEC,
    Append,
    AppendBig,
    Attach,
    Attached,
    CloseJob,
    Done,
    Opened,
    OpenJob,
    Seal,
    ShardIn,
    Stop,
    Withdraw,
)
from p2pslinger.wire.messages import Hello
from p2pslinger.wire.owning import AwaitKept


class Following(NamedTuple):
    """A job that a program follows, and its ear for it."""

    job: Submission
    listener: Listener


class Programs:
    """The control socket's service.

    Args:
        owner: Owns the tasks that read bodies.
        submitter: Runs programs' throw-away jobs.
        deposits: Runs their durable ones.
        shared: Has the values that they share with their tasks.
        reports: Answers questions about this peer.
        jobreports: Answers questions about jobs.
        wall: Gives the wall time, seconds.
        stop: Ends the peer.
        deserted: Called when the last program has gone.
    """

    def __init__(
        self,
        *,
        owner: Owner,
        submitter: Submitter,
        deposits: Deposits,
        shared: SharedValues,
        reports: Reports,
        jobreports: JobReports,
        wall: Callable[[], float],
        stop: Callable[[], None],
        deserted: Callable[[], None],
        more: Callable[[Handlers], None],
    ) -> None:
        self._owner = owner
        self._submitter = submitter
        self._deposits = deposits
        self._shared = shared
        self._reports = reports
        self._jobs_told = jobreports
        self._wall = wall
        self._stop = stop
        self._deserted = deserted
        self._more = more
        self._jobs: dict[Connection, dict[int, Following]] = {}
        #: Connections that were broken off, by cause.
        self.dropped: Counter[str] = Counter()
        self._closing = False
        self._table = self._make_table()

    def __len__(self) -> int:
        return len(self._jobs)

    def make(self) -> Connection:
        """Return the peer's end of a new control connection."""
        connection = ProgramConnection(
            codec=CONTROL_CODEC,
            service=self,
            hello=lambda: Hello(limits.PROTOCOL, __version__, "peer", self._wall()),
            check=self._check,
            peer_key=None,
        )
        connection.ready.add_done_callback(self._greeted)
        return connection

    def connections(self) -> list[Connection]:
        """Return the open connections."""
        return list(self._jobs)

    def processes(self) -> set[int]:
        """Return the ids of the processes that are connected, as far as known."""
        found = (one for one in self._jobs if isinstance(one, ProgramConnection))
        return {one.process for one in found if one.process}

    def refuse(self) -> None:
        """Take no more programs: the peer is about to go."""
        self._closing = True

    def close(self) -> None:
        """End every connection."""
        self.refuse()
        for connection in list(self._jobs):
            connection.close(UnavailableError("the peer is shutting down"))

    def _check(self, _: Connection, hello: Hello) -> None:
        if hello.role != "program":
            raise PeerError("is no program: other peers are served on the network port")
        if self._closing:
            raise UnavailableError("the peer is shutting down")

    # --- the connections' service -------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A program has connected."""
        self._jobs[connection] = {}

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        """A program is gone, and with it its throw-away jobs."""
        self._count(why)
        for following in self._jobs.pop(connection, {}).values():
            following.job.leave(following.listener)
        self._shared.left(connection)
        if not self._jobs:
            self._deserted()

    def _greeted(self, ready: asyncio.Future[None]) -> None:
        if not ready.cancelled():
            self._count(ready.exception())

    def _count(self, why: BaseException | None) -> None:
        if isinstance(why, PeerError):
            self.dropped["control"] += 1

    def handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        """Return who takes which message."""
        return self._table

    def _make_table(self) -> Handlers:
        table = Handlers()
        table.on(OpenJob, self._open)
        table.on(Append, self._append)
        table.on(AppendBig, self._append_big)
        self._shared.add_to(table)
        Replays(self._owner, self._submitter, self._deposits).add_to(table)
        table.on(Seal, self._seal)
        table.on(Withdraw, self._withdraw)
        table.on(CloseJob, self._close_job)
        BigValues(self._owner, self._job).add_to(table)
        table.on(Attach, self._attach)
        table.on(AwaitKept, self._await_kept)
        decisions = Decisions(
            self._owner, self._submitter, self._deposits, self._jobs_told
        )
        decisions.add_to(table)
        Questions(self._reports, self._jobs_told).add_to(table)
        self._more(table)
        table.on(Stop, self._shut_down)
        return table

    # --- jobs ---------------------------------------------------------------------

    def _job(self, connection: Connection, handle: int) -> Submission:
        try:
            return self._jobs[connection][handle].job
        except KeyError:
            raise UsageError(f"job {handle} was refused, or is over") from None

    def _open(self, connection: Connection, ask: OpenJob, exchange: Exchange) -> None:
        if ask.handle in self._jobs[connection]:
            raise PeerError(f"opened job {ask.handle} twice")
        if exchange.body is None:
            self._opened_with(connection, ask, ask.function.code, exchange)
        else:
            self._owner.spawn(
                self._read_then(
                    exchange,
                    exchange.body,
                    ask.function.size,
                    lambda code: self._opened_with(connection, ask, code, exchange),
                )
            )

    def _opened_with(
        self, connection: Connection, ask: OpenJob, code: bytes, exchange: Exchange
    ) -> None:
        if connection not in self._jobs:
            return  # it has gone while its function was being read
        listener = Listener(connection, ask.handle)
        job: Submission
        if ask.policy.durable:
            deposit = self._deposits.open(ask, code)
            deposit.held.job.outcomes.follow(listener)
            job = deposit
        else:
            own = self._submitter.open(ask, code, listener)
            job = ThrowAway(self._submitter, own, self._shared)
        self._jobs[connection][ask.handle] = Following(job, listener)
        exchange.reply(Opened(job.id))

    def _append(self, connection: Connection, append: Append, _: Exchange) -> None:
        following = self._jobs[connection].get(append.handle)
        if following is None:
            return  # it was refused, or is over
        try:
            self._shared.lend(connection, following.job.id, append.shards)
            following.job.append([(shard, shard.data) for shard in append.shards])
        except UsageError as error:
            following.listener.ended("usage", str(error))

    def _append_big(
        self, connection: Connection, append: AppendBig, exchange: Exchange
    ) -> None:
        job = self._job(connection, append.handle)
        shard = ShardIn(append.count, append.form, b"", append.shared)
        self._shared.lend(connection, job.id, (shard,))

        def got(data: bytes) -> None:
            job.append([(shard, data)])
            exchange.reply(Done())

        if append.memory:
            got(taken(connection, append.memory, append.size))
        elif exchange.body is None:
            raise PeerError("announced a big shard and sent no bytes")
        else:
            reading = self._read_then(exchange, exchange.body, append.size, got)
            self._owner.spawn(reading)

    async def _read_then(
        self,
        exchange: Exchange,
        body: Body,
        size: int,
        then: Callable[[bytes], None],
    ) -> None:
        """Read a request's body, then go on; what goes wrong is the answer."""
        try:
            data = await body.read_all(size)
            if len(data) != size:
                raise PeerError(f"announced {size} bytes and sent {len(data)}")
            then(data)
        except SlingerError as error:
            exchange.fail(error)

    def _seal(self, connection: Connection, seal: Seal, _: Exchange) -> None:
        following = self._jobs[connection].get(seal.handle)
        if following is not None:
            following.job.seal()

    def _withdraw(self, connection: Connection, what: Withdraw, _: Exchange) -> None:
        following = self._jobs[connection].get(what.handle)
        if following is not None:
            following.job.withdraw(what.start, what.stop)

    def _close_job(self, connection: Connection, what: CloseJob, _: Exchange) -> None:
        following = self._jobs[connection].pop(what.handle, None)
        if following is not None:
            following.job.leave(following.listener)

    def _await_kept(
        self, connection: Connection, ask: AwaitKept, exchange: Exchange
    ) -> None:
        job = self._job(connection, ask.handle)
        self._owner.spawn(self._say_when_kept(job, ask.timeout, exchange))

    async def _say_when_kept(
        self, job: Submission, timeout: float, exchange: Exchange
    ) -> None:
        exchange.reply(await job.kept(timeout))

    def _attach(self, connection: Connection, ask: Attach, exchange: Exchange) -> None:
        if ask.handle in self._jobs[connection]:
            raise PeerError(f"opened job {ask.handle} twice")
        held = self._deposits.find(ask.job)
        if held is not None:
            self._follow(connection, ask.handle, held, exchange)
        elif self._submitter.find(ask.job) is not None:
            raise UsageError("a throw-away job belongs to the program that opened it")
        else:
            self._owner.spawn(self._seek_and_follow(connection, ask, exchange))

    async def _seek_and_follow(
        self, connection: Connection, ask: Attach, exchange: Exchange
    ) -> None:
        try:
            held = await self._deposits.seek(ask.job)
        except SlingerError as error:
            exchange.fail(error)
        else:
            self._follow(connection, ask.handle, held, exchange)

    def _follow(
        self, connection: Connection, handle: int, held: Held, exchange: Exchange
    ) -> None:
        if connection not in self._jobs:
            return  # it has gone while the job was being looked for
        listener = Listener(connection, handle)
        exchange.reply(Attached(self._jobs_told.durable(held)))
        deposit = self._deposits.follow(held, listener)
        self._jobs[connection][handle] = Following(deposit, listener)

    def _shut_down(self, _: Connection, __: Stop, exchange: Exchange) -> None:
        exchange.reply(Done())
        asyncio.get_running_loop().call_soon(self._stop)
