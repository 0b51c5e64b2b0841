"""How many single submits a second: 5,000 are made, then all results are awaited.

Through another peer's process, as in latency.py.
"""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor

import p2pslinger as slinger
from benchmarks.figures import seconds, show

RUNS, TASKS = 7, 5000


def same(x: int) -> int:
    """Do nothing."""
    return x


def submit_all(executor: Executor, tasks: int = TASKS) -> None:
    """Submit tasks and check their results."""
    futures = [executor.submit(same, x) for x in range(tasks)]
    assert [future.result() for future in futures] == list(range(tasks))


def measure(name: str, executor: Executor, least: float | None = None) -> None:
    """Print how fast an executor is."""
    submit_all(executor)
    rates = [TASKS / seconds(lambda: submit_all(executor)) for _ in range(RUNS)]
    show(f"{TASKS:,} submits, {name}", rates, "tasks/s", least=least)


def main() -> None:
    """Measure the grid and the standard library's pool."""
    with slinger.local(peers=2, slots=[0, 1]) as grid:
        measure("through another peer's process", grid, least=40_000)
    with slinger.local(peers=1, slots=1) as grid:
        measure("own machine", grid)
    with ProcessPoolExecutor(1) as pool:
        measure("stdlib pool", pool)


if __name__ == "__main__":
    main()
