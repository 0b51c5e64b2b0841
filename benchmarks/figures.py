"""Figures: how the benchmarks measure, and how they print what they measured.

A figure is the median of several runs; behind it stand the extremes, because other
programs run on the same machine, and its budget if it has one. Run as a script, this
prints what the machine is.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

MILLI = 1e3


def show(
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    most: float | None = None,
    least: float | None = None,
) -> None:
    """Print `name: value unit`, then the extremes, and whether the budget is met.

    Args:
        name: What was measured.
        values: One for each run.
        unit: Theirs.
        most: The budget, where less is better.
        least: The budget, where more is better.
    """
    middle = statistics.median(values)
    notes = []
    if len(values) > 1:
        low, high = number(min(values)), number(max(values))
        notes.append(f"{low} to {high} in {len(values)} runs")
    if most is not None:
        word = "met" if middle <= most else "MISSED"
        notes.append(f"budget at most {number(most)}: {word}")
    if least is not None:
        word = "met" if middle >= least else "MISSED"
        notes.append(f"budget at least {number(least)}: {word}")
    tail = f"  ({'; '.join(notes)})" if notes else ""
    print(f"{name}: {number(middle)} {unit}{tail}", flush=True)


def number(value: float) -> str:
    """Write a number with three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def seconds(act: Callable[[], object]) -> float:
    """Return how long `act` takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def wait_until(done: Callable[[], T | None], patience: float, what: str) -> T:
    """Look every few milliseconds until `done` returns something true; return it.

    Raises:
        TimeoutError: it takes longer than `patience` seconds.
    """
    end = time.monotonic() + patience
    while not (found := done()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} took longer than {patience:g} s")
        time.sleep(0.002)
    return found


def _machine() -> str:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"machine: {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, load {load:.1f}"
    )


if __name__ == "__main__":
    print(_machine())
