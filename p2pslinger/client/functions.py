"""The functions that a program calls, each with a job that stays open for more.

A function becomes a throw-away job the first time that it is used, and stays one: later
calls of it add tasks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from p2pslinger import limits
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.calls import Calls, GridFuture
from p2pslinger.client.packing import FunctionPackage, pack_function
from p2pslinger.client.rows import Ready, Rows
from p2pslinger.client.session import Session
from p2pslinger.client.stream import RetiredError, Stream
from p2pslinger.errors import TooLargeError
from p2pslinger.wire.manifest import Policy

#: Functions whose jobs stay open though nothing of them is under way: opening one again
#: costs a millisecond, and each costs some memory here, at the peer and in the slots.
SHARED = 64

T = TypeVar("T")


class Functions:
    """The open jobs of a program's functions."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.RLock()
        self._shared: dict[tuple[bytes, Policy], tuple[Stream, Calls]] = {}
        self._most = SHARED

    def submit(
        self,
        fn: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        policy: Policy,
    ) -> GridFuture:
        """Call `fn(*args, **kwargs)`; return its future."""
        package = pack_function(fn)
        while True:
            stream, calls = self._job_of(package, policy)
            future = calls.add(args, kwargs)
            try:
                stream.put(calls, calls)
            except RetiredError:
                continue  # by another thread, a moment ago
            return future

    def map(
        self,
        fn: Callable[..., T],
        iterables: tuple[Iterable[object], ...],
        timeout: float | None,
        policy: Policy,
    ) -> Iterator[T]:
        """Yield `fn(*x)` for the tuples that the iterables make, in order."""
        star = len(iterables) != 1
        arguments = zip(*iterables, strict=False) if star else iterables[0]
        package = pack_function(fn)
        rows = self.run(package, arguments, timeout, star=star, policy=policy)
        return cast("Iterator[T]", rows)

    def run(
        self,
        package: FunctionPackage,
        arguments: Iterable[object],
        timeout: float | None,
        *,
        star: bool,
        policy: Policy,
    ) -> Iterator[object]:
        """Yield a packed function's values, in order.

        Args:
            package: The function.
            arguments: One for each call, or a tuple of them.
            timeout: Seconds from now after which a missing result raises.
            star: Whether they come as tuples.
            policy: How to run it.
        """
        started = time.monotonic()
        with self._lock:
            stream, calls = self._job_of(package, policy)
            calls.sharers += 1  # the arguments may be slow to come
        rows = Rows(keep=False, dropped=stream.drop)
        try:
            put_all(stream, rows, package, arguments, star=star)
        finally:
            with self._lock:
                calls.sharers -= 1
        left = None if timeout is None else timeout - (time.monotonic() - started)
        return rows.read(timeout=left)

    def wait_until_idle(self) -> None:
        """Wait until every call has an outcome, or will have none."""
        for stream, _ in self._all():
            stream.wait_until_idle()

    def cancel(self) -> None:
        """Cancel all calls without a result."""
        shared = self._all()
        for stream, _ in shared:
            stream.close()  # at once, for there may be many futures to cancel
        for _, calls in shared:
            calls.cancel()

    # --- inside -------------------------------------------------------------------

    def _all(self) -> list[tuple[Stream, Calls]]:
        with self._lock:
            return list(self._shared.values())

    def _job_of(self, package: FunctionPackage, policy: Policy) -> tuple[Stream, Calls]:
        """Return the open job of a function."""
        key = (package.code, policy)
        self._session.check()
        with self._lock:
            known = self._shared.get(key)
            if known is None or known[0].broken:
                self._retire_some()
                stream = self._session.stream()
                stream.open(package.name, package, policy)
                calls = Calls(package.modules, stream.withdraw)
                known = self._shared[key] = (stream, calls)
            return known

    def _retire_some(self) -> None:
        """Close jobs that do nothing: closures in a loop are as many functions."""
        while len(self._shared) >= self._most:
            idle = [
                key
                for key, (stream, calls) in self._shared.items()
                if stream.broken or (not calls.sharers and stream.retire())
            ]
            for key in idle:
                del self._shared[key]
            left = len(self._shared)  # at work: look again when they are a few more
            self._most = max(SHARED, left + SHARED // 2 + left // 4)


def put_all(
    stream: Stream,
    rows: Rows,
    package: FunctionPackage,
    arguments: Iterable[object],
    *,
    star: bool,
) -> None:
    """Send all arguments, and tell `rows` how many they are.

    Raises:
        PackingError: one can't be sent.
        TooLargeError: one is larger than the grid carries.
    """
    total = 0
    try:
        for shard in shards_of(arguments, star=star, shipped=package.modules):
            if len(shard.data) > limits.BLOB:
                raise TooLargeError(
                    f"argument {total} has {len(shard.data):,} bytes, and at most "
                    f"{limits.BLOB:,} can be sent: send it in parts, or its place in "
                    "a file that all machines can read"
                )
            stream.put(Ready(shard, total), rows)
            total += shard.count
    except BaseException:
        stream.drop(rows)
        raise
    finally:
        rows.finish(total)
