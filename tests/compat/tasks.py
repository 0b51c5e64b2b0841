"""Functions that tests have computed elsewhere. They travel with this file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

STATE = "not prepared"


def prepare(state: str) -> None:
    """Leave something for the tasks."""
    global STATE
    STATE = state


def prepared() -> str:
    """Return what was left."""
    return STATE


def prepared_with(x: int) -> tuple[str, int]:
    """Return what was left, and the argument."""
    return STATE, x


def inverse(x: float) -> float:
    """Fail for 0."""
    return 1 / x


def nap(seconds: float) -> float:
    """Take some time."""
    time.sleep(seconds)
    return seconds


def fail(number: int) -> None:
    """Raise an exception that keeps its argument."""
    raise RuntimeError(number)  # some comment


def host(x: int) -> tuple[int, int]:
    """Say which process this is."""
    time.sleep(0.005)
    return x, os.getpid()


def nap_or_fail(seconds: float) -> float:
    """Take some time, but fail at once for 0."""
    if not seconds:
        time.sleep(0.5)
    time.sleep(seconds)
    return 1 / seconds


def parallel_squares(count: int) -> list[int]:
    """Use joblib inside a task."""
    from joblib import Parallel, delayed

    squares: list[int] = Parallel(n_jobs=2)(delayed(pow)(x, 2) for x in range(count))
    return squares


def numeric_threads() -> list[int]:
    """Return how many threads numeric libraries use here."""
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    return [int(one["num_threads"]) for one in threadpool_info()]


def log_normal(point: Sequence[float]) -> float:
    """Return the logarithm of a normal distribution's density, but for a constant."""
    return -0.5 * float(sum(x * x for x in point))
