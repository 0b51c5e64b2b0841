"""What a fully used peer costs the programs of the machine's owner.

A fixed amount of computing, in as many processes as there are cores and in sessions of
their own as in a terminal, is timed beside a peer that has nothing to do, and beside
one whose slots all compute for another member; in turns, because the machine's mood
changes. The owner's preference to make room for other programs is switched off: with
it, the peer would stop after ten seconds and cost nothing. What is left is what the
idle class of the scheduler gives and takes.

Other programs on the machine spoil this figure more than most: see the noise, which is
how much the runs without work for others differ among themselves. What the slots got of
the processors meanwhile is the part of the loss that is the scheduler's.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import p2pslinger as slinger
from benchmarks._daemons import daemons
from benchmarks.figures import show
from p2pslinger.client.grid import Grid
from p2pslinger.errors import UnavailableError

#: Pairs of runs, and iterations of one process: a second or so.
PAIRS, LOOPS = 11, 60_000_000

#: Part of the owner's time that may be lost, per cent (issue 4).
MOST = 5.0

#: Seconds until slots compute, or are idle again, at most.
PATIENCE = 20.0

PREFS = {"foreign_load": "off", "on_battery": True}

LOOP = "for _ in range({loops}): pass"


def spin(seconds: float) -> None:
    """Be another member's task."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def foreground(cores: int) -> float:
    """Return the seconds that the owner's program takes."""
    command = [sys.executable, "-c", LOOP.format(loops=LOOPS)]
    began = time.perf_counter()
    runs = [subprocess.Popen(command, start_new_session=True) for _ in range(cores)]
    for run in runs:
        run.wait()
    return time.perf_counter() - began


def busy(grid: Grid) -> int:
    """Return how many tasks are granted and running."""
    return sum(job.running for job in grid.jobs())


def used_by_slots() -> float:
    """Return the processor seconds of all that the peers have started."""
    slots = [slot for peer in daemons() for slot in peer.slots()]
    return sum(sum(slot.cpu_times()[:2]) for slot in slots)


def wait_until(grid: Grid, running: int) -> None:
    """Wait until so many tasks run."""
    deadline = time.monotonic() + PATIENCE
    while busy(grid) != running:
        if time.monotonic() > deadline:
            raise UnavailableError(f"not {running} tasks within {PATIENCE:.0f} s")
        time.sleep(0.05)


def beside(grid: Grid, cores: int) -> tuple[float, float]:
    """Measure while all slots compute for somebody else.

    Returns:
        The seconds that the owner's program takes, and which part of all processors'
        time the slots got meanwhile.
    """
    job = grid.start(spin, [600.0] * cores)
    wait_until(grid, cores)
    time.sleep(1.5)  # slots just made import, unpack, and take their rank
    try:
        before = used_by_slots()
        seconds = foreground(cores)
        return seconds, (used_by_slots() - before) / seconds / cores
    finally:
        job.cancel()
        wait_until(grid, 0)


def main() -> None:
    """Measure pairs."""
    from p2pslinger.peer.config import cores as count

    cores = count()
    with slinger.local(2, slots=[0, cores], strangers=True, prefs=PREFS) as grid:
        foreground(cores)
        alone, with_peer, taken = [], [], []
        for number in range(PAIRS):
            order = (True, False) if number % 2 else (False, True)
            for used in order:
                if used:
                    seconds, part = beside(grid, cores)
                    with_peer.append(seconds)
                    taken.append(100 * part)
                else:
                    alone.append(foreground(cores))
        loss = [100 * (b / a - 1) for a, b in zip(alone, with_peer, strict=True)]
        middle = statistics.median(alone)
        noise = [100 * abs(one / middle - 1) for one in alone]
        show("owner's program alone", alone, "s")
        show("the same beside a fully used peer", with_peer, "s")
        show("lost by the owner", loss, "%", most=MOST)
        show("processors' time that slots got meanwhile", taken, "%")
        show("noise: runs alone, off their median", noise, "%")


if __name__ == "__main__":
    main()
