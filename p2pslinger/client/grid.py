"""The Grid: an executor whose workers are other people's machines.

A function becomes a throw-away job the first time that it is used, and stays one: later
calls of it add tasks. `start` makes a job of its own, which outlives the program.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar, cast

import msgspec

from p2pslinger.client.asking import Asking
from p2pslinger.client.awaiting import Awaiting
from p2pslinger.client.checks import Replicate, Tolerance, with_checks
from p2pslinger.client.functions import Functions, Terms
from p2pslinger.client.initializer import Initializer
from p2pslinger.client.job import Job
from p2pslinger.client.keeping import KEEPERS, Keeping, seconds_of
from p2pslinger.client.link import Link
from p2pslinger.client.needing import asked
from p2pslinger.client.options import GridOptions, check_map
from p2pslinger.client.packing import pack_source
from p2pslinger.client.session import Session
from p2pslinger.client.sharing import Shared
from p2pslinger.client.starting import find_job, show_ticket, start_job, warning_of
from p2pslinger.client.tickets import load_ticket
from p2pslinger.client.values import Trust
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.needs import NOTHING, Needs

P = ParamSpec("P")
T = TypeVar("T")


class Grid(Executor, Awaiting, Asking):
    """Runs functions on the grid. Made by `connect` and `local`.

    Args:
        link: To this machine's peer.
        trust: How far values from other peers are decoded: "safe" (plain data only),
            or "pickle" (anything: they could run code here).
        on_close: Called when the grid is shut down.
        keepers: Peers that are to keep a started job, if it does not say how many.
        initializer: Called by each slot before it calls a function for the first time.
        initargs: Its arguments.
        needs: What peers must have to compute a function, if it does not say.
        types: Dataclasses, named tuples and enums of which "safe" values may be.
    """

    def __init__(
        self,
        link: Link,
        *,
        trust: Trust = "safe",
        on_close: Callable[[], None] | None = None,
        keepers: int = KEEPERS,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[object, ...] = (),
        needs: Needs = NOTHING,
        types: Iterable[type] = (),
    ) -> None:
        first = None if initializer is None else Initializer(initializer, initargs)
        self._link = link
        self._keepers = keepers
        self._session = Session(link, trust, on_close)
        self._session.named.add(types)
        self._functions = Functions(self._session)
        self._terms = Terms(Policy(), first, needs)

    # --- running functions --------------------------------------------------------

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call `fn(*args, **kwargs)` on the grid; return its future.

        A NumPy array of some megabytes comes back read-only: it is not copied. Every
        keyword is the function's: see `options` for time-outs, packages and the like.

        Raises:
            MisplacedOptionError: a keyword is such an option, and the function takes
                none of that name.
            PackingError: the function can't be sent; the text says why.
            ShutDownError: the grid has been shut down; a RuntimeError, too.
            BrokenExecutor: this machine's peer has gone, or an initializer has failed.
        """
        future = self._functions.submit(fn, args, kwargs, self._terms)
        return cast("Future[T]", future)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[object],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: bool = False,
    ) -> Iterator[T]:
        """Yield `fn(x)` for every x (or `fn(x, y)` for two iterables), in order.

        Arguments that say how long they are are read at once. Others, such as a
        generator's, are read as results are: a thousand ahead at first, then as many as
        keep a grid busy; or `buffersize`. The results come as they arrive.

        Args:
            fn: An ordinary function.
            iterables: Arguments, one iterable for each parameter.
            timeout: Seconds from the call after which a missing result raises.
            chunksize: Accepted for compatibility: the grid chooses by measured time.
            buffersize: Arguments that may have been read without their results having
                been yielded. By default all of them; of a generator 65,536, or
                fewer if they or their results are large.
            progress: Show how far it is while the results are read.

        Raises:
            PackingError: the function or an argument can't be sent.
            TimeoutError: a result is not there in time.
            Exception: what a task has raised, when its turn comes.
        """
        check_map(chunksize, buffersize)
        return self._functions.map(
            fn, iterables, timeout, self._terms, ahead=buffersize, shown=progress
        )

    def starmap(
        self,
        fn: Callable[..., T],
        arguments: Iterable[tuple[object, ...]],
        *,
        timeout: float | None = None,
    ) -> Iterator[T]:
        """Like `map`, with the arguments of each call in a tuple."""
        rows = self._functions.run(
            self._terms.pack(fn), arguments, timeout, star=True, terms=self._terms
        )
        return cast("Iterator[T]", rows)

    def map_source(
        self,
        source: str | Path,
        function: str,
        arguments: Iterable[object],
        *,
        timeout: float | None = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> Iterator[object]:
        """Like `map`, with a function of some source text, or of a file.

        Slots of any Python version can run it: it is not pickled.

        Args:
            source: Python source text, or the path of a file.
            function: The name of a function at its top level.
            arguments: One argument for each call.
            timeout: As for `map`.
            errors: "raise" the exception of a failed task, or "return" it in its place.
        """
        package = pack_source(source, function)
        terms = Terms(self._terms.policy, needs=self._terms.needs)
        return self._functions.run(
            package, arguments, timeout, star=False, terms=terms, errors=errors
        )

    def start(
        self,
        fn: Callable[..., T],
        arguments: Iterable[object],
        *,
        name: str | None = None,
        timeout: float | None = None,
        keepers: int | None = None,
        require_keepers: bool = False,
        keep: float | timedelta | None = None,
        priority: int = 0,
        requires: Iterable[str] | None = None,
        platform: str | None = None,
        memory: int | str | None = None,
        sandbox: bool | None = None,
        types: Iterable[type] = (),
        replicate: Replicate = "adaptive",
        tolerance: Tolerance | None = None,
    ) -> Job[T]:
        """Start a job that goes on when this program ends, and this machine.

        Returns when so many other peers keep it that it is safe; if they can't be found
        within 10 s, warns: `job.kept` says how many do. `job(id)` finds it again.

        Args:
            fn: An ordinary function.
            arguments: For each task a tuple of arguments, or a single argument that
                is no tuple.
            name: What to call it; by default the function's name.
            timeout: Seconds that a task may take.
            keepers: Peers that are to keep it, besides this machine's: 2 by default,
                and none in a `local` grid, which ends with the program in any case.
            require_keepers: Rather cancel it than have it kept by fewer.
            keep: How long it is kept, results included: seconds, or a time span. By
                default a week.
            priority: Higher first among this machine's jobs, -100 to 100.
            requires: Packages that a peer must have to compute it, as "numpy>=2".
            platform: What its machine must be: "linux", "macos-arm64" and the like.
            memory, sandbox, types: As for `options`.
            replicate: "adaptive": the first results of every peer are computed again by
                another one, later ones ever more rarely; "never"; or by how many peers
                each task is computed, 2 to 5. `job.checks` says what came of it.
            tolerance: How far floating-point numbers, also in containers and arrays,
                may be apart and still agree: as a part of the larger, or a tuple of
                that and a difference. By default they must be the same.

        Raises:
            PackingError: the function or an argument can't be sent.
            UsageError: a number is out of bounds, or a requirement is none.
            UnavailableError: the peer has not taken all of the job, or too few others
                have and they are required.
        """
        self._session.named.add(types)
        wanted = self._keepers if keepers is None else keepers
        seconds = None if keep is None else seconds_of(keep)
        default = self._terms.needs
        needs = asked(requires, platform, default, memory=memory, sandbox=sandbox)
        package = self._terms.pack(fn)
        policy = msgspec.structs.replace(
            with_checks(self._terms.policy, replicate, tolerance),
            durable=True,
            timeout=timeout,
        )
        job = start_job(
            self._link,
            self._session,
            package,
            arguments,
            name=name or package.name,
            policy=policy,
            keeping=Keeping(wanted, seconds, priority),
            needs=needs,
            require=require_keepers,
        )
        if job.why_not_kept:
            warnings.warn(warning_of(self._link, job), stacklevel=2)
        return cast("Job[T]", job)

    def job(self, job: str, *, types: Iterable[type] = ()) -> Job[object]:
        """Find a started job again.

        Args:
            job: Its id, or the start of one if this machine's peer knows the job. By
                its whole id it is found wherever in the grid it is kept.
            types: As for `options`.

        Raises:
            UsageError: there is none.
            UnavailableError: its program has not sent all of it for a while.
        """
        self._session.named.add(types)
        return find_job(self._link, self._session, job)

    def use_ticket(self, ticket: str | Path) -> Job[object]:
        """Find the job of a ticket; with an owner's, this machine decides for it.

        Args:
            ticket: Its text, or the path of a file that has it.

        Raises:
            UsageError: it is no ticket, or for another grid.
            UnavailableError: nobody in reach knows the job.
        """
        return self.job(show_ticket(self._link, load_ticket(ticket)))

    def share(self, value: T) -> Shared[T]:
        """Send a value once, for all tasks that need it; return its handle.

        Hand the handle to tasks in place of the value, or use it in the function; a
        task finds the value in `handle.value`. Each volunteer gets it once and decodes
        it once in each process, so tasks must not change it: a NumPy array can't be.
        It stays with the grid while the handle is in use here, or a job needs it.

        Raises:
            PackingError: it can't be sent.
            UnavailableError: this machine's peer has no room for it.
        """
        return cast("Shared[T]", self._session.share(value))

    def options(
        self,
        *,
        timeout: float | None = None,
        seeded: bool = True,
        trusted: bool = False,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[object, ...] = (),
        requires: Iterable[str] | None = None,
        platform: str | None = None,
        memory: int | str | None = None,
        sandbox: bool | None = None,
        types: Iterable[type] = (),
    ) -> GridOptions:
        """Return this grid with other options for the functions that it runs.

        Args:
            timeout: Seconds that a task may take; then its process is ended and its
                future raises `TaskTimeoutError`.
            seeded: Whether `random` gives a task the same numbers in every run.
            trusted: Have it computed only by slots of this machine, and of peers that
                count as its own: what they return is unpickled, whatever it is.
            initializer: Called by each slot before it calls a function for the first
                time; by default this grid's. If it fails, so does everything.
            initargs: Its arguments.
            requires: Packages that a peer must have, as "numpy>=2"; by default what
                this grid requires.
            platform: What its machine must be: "linux", "macos-arm64" and the like.
            memory: What a task needs, bytes or "2 GiB": peers that give a slot less
                never see it, and its process gets no more.
            sandbox: Confine it on this machine as it is confined on others', and read
                what it returns as theirs: as plain data.
            types: Dataclasses, named tuples and enums that results may hold, whoever
                has computed them; from now on those of this whole grid.

        Raises:
            UsageError: a requirement is none, or a type is of another kind.
        """
        self._session.named.add(types)
        first = self._terms.first
        if initializer is not None:
            first = Initializer(initializer, initargs)
        default = self._terms.needs
        needs = asked(requires, platform, default, memory=memory, sandbox=sandbox)
        policy = Policy(timeout=timeout, seeded=seeded, trusted=trusted)
        terms = Terms(policy, first, needs)
        return GridOptions(self._functions, terms)

    @property
    def trust(self) -> Trust:
        """How far values from other peers are decoded."""
        return self._session.trust

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
