"""What every contender can do, and how those do it that are executors.

A contender starts two worker processes, and then is asked for single tasks, for many
tasks, and for big data. Whoever has a better way than an executor's overrides it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from benchmarks.peers import tasks

#: Worker processes of everyone.
WORKERS = 2

#: Chunks for those that want them made by hand: the best of some that were tried.
CHUNK = 5000


class NotMeasuredError(Exception):
    """A contender can't take part here; the text says why."""


class Contender:
    """A way to compute in two processes.

    Attributes:
        title: What a table calls it.
        package: Whose version counts; "" is Python's own.
        settings: How it is used, for a reader who wants to judge whether that is fair.
        has_cold_start: Starting it is what its users do in a program.
    """

    title = ""
    package = ""
    settings = ""
    has_cold_start = True

    def start(self) -> None:
        """Import what it takes, and start the workers."""
        raise NotImplementedError

    def close(self) -> None:
        """End the workers."""
        raise NotImplementedError

    def call(self, function: Callable[[int], int], x: int) -> int:
        """Submit one task and wait for its result."""
        raise NotImplementedError

    def submit_all(self, function: Callable[[int], int], count: int) -> list[int]:
        """Submit many tasks one by one, then wait for all results."""
        raise NotImplementedError

    def map_small(self, xs: list[int]) -> list[int]:
        """Map `tasks.same` over a list."""
        raise NotImplementedError

    def map_large(self, function: Callable[[int], int], count: int) -> list[int]:
        """Map a function that takes its time over a range."""
        raise NotImplementedError

    def send(self, data: bytes) -> int:
        """Have a task take bytes."""
        raise NotImplementedError

    def fetch(self, size: int) -> int:
        """Have a task return bytes; return how many have come."""
        raise NotImplementedError


class ByExecutor(Contender):
    """A contender that is an executor."""

    executor: Executor

    def close(self) -> None:
        """See `Contender.close`."""
        self.executor.shutdown()

    def call(self, function: Callable[[int], int], x: int) -> int:
        """See `Contender.call`."""
        return self.executor.submit(function, x).result()

    def submit_all(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.submit_all`."""
        futures = [self.executor.submit(function, x) for x in range(count)]
        return [future.result() for future in futures]

    def map_small(self, xs: list[int]) -> list[int]:
        """See `Contender.map_small`."""
        return list(self.executor.map(tasks.same, xs, chunksize=CHUNK))

    def map_large(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.map_large`."""
        return list(self.executor.map(function, range(count)))

    def send(self, data: bytes) -> int:
        """See `Contender.send`."""
        return self.executor.submit(tasks.take, data).result()

    def fetch(self, size: int) -> int:
        """See `Contender.fetch`."""
        return len(self.executor.submit(tasks.give, size).result())
