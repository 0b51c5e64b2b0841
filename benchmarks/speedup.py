"""How much of the machine a CPU-bound map gets, against plain processes.

The plain processes are warm, as nice as the slots are, and each has its share of the
tasks beforehand: nothing is scheduled, nothing is sent. Both take turns, so that what
else the machine does hits both alike.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection

import p2pslinger as slinger
from benchmarks.figures import seconds, show

RUNS, TASKS = 5, 120

#: Rounds of the loop in one task: about 20 ms.
ROUNDS = 250_000


def busy(seed: int) -> int:
    """Compute something that takes about 20 ms."""
    value = seed
    for _ in range(ROUNDS):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return value


def work(pipe: Connection, nice: int) -> None:
    """Be a plain process: compute what the pipe says, until it is closed."""
    os.nice(nice - os.nice(0))
    while (tasks := pipe.recv()) is not None:
        pipe.send([busy(task) for task in tasks])


class PlainProcesses:
    """One for each core, and nothing else.

    Args:
        count: How many.
        nice: How nice they are.
    """

    def __init__(self, count: int, nice: int) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(count)]
        self._pipes = [mine for mine, _ in pairs]
        self._processes = [
            context.Process(target=work, args=(theirs, nice)) for _, theirs in pairs
        ]
        for process in self._processes:
            process.start()

    def run(self) -> None:
        """Compute all tasks, each process its share."""
        shares = [range(TASKS)[i :: len(self._pipes)] for i in range(len(self._pipes))]
        for pipe, share in zip(self._pipes, shares, strict=True):
            pipe.send(share)
        for pipe in self._pipes:
            pipe.recv()

    def close(self) -> None:
        """End them."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(None)
            process.join()


def measure(name: str, slots: list[int]) -> None:
    """Print which part of the plain processes' speed-up a grid reaches."""
    cores = os.cpu_count() or 1
    with slinger.local(peers=len(slots), slots=slots) as grid:
        nice = grid.submit(os.nice, 0).result()
        plain = PlainProcesses(cores, nice)
        plain.run()
        alone = min(seconds(lambda: busy(task)) for task in range(9)) * TASKS
        shares, speedups = [], []
        for _ in range(RUNS):
            plainly = seconds(plain.run)
            ours = seconds(lambda: list(grid.map(busy, range(TASKS))))
            shares.append(100 * plainly / ours)
            speedups.append(alone / ours)
            time.sleep(0.1)
        plain.close()
    show(f"CPU-bound map, {name}, part of plain processes", shares, "%", least=97)
    show(f"CPU-bound map, {name}, speed-up on {cores} cores", speedups, "times")


def main() -> None:
    """Measure own slots and other peers'."""
    cores = os.cpu_count() or 1
    measure("own machine", [cores])
    measure("other peers", [0] + [1] * cores)


if __name__ == "__main__":
    main()
