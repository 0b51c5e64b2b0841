"""The process table: who has used how much processor time.

On Linux from /proc, a read for each process; elsewhere by psutil.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

PROC = "/proc"

#: Clock ticks a second, in which the kernel counts.
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Entry(NamedTuple):
    """One process.

    Attributes:
        parent: Its parent's id.
        name: What its program is called.
        began: Tells it from an earlier process of the same id.
        used: Processor seconds that it has used, and its children that have ended.
        alone: Those without the children.
    """

    parent: int
    name: str
    began: float
    used: float
    alone: float


class Totals(NamedTuple):
    """Processor seconds of all processors together: busy ones, and all."""

    busy: float
    all: float


def totals(proc: str = PROC) -> Totals | None:
    """Return what all processors have done since the system started."""
    if sys.platform != "linux" and proc == PROC:
        import psutil

        times = psutil.cpu_times()
        whole = sum(times)
        return Totals(whole - times.idle, whole)
    try:
        with open(f"{proc}/stat") as file:
            return read_totals(file.readline())
    except (OSError, ValueError):
        return None


def read_totals(line: str) -> Totals:
    """Read the first line of /proc/stat.

    Raises:
        ValueError: it is none.
    """
    name, *counts = line.split()
    if name != "cpu" or len(counts) < 7:
        raise ValueError(line)
    # user nice system idle iowait irq softirq steal; a guest's are in the user's
    ticks = [int(count) for count in counts[:8]]
    whole = sum(ticks)
    return Totals((whole - ticks[3] - ticks[4]) / _TICKS, whole / _TICKS)


def processes(proc: str = PROC) -> dict[int, Entry]:
    """Return all processes, by their ids."""
    if sys.platform != "linux" and proc == PROC:
        return _by_psutil()
    found = {}
    for name in filter(str.isdigit, os.listdir(proc)):
        try:
            with open(f"{proc}/{name}/stat", "rb") as file:
                found[int(name)] = read_entry(file.read())
        except (OSError, ValueError):
            continue  # has ended meanwhile
    return found


def read_entry(line: bytes) -> Entry:
    """Read a process's stat file; its name may hold anything.

    Raises:
        ValueError: it is none.
    """
    head, _, tail = line.rpartition(b")")
    words = tail.split()
    if len(words) < 20:
        raise ValueError(line)
    user, system, user_below, system_below = (int(word) for word in words[11:15])
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    alone = (user + system) / _TICKS
    used = alone + (user_below + system_below) / _TICKS
    return Entry(int(words[1]), name, float(words[19]), used, alone)


def arguments(pid: int, proc: str = PROC) -> list[str]:
    """Return a process's command line, or nothing."""
    if sys.platform != "linux" and proc == PROC:
        import psutil

        try:
            return list(psutil.Process(pid).cmdline())
        except psutil.Error:
            return []
    try:
        with open(f"{proc}/{pid}/cmdline", "rb") as file:
            return file.read(4096).decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def _by_psutil() -> dict[int, Entry]:
    import psutil

    found = {}
    wanted = ["pid", "ppid", "name", "cpu_times", "create_time"]
    for one in psutil.process_iter(wanted):
        info = one.info
        times = info["cpu_times"]
        if times is not None:
            alone = times.user + times.system
            below = getattr(times, "children_user", 0.0)
            below += getattr(times, "children_system", 0.0)
            found[info["pid"]] = Entry(
                info["ppid"] or 0,
                info["name"] or "",
                info["create_time"] or 0.0,
                alone + below,
                alone,
            )
    return found
