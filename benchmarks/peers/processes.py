"""All processes of a contender, wherever they stand: their memory and their CPU time.

Children are found by descent. Daemons that have left the family carry a mark in their
environment, and theirs are found by descent from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

#: The variable that marks a contender's processes.
MARK = "SLINGER_BENCH_CONTENDER"


def family(mark: str, pid: int) -> list[psutil.Process]:
    """Return a contender's processes: the program, and what belongs to it."""
    found = {one.pid: one for one in _marked(mark)}
    found[pid] = psutil.Process(pid)
    for one in list(found.values()):
        try:
            found.update((child.pid, child) for child in one.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def _marked(mark: str) -> Iterator[psutil.Process]:
    for one in psutil.process_iter():
        try:
            if one.environ().get(MARK) == mark:
                yield one
        except psutil.Error:
            continue


def memory(processes: list[psutil.Process]) -> float:
    """Return the MB that processes occupy; what they share is counted once."""
    total = 0.0
    for one in processes:
        try:
            total += float(one.memory_full_info().pss) / 1e6
        except psutil.Error:
            continue  # it has just ended
    return total


def cpu(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds that processes have used."""
    total = 0.0
    for one in processes:
        try:  # nanoseconds; the usual counters stand still for 10 ms
            tasks = Path(f"/proc/{one.pid}/task").glob("*/schedstat")
            total += sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            continue
    return total
