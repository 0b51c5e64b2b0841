"""What the sandbox costs: how long a slot takes to be ready, and each task in it.

A slot is made and gives its first result, again and again: as for the machine's own
work, as for others' work without bubblewrap, and with it. Then tasks that do nothing
go one by one through a warm slot of each kind, interleaved, because the machine's mood
changes; and through grids of friends and of strangers, from submit to result (only
that: `python -m benchmarks.sandbox grids`).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import statistics
import struct
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import p2pslinger as slinger
from benchmarks._daemons import Daemon, daemons
from benchmarks.figures import MILLI, show
from p2pslinger.client.grid import Grid
from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.packed import PLAIN
from p2pslinger.sandbox.process import SlotProcess
from p2pslinger.sandbox.slot import Exit, Order, Outcome, Piece

STARTS, ROUNDS, TASKS = 11, 15, 200

MEMORY = 1 << 28

#: Milliseconds: until a sandboxed slot is ready, and more per task in a warm one.
READY, MORE = 150.0, 0.2

#: Grids: what they are called, whether they trust, and SLINGER_POLITE.
KINDS_OF_GRIDS = (
    ("friends", False, "true"),
    ("strangers, not idle class", True, "false"),
    ("strangers", True, "true"),
)

KINDS = (Confinement.OWN, Confinement.GOOD, Confinement.STRONG)


def package(text: str, name: str) -> bytes:
    """Package a function of a source text."""
    header: dict[str, object]
    header = {"kind": "source", "name": name, "python": None, "modules": []}
    raw = json.dumps(header).encode()
    return struct.pack("<I", len(raw)) + raw + text.encode()


class Bench:
    """One slot that computes one task after the other."""

    def __init__(self) -> None:
        self.slot: SlotProcess
        self.gone = asyncio.Event()
        self._done: asyncio.Future[None]

    async def open(self, launcher: Launcher, kind: Confinement) -> float:
        """Get a slot; return the ms until it is ready."""
        began = time.perf_counter()
        self.slot = await launcher.slot(self._take, self._end, MEMORY, kind)
        ready = (time.perf_counter() - began) * MILLI
        self.slot.load(0, package("def same(x): return x", "same"), None)
        self.slot.shard(0, 0, PLAIN, pickle.dumps([0], 5))
        await self.call()
        return ready

    async def call(self) -> None:
        """Compute one task."""
        self._done = asyncio.get_running_loop().create_future()
        self.slot.run(Order(0, 0, (Piece(0, 0, 1),), math.inf))
        await self._done

    async def close(self) -> None:
        """End the slot."""
        self.slot.kill()
        await self.gone.wait()

    def _take(self, outcome: Outcome) -> None:
        self._done.set_result(None)

    def _end(self, exit: Exit) -> None:
        self.gone.set()


async def measure_starts(launcher: Launcher, kind: Confinement) -> None:
    """Print how long slots take to be ready, and the first of a zygote."""
    first = await _start(launcher, kind)
    times = [await _start(launcher, kind) for _ in range(STARTS)]
    budget = None if kind is Confinement.OWN else READY
    show(f"slot ready, {kind.value}, the first", [first], "ms", most=budget)
    show(f"slot ready, {kind.value}", times, "ms", most=budget)


async def _start(launcher: Launcher, kind: Confinement) -> float:
    bench = Bench()
    ready = await bench.open(launcher, kind)
    await bench.close()
    return ready


async def measure_tasks(launcher: Launcher, kinds: list[Confinement]) -> None:
    """Print how much longer a task takes in a confined slot."""
    benches = {kind: Bench() for kind in kinds}
    for kind, bench in benches.items():
        await bench.open(launcher, kind)
    times: dict[Confinement, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind, bench in benches.items():
            times[kind].append(await _task(bench))
    own = times.pop(Confinement.OWN)
    show("task in a warm slot, own", own, "ms")
    for kind, values in times.items():
        more = [there - here for there, here in zip(values, own, strict=True)]
        show(f"more in a slot that is {kind.value}", more, "ms", most=MORE)


async def _task(bench: Bench) -> float:
    times = []
    for _ in range(TASKS):
        began = time.perf_counter()
        await bench.call()
        times.append((time.perf_counter() - began) * MILLI)
    return statistics.median(times)


async def main() -> None:
    """Measure every kind that this machine has."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = Launcher(Path(folder))
        kinds = []
        for kind in KINDS:
            try:
                await measure_starts(launcher, kind)
                kinds.append(kind)
            except UnavailableError as error:
                print(f"slot ready, {kind.value}: not here: {error}")
        await measure_tasks(launcher, kinds)
        await launcher.close()


def same(x: int) -> int:
    """Do nothing."""
    return x


def measure_grids() -> None:
    """Print what strangers cost on a real grid: whole, from submit to result.

    Their slots are in the idle class, and on a busy machine most of the time is spent
    waiting there. So the same is measured with slots that are as sandboxed, and in the
    ordinary class: what is left is what the way through the peers costs. The processor
    time is that of both daemons and the slots; it can be believed on a busy machine.
    """
    grids: dict[str, Grid] = {}
    with ExitStack() as stack:
        for kind, strangers, polite in KINDS_OF_GRIDS:
            os.environ["SLINGER_POLITE"] = polite
            grid = slinger.local(2, slots=[0, 1], strangers=strangers)
            grids[kind] = stack.enter_context(grid)
        peers = daemons()
        pairs = {kind: peers[2 * n : 2 * n + 2] for n, kind in enumerate(grids)}
        first = [_submitted(grids["strangers"])]
        show("first task of a stranger's, submit to result", first, "ms")
        times = {kind: list[float]() for kind in grids}
        used = {kind: list[float]() for kind in grids}
        for _ in range(ROUNDS):
            for kind, grid in grids.items():
                _submitted(grid)  # its slot may have ended meanwhile
                before = _cpu(pairs[kind])
                times[kind].append(_middle(grid))
                used[kind].append((_cpu(pairs[kind]) - before) * MILLI / TASKS)
    show("task, submit to result, friends", times["friends"], "ms")
    show("processor time of it", used["friends"], "ms")
    for kind, budget in (("strangers, not idle class", MORE), ("strangers", None)):
        more = _more(times[kind], times["friends"])
        show(f"more among {kind}, submit to result", more, "ms", most=budget)
        show("processor time of that", _more(used[kind], used["friends"]), "ms")


def _more(ones: list[float], others: list[float]) -> list[float]:
    return [one - other for one, other in zip(ones, others, strict=True)]


def _cpu(peers: list[Daemon]) -> float:
    """Return the processor seconds of daemons and slots."""
    return sum(peer.cpu() + peer.cpu_of_slots() for peer in peers)


def _submitted(grid: Grid) -> float:
    began = time.perf_counter()
    grid.submit(same, 1).result()
    return (time.perf_counter() - began) * MILLI


def _middle(grid: Grid) -> float:
    return statistics.median(_submitted(grid) for _ in range(TASKS))


if __name__ == "__main__":
    if sys.argv[1:] != ["grids"]:
        asyncio.run(main())
    measure_grids()
