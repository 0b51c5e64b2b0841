"""Programs on simulated machines: what `slinger.connect()` is on a real one.

A real program has threads and a blocking socket, which virtual time can't have. This
one says the same things to its peer, over a stream that never leaves its host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import msgspec

from p2pslinger import limits
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.packing import FunctionPackage, pack_function
from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import JobId, from_text
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handler, Handlers
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.loop import VirtualLoop
from p2pslinger.testing.programjobs import ProgramJob
from p2pslinger.version import __version__
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import (
    CONTROL_CODEC,
    Attach,
    Attached,
    CancelJob,
    JobEnded,
    Opened,
    OpenJob,
    Results,
)
from p2pslinger.wire.facts import JobFacts
from p2pslinger.wire.manifest import Function, Policy
from p2pslinger.wire.messages import Hello
from p2pslinger.wire.needs import NOTHING, Needs
from p2pslinger.wire.owning import ChangeJob, GetTicket, Ticket

__all__ = ["Program", "ProgramJob"]

#: Seconds that a durable job's keepers get before it is started with fewer.
KEPT_WITHIN = 10.0

#: A job that outlives its program, and of which nothing is computed again to compare.
DURABLE = Policy(durable=True)


class Program:
    """A program and its connection to the peer of its machine.

    Args:
        loop: Gives the time.
    """

    def __init__(self, loop: VirtualLoop) -> None:
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

    async def ask(self, question: msgspec.Struct) -> msgspec.Struct:
        """Put any question that a command may put, and return the answer."""
        return await self._connection.request(question)

    async def submit(
        self,
        function: Callable[..., object] | FunctionPackage,
        arguments: Iterable[object],
        *,
        name: str = "",
        policy: Policy | None = None,
        keepers: int = 2,
        needs: Needs = NOTHING,
    ) -> ProgramJob:
        """Submit a job of one task for each argument.

        Args:
            function: What each calls.
            arguments: What with.
            name: What people call the job.
            policy: How it wants to be run.
            keepers: Of a durable job: keepers wanted besides this peer.
            needs: What peers must have to compute it.

        Raises:
            PackingError: something in it can't be sent.
            SlingerError: the peer refuses it, or is gone.
        """
        package = function
        if not isinstance(package, FunctionPackage):
            package = pack_function(package)
        handle = len(self._jobs)
        job = self._jobs[handle] = ProgramJob(self._connection, handle)
        big = len(package.code) > limits.INLINE
        python = None if package.python is None else "{}.{}".format(*package.python)
        described = Function(
            package.name[: limits.NAME],
            b"" if big else package.code,
            blob_digest(package.code),
            len(package.code),
            python,
        )
        ask = OpenJob(
            handle,
            name or described.name,
            described,
            policy or Policy(),
            keepers,
            needs=needs,
        )
        answer = await self._connection.request(ask, package.code if big else None)
        job.id = JobId(cast("Opened", answer).job)
        for shard in shards_of(arguments, shipped=package.modules):
            await job.append(shard)
        job.seal()
        return job

    async def start(
        self,
        function: Callable[..., object] | FunctionPackage,
        arguments: Iterable[object],
        *,
        name: str = "",
        keepers: int = 2,
        within: float = KEPT_WITHIN,
        policy: Policy = DURABLE,
    ) -> ProgramJob:
        """Submit a durable job; return once its keepers hold it, or `within` s."""
        job = await self.submit(
            function,
            arguments,
            name=name,
            policy=policy,
            keepers=keepers,
        )
        await job.await_kept(within)
        return job

    async def attach(self, job: str) -> ProgramJob:
        """Follow a durable job of anybody, by its id; its results come from the first.

        Raises:
            SlingerError: nobody in reach knows it.
        """
        handle = len(self._jobs)
        followed = self._jobs[handle] = ProgramJob(self._connection, handle)
        answer = await self._connection.request(Attach(handle, job))
        facts = cast("Attached", answer).facts
        followed.id, followed.tasks = JobId(from_text(facts.job)), facts.tasks
        return followed

    async def change(self, job: str, change: str, value: float | None = None) -> None:
        """Change a durable job: "cancel", "pause", "resume", "extend", "forget" ...

        Raises:
            SlingerError: the peer refuses to, or is gone.
        """
        await self._connection.request(ChangeJob(job, change, value))

    async def ticket(self, job: str, *, owner: bool) -> Ticket:
        """Return a job's ticket, with its key for an owner."""
        return cast("Ticket", await self._connection.request(GetTicket(job, owner)))

    async def own(self, ticket: Ticket) -> JobFacts:
        """Make the peer an owner of the job that a ticket is for."""
        return cast("Attached", await self._connection.request(ticket)).facts

    async def cancel(self, job: str) -> None:
        """Cancel the throw-away job whose id is, or starts with, `job`.

        Raises:
            SlingerError: the peer refuses to, or is gone.
        """
        await self._connection.request(CancelJob(job))

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
            self._jobs[results.handle].take(self._loop.now, out)

    def _ended(self, _: Connection, ended: JobEnded, __: Exchange) -> None:
        self._jobs[ended.handle].end(UnavailableError(ended.text))
