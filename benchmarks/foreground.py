"""What a fully used peer costs the programs of the machine's owner.

A fixed amount of computing, in as many processes as there are cores and in sessions of
their own as in a terminal, is timed alone; beside a peer whose slots all compute for
another member; and beside as many endless loops without any peer, which have made
themselves as small as a slot: the floor, below which this system's scheduler lets
nobody go. In turns, because the machine's mood changes. The owner's preference to make
room for other programs is switched off: with it, the peer would stop after ten seconds
and cost nothing. What is left is what the idle class of the scheduler gives and takes.

Other programs on the machine spoil this figure more than most: see the noise, which is
how much the runs alone differ among themselves. What slots and daemons got of the
processor time that they and the owner's program had together is the part of the loss
that is the scheduler's; it can be believed on a busy machine, too.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import p2pslinger as slinger
from benchmarks._daemons import daemons
from benchmarks.figures import show
from p2pslinger.client.grid import Grid
from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.priority import SessionRank, be_last

#: Rounds of runs, if the command line does not say; iterations of a process: a second.
ROUNDS, LOOPS = 11, 60_000_000

#: Part of the owner's time that may be lost, per cent.
MOST = 5.0

#: Seconds until slots compute, or are idle again, at most.
PATIENCE = 20.0

PREFS = {"foreign_load": "off", "on_battery": True}

LOOP = "for _ in range({loops}): pass"


class Run(NamedTuple):
    """One run of the owner's program: wall seconds, processor seconds."""

    wall: float
    cpu: float


def spin(seconds: float) -> None:
    """Be another member's task."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def foreground(cores: int) -> Run:
    """Time the owner's program."""
    command = [sys.executable, "-c", LOOP.format(loops=LOOPS)]
    before, began = os.times(), time.perf_counter()
    runs = [subprocess.Popen(command, start_new_session=True) for _ in range(cores)]
    for run in runs:
        run.wait()
    wall, after = time.perf_counter() - began, os.times()
    return Run(wall, after.children_user - before.children_user)


def idle_class() -> int:
    """Return how many slots are there, confined and in their place."""
    slots = [slot for peer in daemons() for slot in peer.slots()]
    return sum(class_of(slot.pid) == os.SCHED_IDLE for slot in slots)


def class_of(pid: int) -> int | None:
    """Return a process's class at the processor."""
    try:
        return os.sched_getscheduler(pid)
    except ProcessLookupError:
        return None  # it has just ended


def wait_until(many: int) -> None:
    """Wait until so many slots are there: to make one takes time, too."""
    deadline = time.monotonic() + PATIENCE
    while idle_class() != many:
        if time.monotonic() > deadline:
            raise UnavailableError(f"not {many} slots within {PATIENCE:.0f} s")
        time.sleep(0.05)


@contextmanager
def used_peer(grid: Grid, cores: int) -> Iterator[None]:
    """Let all slots compute for somebody else."""
    job = grid.start(spin, [600.0] * cores)
    try:
        wait_until(cores)
        yield
    finally:
        job.cancel()
        wait_until(0)


@contextmanager
def endless_loops(cores: int) -> Iterator[None]:
    """Let as many loops run as there would be slots, each in a session that is last."""
    loops = [_endless_loop() for _ in range(cores)]
    try:
        yield
    finally:
        for pid in loops:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _endless_loop() -> int:
    """Start one; return its process id once it has its place."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        SessionRank().insist(PATIENCE)
        be_last()
        os.write(tell, b"x")
        while True:
            pass
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    return pid


class Shares:
    """Which part of the processor time slots and daemons had, per cent."""

    def __init__(self) -> None:
        self.slots: list[float] = []
        self.daemons: list[float] = []

    def measure(self, cores: int) -> Run:
        """Time the owner's program, and see what the peers get meanwhile."""
        peers = daemons()
        slots = -sum(peer.cpu_of_slots() for peer in peers)
        own = -sum(peer.cpu() for peer in peers)
        run = foreground(cores)
        slots += sum(peer.cpu_of_slots() for peer in peers)
        own += sum(peer.cpu() for peer in peers)
        whole = (slots + own + run.cpu) / 100
        self.slots.append(slots / whole)
        self.daemons.append(own / whole)
        return run


def main(rounds: int) -> None:
    """Measure so many rounds."""
    from p2pslinger.peer.config import cores as count

    cores, shares = count(), Shares()
    with slinger.local(2, slots=[0, cores], strangers=True, prefs=PREFS) as grid:
        foreground(cores)
        walls: dict[str, list[float]] = {"alone": [], "peer": [], "loops": []}
        for number in range(rounds):
            for kind in list(walls)[:: -1 if number % 2 else 1]:
                if kind == "peer":
                    with used_peer(grid, cores):
                        run = shares.measure(cores)
                elif kind == "loops":
                    with endless_loops(cores):
                        run = foreground(cores)
                else:
                    run = foreground(cores)
                walls[kind].append(run.wall)
    report(walls, shares)


def report(walls: dict[str, list[float]], shares: Shares) -> None:
    """Print the figures."""
    alone = walls["alone"]
    lost = {
        kind: [100 * (b / a - 1) for a, b in zip(alone, times, strict=True)]
        for kind, times in walls.items()
    }
    middle = statistics.median(alone)
    show("owner's program alone", alone, "s")
    show("the same beside a fully used peer", walls["peer"], "s")
    show("lost by the owner", lost["peer"], "%", most=MOST)
    show("the floor: lost beside loops in the idle class", lost["loops"], "%")
    show("processor time that slots got meanwhile", shares.slots, "%")
    show("processor time that daemons got meanwhile", shares.daemons, "%")
    show(
        "noise: runs alone, off their median",
        [100 * abs(a / middle - 1) for a in alone],
        "%",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
