"""How many tasks a second `map` carries when they do nothing: 100,000 of them.

Through another peer's process, as in latency.py. The standard library's pool needs to
be told how large its chunks are to come near; the grid measures that for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor

import p2pslinger as slinger
from benchmarks.figures import seconds, show

RUNS, TASKS = 9, 100_000

#: The stdlib pool's chunks: the best of some that were tried.
CHUNK = 5000


def same(x: int) -> int:
    """Do nothing."""
    return x


def measure(
    name: str, act: Callable[[], Iterable[int]], least: float | None = None
) -> None:
    """Print how fast a map is."""

    def run() -> None:
        assert sum(act()) == TASKS * (TASKS - 1) // 2

    run()
    rates = [TASKS / seconds(run) for _ in range(RUNS)]
    show(f"map of {TASKS:,}, {name}", rates, "tasks/s", least=least)


def main() -> None:
    """Measure the grid and the standard library's pool."""
    with slinger.local(peers=2, slots=[0, 1]) as grid:
        measure(
            "through another peer's process",
            lambda: grid.map(same, range(TASKS)),
            least=1_500_000,
        )
    with slinger.local(peers=3, slots=[0, 1, 1]) as grid:
        measure("through two other peers", lambda: grid.map(same, range(TASKS)))
    with ProcessPoolExecutor(1) as pool:
        measure(
            f"stdlib pool, chunks of {CHUNK:,}",
            lambda: pool.map(same, range(TASKS), chunksize=CHUNK),
        )


if __name__ == "__main__":
    main()
