"""What slots import to compute for joblib and Dask: nothing of a program's side."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Keeps limits of thread pools in force, which end with the object.
_kept: list[object] = []


def call(work: Callable[[], T]) -> T:
    """Call something that takes no arguments: a batch of calls."""
    return work()


def limit_threads(environment: dict[str, str], threads: int) -> None:
    """Have numeric libraries use only so many threads in this slot.

    Args:
        environment: Variables that they read when they are loaded.
        threads: For those that are loaded already; needs threadpoolctl.
    """
    os.environ.update(environment)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    try:
        _kept[:] = [threadpool_limits(threads)]
    except OSError:
        pass  # a confined slot can't see what is loaded: the variables have to do


def process() -> int:
    """Return who has computed a task of Dask's."""
    return os.getpid()


def failure(
    error: BaseException, dumps: Callable[[object], object]
) -> tuple[BaseException, str]:
    """Describe what a task of Dask's has raised."""
    return error, "".join(traceback.format_exception(error))
