"""A grid with other options for the functions that it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import ParamSpec, TypeVar, cast

from p2pslinger.client.awaiting import Awaiting
from p2pslinger.client.functions import Functions, Terms

P = ParamSpec("P")
T = TypeVar("T")


class GridOptions(Awaiting):
    """See `Grid.options`, which makes it.

    Args:
        functions: The grid's.
        terms: How to run them.
    """

    def __init__(self, functions: Functions, terms: Terms) -> None:
        self._functions = functions
        self._terms = terms

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """See `Grid.submit`."""
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
        """See `Grid.map`; `timeout` is for the results, not for a task."""
        check_map(chunksize, buffersize)
        return self._functions.map(
            fn, iterables, timeout, self._terms, ahead=buffersize, shown=progress
        )


def check_map(chunksize: int, buffersize: int | None) -> None:
    """Refuse what `concurrent.futures` refuses, in its words.

    Raises:
        TypeError, ValueError: a number is none, or too small.
    """
    if chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None and not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or > 0")
