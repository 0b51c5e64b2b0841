"""The peers of a local grid as the processes that they are.

Benchmarks look at them from outside, as their owner would: with the system's process
table and, where that does not say it, on their control sockets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil

from p2pslinger import paths
from p2pslinger.client.link import Link
from p2pslinger.wire.control import GetStatus, Status
from p2pslinger.wire.ownfacts import StatusFacts

#: What a peer that a program has started has in its command line.
MODULE = "p2pslinger.peer"


@dataclass(frozen=True)
class Daemon:
    """One peer process."""

    process: psutil.Process
    folder: Path

    def status(self) -> StatusFacts:
        """Ask it how it is."""
        with Link.open(paths.control_path(self.folder)) as link:
            return cast(Status, link.request(GetStatus())).facts

    def slots(self) -> list[psutil.Process]:
        """Return its zygote and its slots."""
        return self.process.children(recursive=True)

    def cpu(self) -> float:
        """Return the CPU seconds that it has used, without its slots'."""
        return used_by(self.process)

    def cpu_of_slots(self) -> float:
        """Return the CPU seconds of its zygotes and slots, of those that live."""
        return sum(used_by(slot) for slot in self.slots())

    def memory(self) -> float:
        """Return the MB that it occupies, without its slots."""
        return float(self.process.memory_info().rss) / 1e6

    def peak_memory(self) -> float:
        """Return the most MB that it has occupied since `forget_peak`."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        return self.memory()

    def forget_peak(self) -> None:
        """Begin `peak_memory` anew, where the system allows that."""
        try:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except OSError:
            pass  # then the peak is the one since its start: more, not less


def used_by(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used."""
    try:  # nanoseconds; the usual counters stand still for 10 ms
        tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        times = process.cpu_times()
        return float(times.user + times.system)


def daemons() -> list[Daemon]:
    """Return the peers that this program has started, in that order."""
    found = [
        Daemon(child, Path(child.environ()["SLINGER_DATA"]))
        for child in psutil.Process().children()
        if MODULE in child.cmdline()
    ]
    return sorted(found, key=lambda daemon: daemon.process.create_time())
