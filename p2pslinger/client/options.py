"""A grid with other options for the functions that it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import ParamSpec, TypeVar, cast

from p2pslinger.client.functions import Functions
from p2pslinger.wire.manifest import Policy

P = ParamSpec("P")
T = TypeVar("T")


class GridOptions:
    """See `Grid.options`, which makes it.

    Args:
        functions: The grid's.
        policy: How to run them.
    """

    def __init__(self, functions: Functions, policy: Policy) -> None:
        self._functions = functions
        self._policy = policy

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """See `Grid.submit`."""
        future = self._functions.submit(fn, args, kwargs, self._policy)
        return cast("Future[T]", future)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[object],
        timeout: float | None = None,
    ) -> Iterator[T]:
        """See `Grid.map`; `timeout` is for the results, not for a task."""
        return self._functions.map(fn, iterables, timeout, self._policy)
