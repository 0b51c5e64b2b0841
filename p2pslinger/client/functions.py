"""The functions that a program calls, each with a job that stays open for more.

A function becomes a throw-away job the first time that it is used, and stays one: later
calls of it add tasks.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar, cast

from p2pslinger.client.calls import Calls, GridFuture
from p2pslinger.client.feeding import EVERYTHING, Ahead, LookAhead, ahead_of, put_all
from p2pslinger.client.initializer import Initializer, InitializerError
from p2pslinger.client.misuse import check_keywords
from p2pslinger.client.packing import FunctionPackage, pack_function
from p2pslinger.client.rows import Rows
from p2pslinger.client.session import Session
from p2pslinger.client.stream import RetiredError, Stream
from p2pslinger.wire.facts import ReasonFacts
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.needs import NOTHING, Needs

#: Functions whose jobs stay open though nothing of them is under way: opening one again
#: costs a millisecond, and each costs some memory here, at the peer and in the slots.
SHARED = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """How functions are to be run.

    Attributes:
        policy: What the peers have to know of it.
        first: What a slot calls before, if anything.
        needs: What the peers must have.
    """

    policy: Policy
    first: Initializer | None = None
    needs: Needs = NOTHING

    def pack(self, function: Callable[..., object]) -> FunctionPackage:
        """Pack a function, and what is to be called first.

        Raises:
            PackingError: it can't be sent.
            InitializerError: a slot's initializer has failed.
        """
        whole = function if self.first is None else self.first.before(function)
        return pack_function(whole)


@dataclass(slots=True)
class _Shared:
    stream: Stream
    calls: Calls
    first: Initializer | None


class Functions:
    """The open jobs of a program's functions."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.RLock()
        self._shared: dict[tuple[bytes, Policy, Needs], _Shared] = {}
        self._most = SHARED
        self._reading: weakref.WeakSet[Rows] = weakref.WeakSet()

    def submit(
        self,
        fn: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        terms: Terms,
        *,
        patient: bool = True,
    ) -> GridFuture:
        """Call `fn(*args, **kwargs)`; return its future.

        Args:
            patient: The calling thread may wait until the peer has room for the call.

        Raises:
            MisplacedOptionError: a keyword is one of the grid's, not the function's.
        """
        if kwargs:
            check_keywords(fn, kwargs)
        package = terms.pack(fn)
        while True:
            job = self._job_of(package, terms)
            future = job.calls.add(args, kwargs)
            try:
                job.stream.put(job.calls, job.calls, patient=patient)
            except RetiredError:
                continue  # by another thread, a moment ago
            return future

    def map(
        self,
        fn: Callable[..., T],
        iterables: tuple[Iterable[object], ...],
        timeout: float | None,
        terms: Terms,
        *,
        ahead: int | None = None,
        shown: bool = False,
    ) -> Iterator[T]:
        """Yield `fn(*x)` for the tuples that the iterables make, in order.

        Args:
            ahead: How many may have been read from the iterables and not yielded yet.
            shown: Show how far it is while the values are read.
        """
        star = len(iterables) != 1
        arguments = zip(*iterables, strict=False) if star else iterables[0]
        package = terms.pack(fn)
        rows = self.run(
            package,
            arguments,
            timeout,
            star=star,
            terms=terms,
            ahead=ahead_of(iterables, ahead),
            shown=shown,
        )
        return cast("Iterator[T]", rows)

    def run(
        self,
        package: FunctionPackage,
        arguments: Iterable[object],
        timeout: float | None,
        *,
        star: bool,
        terms: Terms,
        ahead: Ahead | None = None,
        errors: Literal["raise", "return"] = "raise",
        shown: bool = False,
    ) -> Iterator[object]:
        """Yield a packed function's values, in order.

        Args:
            package: The function.
            arguments: One for each call, or a tuple of them.
            timeout: Seconds from now after which a missing result raises.
            star: Whether they come as tuples.
            terms: How to run it.
            ahead: How far to read ahead, if the arguments alone do not say it.
            errors: "raise" the exception of a failed task, or "return" it in its place.
            shown: As for `map`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        open_job = partial(self.open_job, package, terms)
        read: Callable[[float | None], Iterator[object]]
        ahead = ahead or ahead_of((arguments,), None)
        if ahead is EVERYTHING:
            with open_job() as stream:  # the arguments may be slow to come
                rows = Rows(keep=False, dropped=stream.drop)
                put_all(stream, rows, package, arguments, star=star)
            read = partial(_read, rows, errors)
        else:
            some = LookAhead(open_job, package, arguments, star=star, ahead=ahead)
            some.fill()
            read, rows = partial(some.values, errors), some.rows
        self.read_by(rows)
        values = read(None if deadline is None else deadline - time.monotonic())
        if shown:
            with open_job() as stream:
                values = _watched(values, rows, package.name, stream.why)
        return values if terms.first is None else self._heeding(values, terms.first)

    @contextmanager
    def open_job(self, package: FunctionPackage, terms: Terms) -> Iterator[Stream]:
        """Give the open job of a function; it stays open as long as the block runs."""
        with self._lock:
            job = self._job_of(package, terms)
            job.calls.sharers += 1
        try:
            yield job.stream
        finally:
            with self._lock:
                job.calls.sharers -= 1

    def read_by(self, rows: Rows) -> None:
        """Take note of who reads results, perhaps after the end of the grid."""
        self._reading.add(rows)

    def wait_until_idle(self) -> None:
        """Wait until every call has an outcome, here, or will have none."""
        for job in self._all():
            job.stream.wait_until_idle()
        for rows in list(self._reading):
            rows.fetch_all()

    def cancel(self) -> None:
        """Cancel all calls without a result."""
        shared = self._all()
        for job in shared:
            job.stream.close()  # at once, for there may be many futures to cancel
        for job in shared:
            job.calls.cancel()

    def give_up(self, first: Initializer | None, error: InitializerError) -> None:
        """End all that needs an initializer, because it has failed in a slot."""
        if first is None or first.broken is not None:
            return
        first.broken = error
        for job in self._all():
            if job.first is first:
                job.stream.broke(error)

    # --- inside -------------------------------------------------------------------

    def _all(self) -> list[_Shared]:
        with self._lock:
            return list(self._shared.values())

    def _job_of(self, package: FunctionPackage, terms: Terms) -> _Shared:
        """Return the open job of a function."""
        key = (package.code, terms.policy, terms.needs)
        self._session.check()
        with self._lock:
            known = self._shared.get(key)
            if known is None or known.stream.broken:
                self._retire_some()
                stream = self._session.stream()
                stream.open(package.name, package, terms.policy, needs=terms.needs)
                useless = partial(self.give_up, terms.first)
                calls = Calls(package.modules, stream.withdraw, useless)
                known = self._shared[key] = _Shared(stream, calls, terms.first)
            return known

    def _retire_some(self) -> None:
        """Close jobs that do nothing: closures in a loop are as many functions."""
        while len(self._shared) >= self._most:
            idle = [
                key
                for key, job in self._shared.items()
                if job.stream.broken or (not job.calls.sharers and job.stream.retire())
            ]
            for key in idle:
                del self._shared[key]
            left = len(self._shared)  # at work: look again when they are a few more
            self._most = max(SHARED, left + SHARED // 2 + left // 4)

    def _heeding(
        self, values: Iterator[object], first: Initializer
    ) -> Iterator[object]:
        try:
            yield from values
        except InitializerError as error:
            self.give_up(first, error)
            raise


def _read(rows: Rows, errors: str, timeout: float | None) -> Iterator[object]:
    return rows.read(timeout=timeout, errors=errors)


def _watched(
    values: Iterator[object],
    rows: Rows,
    name: str,
    why: Callable[[], ReasonFacts | None],
) -> Iterator[object]:
    from p2pslinger.client.watching import Watch  # few programs show anything

    with Watch(lambda: rows.progress, name, why=why):
        yield from values
