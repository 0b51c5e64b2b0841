"""The process in which one contender is measured once: a program like a user's.

    python -m benchmarks.peers.contestant NAME measure|idle

It prints what it measured as one line of JSON behind `RESULT`; who watches it idle says
when that is over by closing its standard input.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.peers import processes, tasks
from benchmarks.peers.contender import Contender, NotMeasuredError
from benchmarks.peers.contenders import find

#: Precedes the line with what was measured: libraries print as well.
RESULT = "RESULT "

#: Single tasks for the latency, at most, and the seconds that they may take.
SINGLES, WARM_UP, PATIENCE = 600, 50, 4.0

SUBMITS, SMALL = 5000, 100_000

SIZE = 64 << 20

#: Runs of what takes little time. The first ones are among them, for everybody.
RUNS = 5


def seconds(act: Callable[[], object]) -> float:
    """Return how long `act` takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def start(contender: Contender) -> dict[str, float]:
    """Start a contender up to its first result."""

    def first() -> None:
        contender.start()
        assert contender.call(tasks.same, 7) == 7

    took = seconds(first)
    return {"cold": took} if contender.has_cold_start else {}


def latency(contender: Contender) -> dict[str, float]:
    """Submit one task after the other."""
    for x in range(WARM_UP):
        contender.call(tasks.same, x)
    times: list[float] = []
    end = time.perf_counter() + PATIENCE
    while len(times) < SINGLES and time.perf_counter() < end:
        times.append(1e3 * seconds(lambda: contender.call(tasks.same, len(times))))
    times.sort()
    return {"p50": times[len(times) // 2], "p99": times[int(0.99 * len(times))]}


def throughput(contender: Contender) -> dict[str, float]:
    """Submit and map many small tasks."""
    xs = list(range(SMALL))

    def submits() -> None:
        assert contender.submit_all(tasks.same, SUBMITS) == list(range(SUBMITS))

    def small() -> None:
        assert contender.map_small(xs) == xs

    contender.submit_all(tasks.same, 500)
    return {
        "submits": SUBMITS / repeated(submits),
        "map": SMALL / repeated(small),
    }


def repeated(act: Callable[[], object]) -> float:
    """Return how long `act` takes in the middle of some runs; if long, of fewer."""
    times = [seconds(act)]
    while len(times) < RUNS and sum(times) < PATIENCE:
        times.append(seconds(act))
    return statistics.median(times)


def fractal(contender: Contender) -> dict[str, float]:
    """Compute a picture here, and by the workers."""
    picture: list[int] = []
    alone = seconds(lambda: picture.extend(map(tasks.row, range(tasks.ROWS))))

    def together() -> None:
        assert contender.map_large(tasks.row, tasks.ROWS) == picture

    return {"fractal": alone / repeated(together)}


def payload(contender: Contender) -> dict[str, float]:
    """Send 64 MiB in, and get them out."""
    data = os.urandom(SIZE)

    def send() -> None:
        assert contender.send(data) == SIZE

    def fetch() -> None:
        assert contender.fetch(SIZE) == SIZE

    fetch()
    return {
        "send": SIZE / 1e9 / repeated(send),
        "fetch": SIZE / 1e9 / repeated(fetch),
    }


def memory(_: Contender) -> dict[str, float]:
    """Look at all processes, warm by now."""
    family = processes.family(os.environ[processes.MARK], os.getpid())
    return {"memory": processes.memory(family)}


def measure(contender: Contender) -> dict[str, float]:
    """Measure everything but the idle time."""
    found = start(contender)
    try:
        for part in (latency, throughput, fractal, memory, payload):
            found |= part(contender)
    finally:
        contender.close()
    return found


def wait(contender: Contender) -> dict[str, float]:
    """Start, and do nothing until the watcher has seen enough."""
    start(contender)
    try:
        print(RESULT + "idle", flush=True)
        sys.stdin.read()
    finally:
        contender.close()
    return {}


def main() -> None:
    """Do what the command line says."""
    name, what = sys.argv[1:]
    contender = find(name)
    try:
        figures = (wait if what == "idle" else measure)(contender)
        version = importlib.metadata.version(contender.package or "pip")
        outcome: dict[str, object] = {"figures": figures, "why": ""}
        outcome["version"] = version if contender.package else sys.version.split()[0]
    except NotMeasuredError as error:
        outcome = {"figures": {}, "why": str(error), "version": ""}
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed: its installation failed on this Python"
        outcome = {"figures": {}, "why": why, "version": ""}
    print(RESULT + json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
