"""Measure everyone in turns, watch everyone idle, write the report.

make bench-peers
python -m benchmarks.peers [--rounds N] [--only NAME,NAME] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from benchmarks.peers import processes
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.contestant import RESULT
from benchmarks.peers.machine import describe
from benchmarks.peers.outcomes import Outcome
from benchmarks.peers.plot import draw
from benchmarks.peers.report import write

ROOT = Path(__file__).parent.parent.parent

#: Seconds that one contestant may take before it is given up.
HANGING = 90.0

#: Seconds within which all rounds end, as far as one can know before: with the idle
#: watch and a slow start of everyone the run takes ten minutes at most.
ROUNDS_WITHIN = 480.0

#: Seconds for what belongs to starting, and seconds of watching: two rounds of the
#: digests that our peers exchange.
SETTLE, WATCH = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class Contestant:
    """A process in which a contender is measured, and what marks all that is its own.

    Attributes:
        process: The program.
        mark: In the environment of all its processes.
    """

    process: subprocess.Popen[str]
    mark: str

    @classmethod
    def start(cls, name: str, what: str, complaints: IO[str] | None) -> Contestant:
        """Start it; what it complains of goes to a file."""
        mark = f"{os.getpid()} {name} {what} {time.monotonic_ns()}"
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.contestant", name, what],
            cwd=ROOT,
            env={**os.environ, processes.MARK: mark, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints or subprocess.DEVNULL,
            text=True,
        )
        return cls(process, mark)

    def family(self) -> list[psutil.Process]:
        """Return its processes."""
        return processes.family(self.mark, self.process.pid)

    def finish(self) -> str:
        """Return the rest of what it prints; kill it if it hangs.

        Raises:
            subprocess.TimeoutExpired: it hung.
        """
        try:
            return self.process.communicate(timeout=HANGING)[0]
        except subprocess.TimeoutExpired:
            for one in self.family():
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.wait()
            raise

    def wait_until_idle(self) -> None:
        """Read what it prints until it says that it does nothing."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(RESULT):
                return


def measure(name: str) -> Outcome:
    """Measure a contender once."""
    with tempfile.TemporaryFile("w+") as complaints:
        try:
            said = Contestant.start(name, "measure", complaints).finish()
        except subprocess.TimeoutExpired:
            return Outcome({}, f"took longer than {HANGING:g} s", "")
        found = [line for line in said.splitlines() if line.startswith(RESULT)]
        if found:
            return Outcome(**json.loads(found[-1].removeprefix(RESULT)))
        complaints.seek(0)
        last = complaints.read().strip().rpartition("\n")[2]
    return Outcome({}, f"its program failed ({last.rstrip('.') or 'silently'})", "")


def measure_all(names: list[str], most: int) -> dict[str, list[Outcome]]:
    """Measure everyone in turns, so many times; fewer on a machine that is slow."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    started, longest = time.monotonic(), 0.0
    for number in range(most):
        begun = time.monotonic()
        if begun - started + longest > ROUNDS_WITHIN:
            print(f"no time for round {number + 1}", flush=True)
            break
        for name in names[number % len(names) :] + names[: number % len(names)]:
            print(f"round {number + 1}: {CONTENDERS[name].title}", flush=True)
            outcomes[name].append(measure(name))
        longest = max(longest, time.monotonic() - begun)
    return outcomes


def watch_idle(names: list[str]) -> dict[str, float]:
    """Start everyone at once, let them settle, and see what they use, in %."""
    with ExitStack() as end:
        running = {name: Contestant.start(name, "idle", None) for name in names}
        for one in running.values():
            end.callback(one.finish)
        for one in running.values():
            one.wait_until_idle()
        time.sleep(SETTLE)
        families = {name: one.family() for name, one in running.items()}
        before = {name: processes.cpu(family) for name, family in families.items()}
        started = time.perf_counter()
        time.sleep(WATCH)
        taken = time.perf_counter() - started
        return {
            name: 100 * (processes.cpu(family) - before[name]) / taken
            for name, family in families.items()
        }


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    parser.add_argument("--into", type=Path, default=ROOT / "docs")
    parser.add_argument("--no-idle", action="store_true")
    options = parser.parse_args()
    names = options.only.split(",")
    machine, started = describe(), time.monotonic()
    outcomes = measure_all(names, options.rounds)
    present = [name for name in names if outcomes[name][-1].figures]
    if present and not options.no_idle:
        print(f"everyone idle, for {WATCH:g} s", flush=True)
        for name, part in watch_idle(present).items():
            outcomes[name][-1].figures["idle"] = part
    minutes = (time.monotonic() - started) / 60
    options.into.mkdir(exist_ok=True)
    plot = options.into / "benchmarks.svg"
    plot.write_text(draw(outcomes))
    (options.into / "benchmarks.md").write_text(
        write(outcomes, machine, minutes, plot.name)
    )
    print(f"written to {options.into / 'benchmarks.md'}, after {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
