"""The Grid: an executor whose workers are other people's machines.

A function becomes a throw-away job the first time that it is used, and stays one: later
calls of it add tasks. `start` makes a job of its own, which outlives the program.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar, cast

import msgspec

from p2pslinger.client.functions import Functions, put_all
from p2pslinger.client.job import Job
from p2pslinger.client.link import Link
from p2pslinger.client.options import GridOptions
from p2pslinger.client.packing import pack_function, pack_source
from p2pslinger.client.rows import Rows
from p2pslinger.client.session import Session
from p2pslinger.client.values import Trust
from p2pslinger.errors import UnavailableError
from p2pslinger.wire.control import (
    GetJobs,
    GetPeers,
    GetStatus,
    GetTally,
    Jobs,
    Peers,
    Status,
    Tally,
)
from p2pslinger.wire.facts import JobFacts, PeerFacts, StatusFacts, TallyFacts
from p2pslinger.wire.manifest import Policy

#: Seconds to wait for the rest of a job that another program is still sending.
SEALING = 30.0

#: Seconds between two looks at whether it has.
LOOK = 0.05

P = ParamSpec("P")
T = TypeVar("T")


class Grid(Executor):
    """Runs functions on the grid. Made by `connect` and `local`.

    Args:
        link: To this machine's peer.
        trust: How far values from other peers are decoded: "safe" (plain data only),
            or "pickle" (anything: they could run code here).
        on_close: Called when the grid is shut down.
    """

    def __init__(
        self,
        link: Link,
        *,
        trust: Trust = "safe",
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._link = link
        self._session = Session(link, trust, on_close)
        self._functions = Functions(self._session)
        self._policy = Policy()

    # --- running functions --------------------------------------------------------

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call `fn(*args, **kwargs)` on the grid; return its future.

        Raises:
            PackingError: the function can't be sent; the text says why.
            UsageError: the grid has been shut down.
        """
        future = self._functions.submit(fn, args, kwargs, self._policy)
        return cast("Future[T]", future)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[object],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Yield `fn(x)` for every x (or `fn(x, y)` for two iterables), in order.

        The arguments are read at once, the results come as they arrive.

        Args:
            fn: An ordinary function.
            iterables: Arguments, one iterable for each parameter.
            timeout: Seconds from the call after which a missing result raises.
            chunksize: Accepted for compatibility: the grid chooses by measured time.
            buffersize: Likewise.

        Raises:
            PackingError: the function or an argument can't be sent.
            TimeoutError: a result is not there in time.
            Exception: what a task has raised, when its turn comes.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        return self._functions.map(fn, iterables, timeout, self._policy)

    def starmap(
        self,
        fn: Callable[..., T],
        arguments: Iterable[tuple[object, ...]],
        *,
        timeout: float | None = None,
    ) -> Iterator[T]:
        """Like `map`, with the arguments of each call in a tuple."""
        rows = self._functions.run(
            pack_function(fn), arguments, timeout, star=True, policy=self._policy
        )
        return cast("Iterator[T]", rows)

    def map_source(
        self,
        source: str | Path,
        function: str,
        arguments: Iterable[object],
        *,
        timeout: float | None = None,
    ) -> Iterator[object]:
        """Like `map`, with a function of some source text, or of a file.

        Slots of any Python version can run it: it is not pickled.

        Args:
            source: Python source text, or the path of a file.
            function: The name of a function at its top level.
            arguments: One argument for each call.
            timeout: As for `map`.
        """
        package = pack_source(source, function)
        return self._functions.run(
            package, arguments, timeout, star=False, policy=self._policy
        )

    def start(
        self,
        fn: Callable[..., T],
        arguments: Iterable[object],
        *,
        name: str | None = None,
        timeout: float | None = None,
    ) -> Job[T]:
        """Start a job that goes on when this program ends; `job(id)` finds it again.

        Args:
            fn: An ordinary function.
            arguments: For each task a tuple of arguments, or a single argument that
                is no tuple.
            name: What to call it; by default the function's name.
            timeout: Seconds that a task may take.

        Raises:
            PackingError: the function or an argument can't be sent.
            UnavailableError: the peer has not taken all of the job.
        """
        package = pack_function(fn)
        policy = msgspec.structs.replace(
            self._policy,
            durable=True,
            timeout=timeout if timeout is not None else self._policy.timeout,
        )
        arguments = list(arguments)
        star = bool(arguments) and all(type(one) is tuple for one in arguments)
        self._link.check_waiting()
        stream, rows = self._session.stream(), Rows(keep=True)
        try:
            stream.open(name or package.name, package, policy)
            put_all(stream, rows, package, arguments, star=star)
            stream.seal()
            stream.wait_until_held()
        except BaseException:
            stream.abort(UnavailableError("the job was not started: try again"))
            raise
        return Job(self._link, stream, rows, name or package.name)

    def job(self, job: str) -> Job[object]:
        """Find a started job of this machine again, by its id or the start of one.

        Raises:
            UsageError: there is none.
            UnavailableError: its program has not sent all of it for a while.
        """
        self._link.check_waiting()
        stream, rows = self._session.stream(), Rows(keep=True)
        facts = stream.attach(job, rows)
        found: Job[object] = Job(self._link, stream, rows, facts.name)
        try:
            rows.finish(_when_sealed(found, facts).tasks)
        except BaseException as error:
            stream.broke(error)
            raise
        return found

    def options(
        self, *, timeout: float | None = None, seeded: bool = True
    ) -> GridOptions:
        """Return this grid with other options for the functions that it runs.

        Args:
            timeout: Seconds that a task may take; then its process is ended and its
                future raises `TaskTimeoutError`.
            seeded: Whether `random` gives a task the same numbers in every run.
        """
        return GridOptions(self._functions, Policy(timeout=timeout, seeded=seeded))

    # --- asking -------------------------------------------------------------------

    def peers(self) -> tuple[PeerFacts, ...]:
        """Return this machine's peer, and those that it is connected to."""
        return cast(Peers, self._link.request(GetPeers())).facts

    def tally(self) -> tuple[TallyFacts, ...]:
        """Return who has contributed what to this machine's jobs."""
        return cast(Tally, self._link.request(GetTally())).facts

    def jobs(self) -> tuple[JobFacts, ...]:
        """Return this machine's jobs, newest first."""
        return cast(Jobs, self._link.request(GetJobs())).facts

    def status(self) -> StatusFacts:
        """Return the state of this machine's peer."""
        return cast(Status, self._link.request(GetStatus())).facts

    # --- the end ------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work.

        Args:
            wait: Wait for the results of what was submitted, started jobs excepted.
            cancel_futures: Cancel what has no result yet.
        """
        if self._link.inherited:
            return  # it goes on in the process that this one was forked from
        if wait and not cancel_futures:
            self._link.check_waiting()
        self._session.take_no_more()
        if cancel_futures:
            self._cancel()
        elif wait:
            self._finish()
        else:  # the interpreter waits for this thread before it ends
            threading.Thread(target=self._finish, name="slinger shutdown").start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what was submitted; after an exception, cancel it instead."""
        self.shutdown(wait=error is None, cancel_futures=error is not None)

    def _finish(self) -> None:
        """Wait for all results, then end; end at once if interrupted."""
        try:
            self._functions.wait_until_idle()
        finally:
            self._session.close()

    def _cancel(self) -> None:
        try:
            self._functions.cancel()
        finally:
            self._session.close()


def _when_sealed(job: Job[object], facts: JobFacts) -> JobFacts:
    """Wait until a job has all its tasks; return what is known of it then."""
    deadline = time.monotonic() + SEALING
    while facts.state == "open" and not facts.sealed:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"job {facts.job} is still being submitted, with {facts.tasks} tasks "
                "so far: try again when its program has sent them all"
            )
        time.sleep(LOOK)
        facts = job.facts()
    return facts
