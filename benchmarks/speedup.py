"""How much of the machine a CPU-bound map gets, against plain processes.

The plain processes are warm and take tasks from a shared counter: nothing is sent. Like
slots they are nice, and each has a session of its own: Linux divides a busy machine
between sessions, and processes that share one would lose by that alone. Both take
turns, so that what else the machine does hits both alike.

All the same the comparison means something on a machine that is free only. So the part
of the cores that the plain processes got is printed first; if that is little, the rest
is no verdict.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized

import p2pslinger as slinger
from benchmarks.figures import seconds, show

RUNS, TASKS = 5, 100

#: Rounds of the loop in one task: about 20 ms.
ROUNDS = 250_000

#: Part of the cores below which the machine was not free.
FREE = 0.95


def busy(seed: int) -> int:
    """Compute something that takes about 20 ms."""
    value = seed
    for _ in range(ROUNDS):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return value


def work(pipe: Connection, taken: Synchronized[int], nice: int) -> None:
    """Be a plain process: compute until all tasks are taken, as often as asked."""
    if hasattr(os, "setsid"):
        os.setsid()
    os.nice(nice - os.nice(0))
    while pipe.recv():
        before = time.process_time()
        while True:
            with taken:
                task = taken.value
                taken.value += 1
            if task >= TASKS:
                break
            busy(task)
        pipe.send(time.process_time() - before)


class PlainProcesses:
    """Some processes and nothing else.

    Args:
        count: How many.
        nice: How nice they are.
    """

    def __init__(self, count: int, nice: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._taken = context.Value("q", 0)
        pairs = [context.Pipe() for _ in range(count)]
        self._pipes = [mine for mine, _ in pairs]
        self._processes = [
            context.Process(target=work, args=(theirs, self._taken, nice))
            for _, theirs in pairs
        ]
        for process in self._processes:
            process.start()

    def run(self) -> float:
        """Compute all tasks; return the CPU seconds that this has taken."""
        self._taken.value = 0
        for pipe in self._pipes:
            pipe.send(True)
        return sum(float(pipe.recv()) for pipe in self._pipes)

    def close(self) -> None:
        """End them."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(False)
            process.join()


def measure(name: str, slots: list[int]) -> None:
    """Print which part of the plain processes' speed-up a grid reaches."""
    cores = os.cpu_count() or 1
    free, shares = [], []
    with slinger.local(peers=len(slots), slots=slots) as grid:
        plain = PlainProcesses(cores, grid.submit(os.nice, 0).result())
        plain.run()
        for _ in range(RUNS):
            started = time.perf_counter()
            cpu = plain.run()
            plainly = time.perf_counter() - started
            ours = seconds(lambda: list(grid.map(busy, range(TASKS))))
            free.append(cpu / plainly / cores)
            shares.append(100 * plainly / ours)
        plain.close()
    show("plain processes, part of the cores that they got", free, "of 1")
    judged = statistics.median(free) >= FREE
    what = f"CPU-bound map, {name}, part of plain processes' speed-up"
    show(what, shares, "%", least=97 if judged else None)
    if not judged:
        print("the machine was busy with other things: this is no verdict")


def main() -> None:
    """Measure own slots and other peers'."""
    cores = os.cpu_count() or 1
    measure("own machine", [cores])
    measure("other peers", [0] + [1] * cores)


if __name__ == "__main__":
    main()
