"""The Grid: an executor whose workers are other people's machines.

A function becomes a throw-away job the first time that it is used, and stays one: later
calls of it add tasks. `start` makes a job of its own, which outlives the program.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar, cast

import msgspec

from p2pslinger import limits
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.calls import Calls, GridFuture
from p2pslinger.client.job import Job
from p2pslinger.client.link import Link
from p2pslinger.client.packing import FunctionPackage, pack_function, pack_source
from p2pslinger.client.rows import Ready, Rows
from p2pslinger.client.sender import Sender
from p2pslinger.client.stream import RetiredError, Stream
from p2pslinger.client.values import Trust
from p2pslinger.errors import SlingerError, TooLargeError, UsageError
from p2pslinger.ids import from_text
from p2pslinger.wire.control import (
    Attach,
    Attached,
    GetJobs,
    GetPeers,
    GetStatus,
    GetTally,
    JobEnded,
    Jobs,
    Peers,
    Results,
    Status,
    Tally,
)
from p2pslinger.wire.facts import JobFacts, PeerFacts, StatusFacts, TallyFacts
from p2pslinger.wire.manifest import Policy

#: Functions whose jobs stay open though nothing of them is under way: opening one again
#: costs a millisecond, and each costs some memory here, at the peer and in the slots.
SHARED = 64

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
        self._trust: Trust = trust
        self._on_close = on_close
        self._lock = threading.RLock()
        self._streams: dict[int, Stream] = {}
        self._shared: dict[tuple[bytes, Policy], tuple[Stream, Calls]] = {}
        self._handles = 0
        self._sender = Sender()
        self._most_shared = SHARED
        self._down = False
        self._policy = Policy()
        link.on_push = self._heard
        link.on_lost = self._lost
        _grids.add(self)

    # --- running functions --------------------------------------------------------

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call `fn(*args, **kwargs)` on the grid; return its future.

        Raises:
            PackingError: the function can't be sent; the text says why.
            UsageError: the grid has been shut down.
        """
        return cast("Future[T]", self._submit(fn, args, kwargs, self._policy))

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
        return self._map_over(fn, iterables, timeout, self._policy)

    def starmap(
        self,
        fn: Callable[..., T],
        arguments: Iterable[tuple[object, ...]],
        *,
        timeout: float | None = None,
    ) -> Iterator[T]:
        """Like `map`, with the arguments of each call in a tuple."""
        return self._map(pack_function(fn), arguments, timeout, star=True)

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
        return self._map(pack_source(source, function), arguments, timeout, star=False)

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
        """
        package = pack_function(fn)
        policy = msgspec.structs.replace(
            self._policy,
            durable=True,
            timeout=timeout if timeout is not None else self._policy.timeout,
        )
        stream = self._open(name or package.name, package, policy)
        rows = Rows(keep=True)
        arguments = list(arguments)
        star = bool(arguments) and all(type(one) is tuple for one in arguments)
        self._put_all(stream, rows, package, arguments, star=star)
        stream.seal()
        return Job(self._link, stream, rows, name or package.name)

    def job(self, job: str) -> Job[object]:
        """Find a started job of this machine again, by its id or the start of one.

        Raises:
            UsageError: there is none.
        """
        stream = self._new_stream()
        rows = Rows(keep=True)
        stream.follow(rows)
        answer = cast(Attached, self._link.request(Attach(stream.handle, job)))
        rows.finish(answer.facts.tasks)
        stream.attached(from_text(answer.facts.job))
        return Job(self._link, stream, rows, answer.facts.name)

    def options(
        self, *, timeout: float | None = None, seeded: bool = True
    ) -> GridOptions:
        """Return this grid with other options for the functions that it runs.

        Args:
            timeout: Seconds that a task may take; then its process is ended and its
                future raises `TaskTimeoutError`.
            seeded: Whether `random` gives a task the same numbers in every run.
        """
        return GridOptions(self, Policy(timeout=timeout, seeded=seeded))

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
        with self._lock:
            if self._down:
                return
            self._down = True
            shared = list(self._shared.values())
        if cancel_futures:
            for stream, _ in shared:
                stream.close()  # at once, for there may be many futures to cancel
            for _, calls in shared:
                calls.cancel()
            self._close()
        elif wait:
            self._finish(shared)
        else:
            threading.Thread(target=self._finish, args=(shared,), daemon=True).start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what was submitted; after an exception, cancel it instead."""
        self.shutdown(wait=error is None, cancel_futures=error is not None)

    def _finish(self, shared: list[tuple[Stream, Calls]]) -> None:
        """Wait for all results, then end; end at once if interrupted."""
        try:
            for stream, _ in shared:
                stream.wait_until_idle()
        finally:
            self._close()

    def _close(self) -> None:
        _grids.discard(self)
        self._down = True
        self._sender.close()
        error = UsageError("the grid has been shut down: connect again")
        for stream in list(self._streams.values()):
            stream.broke(error)
        self._link.close()
        if self._on_close is not None:
            closing, self._on_close = self._on_close, None
            closing()

    # --- inside -------------------------------------------------------------------

    def _submit(
        self,
        fn: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        policy: Policy,
    ) -> GridFuture:
        package = pack_function(fn)
        while True:
            stream, calls = self._stream_of(package, policy)
            future = calls.add(args, kwargs)
            try:
                stream.put(calls, calls)
            except RetiredError:
                continue  # by another thread, a moment ago
            return future

    def _map_over(
        self,
        fn: Callable[..., T],
        iterables: tuple[Iterable[object], ...],
        timeout: float | None,
        policy: Policy,
    ) -> Iterator[T]:
        star = len(iterables) != 1
        arguments = zip(*iterables, strict=False) if star else iterables[0]
        package = pack_function(fn)
        return self._map(package, arguments, timeout, star=star, policy=policy)

    def _map(
        self,
        package: FunctionPackage,
        arguments: Iterable[object],
        timeout: float | None,
        *,
        star: bool,
        policy: Policy | None = None,
    ) -> Iterator[T]:
        started = time.monotonic()
        with self._lock:
            stream, calls = self._stream_of(package, policy or self._policy)
            calls.sharers += 1  # the arguments may be slow to come
        rows = Rows(keep=False, dropped=stream.drop)
        try:
            self._put_all(stream, rows, package, arguments, star=star)
        finally:
            with self._lock:
                calls.sharers -= 1
        left = None if timeout is None else timeout - (time.monotonic() - started)
        return cast("Iterator[T]", rows.read(timeout=left))

    def _put_all(
        self,
        stream: Stream,
        rows: Rows,
        package: FunctionPackage,
        arguments: Iterable[object],
        *,
        star: bool,
    ) -> None:
        """Send all arguments, and tell `rows` how many they are."""
        total = 0
        try:
            for shard in shards_of(arguments, star=star, shipped=package.modules):
                if len(shard.data) > limits.BLOB:
                    raise TooLargeError(
                        f"argument {total} has {len(shard.data):,} bytes, and at most "
                        f"{limits.BLOB:,} can be sent: send it in parts, or its "
                        "place in a file that all machines can read"
                    )
                stream.put(Ready(shard, total), rows)
                total += shard.count
        except BaseException:
            stream.drop(rows)
            raise
        finally:
            rows.finish(total)

    def _stream_of(
        self, package: FunctionPackage, policy: Policy
    ) -> tuple[Stream, Calls]:
        """Return the open job of a function."""
        key = (package.code, policy)
        self._check()
        with self._lock:
            known = self._shared.get(key)
            if known is None or known[0].broken:
                self._retire_some()
                stream = self._open(package.name, package, policy)
                calls = Calls(package.modules, stream.withdraw)
                known = self._shared[key] = (stream, calls)
            return known

    def _retire_some(self) -> None:
        """Close jobs that do nothing: closures in a loop are as many functions."""
        while len(self._shared) >= self._most_shared:
            idle = [
                (key, stream)
                for key, (stream, calls) in self._shared.items()
                if stream.broken or (not calls.sharers and stream.retire())
            ]
            for key, stream in idle:
                del self._shared[key]
                del self._streams[stream.handle]
            left = len(self._shared)  # at work: look again when they are a few more
            self._most_shared = max(SHARED, left + SHARED // 2 + left // 4)

    def _open(self, name: str, package: FunctionPackage, policy: Policy) -> Stream:
        stream = self._new_stream()
        stream.open(name, package, policy)
        return stream

    def _check(self) -> None:
        """See that work can be taken; before any lock, which a fork may have copied."""
        if self._down:
            raise UsageError("the grid has been shut down: connect again")
        self._link.check()

    def _new_stream(self) -> Stream:
        self._check()
        with self._lock:
            self._handles += 1
            stream = Stream(self._link, self._sender, self._handles, self._trust)
            self._streams[self._handles] = stream
            return stream

    def _heard(self, message: msgspec.Struct) -> None:
        """Take a push, in the link's reading thread."""
        if isinstance(message, Results):
            stream = self._streams.get(message.handle)
            if stream is not None:
                for out in message.ranges:
                    stream.results(out)
        elif isinstance(message, JobEnded):
            stream = self._streams.get(message.handle)
            if stream is not None:
                stream.ended(message)

    def _lost(self, why: SlingerError) -> None:
        for stream in list(self._streams.values()):
            stream.broke(why)


class GridOptions:
    """A grid with other options; see `Grid.options`."""

    def __init__(self, grid: Grid, policy: Policy) -> None:
        self._grid = grid
        self._policy = policy

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """See `Grid.submit`."""
        future = self._grid._submit(fn, args, kwargs, self._policy)
        return cast("Future[T]", future)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[object],
        timeout: float | None = None,
    ) -> Iterator[T]:
        """See `Grid.map`; `timeout` is for the results, not for a task."""
        return self._grid._map_over(fn, iterables, timeout, self._policy)


#: Open grids, to be closed with the interpreter.
_grids: weakref.WeakSet[Grid] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for grid in list(_grids):
        if not grid._link.inherited:
            grid._close()
