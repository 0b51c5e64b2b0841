"""How long one task takes, from submit to result, when everything is warm.

The function does nothing. Through another peer's process: the program's own peer has no
slots, so the task goes program -> peer -> other peer (TLS) -> slot, and back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import p2pslinger as slinger
from benchmarks.figures import MILLI, percentile, show

RUNS, TASKS, WARM_UP = 5, 1000, 200


def same(x: int) -> int:
    """Do nothing."""
    return x


def measure(
    name: str,
    call: Callable[[int], object],
    *,
    p50: float | None = None,
    p99: float | None = None,
) -> None:
    """Call one after the other and print both percentiles, in ms."""
    for task in range(WARM_UP):
        call(task)
    middles, tails = [], []
    for _ in range(RUNS):
        times = []
        for task in range(TASKS):
            started = time.perf_counter()
            call(task)
            times.append((time.perf_counter() - started) * MILLI)
        middles.append(percentile(times, 0.5))
        tails.append(percentile(times, 0.99))
    show(f"one task, {name}, p50", middles, "ms", most=p50)
    show(f"one task, {name}, p99", tails, "ms", most=p99)


def main() -> None:
    """Measure another peer's slot, an own one, and the standard library's pool."""
    with slinger.local(peers=2, slots=[0, 1]) as grid:
        measure(
            "through another peer's process",
            lambda x: grid.submit(same, x).result(),
            p50=0.6,
            p99=2.0,
        )
    with slinger.local(peers=1, slots=1) as grid:
        measure("own machine", lambda x: grid.submit(same, x).result())
    with ProcessPoolExecutor(1) as pool:
        measure("stdlib pool", lambda x: pool.submit(same, x).result())


if __name__ == "__main__":
    main()
