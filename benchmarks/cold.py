"""How long a program without a running peer waits for its first result.

Every run is a fresh Python process with a data folder of its own: it imports
p2pslinger, connects (which starts a peer), and computes one task. The time is taken
from the import on; what the interpreter needs before that is everybody's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import MILLI, show, wait_until
from p2pslinger import paths
from p2pslinger.client.link import Link
from p2pslinger.errors import UnavailableError
from p2pslinger.wire.control import Stop

RUNS = 7

OURS = """
import time
start = time.perf_counter()
import p2pslinger as slinger
grid = slinger.connect()
connected = time.perf_counter()
assert grid.submit(pow, 2, 5).result() == 32
done = time.perf_counter()
print(done - start, connected - start)
"""

POOL = """
import time
start = time.perf_counter()
from concurrent.futures import ProcessPoolExecutor
pool = ProcessPoolExecutor(1)
assert pool.submit(pow, 2, 5).result() == 32
done = time.perf_counter()
print(done - start, 0)
"""


def run(program: str) -> tuple[float, ...]:
    """Run a program; return what it has measured, seconds."""
    with tempfile.TemporaryDirectory(
        prefix="slinger-", ignore_cleanup_errors=True
    ) as folder:
        own = {"SLINGER_DATA": folder, "SLINGER_CONFIG": folder, "SLINGER_MDNS": "no"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        end_peer(Path(folder))
    return tuple(map(float, done.stdout.split()))


def end_peer(folder: Path) -> None:
    """End the peer that the program has left for the next one."""
    path = paths.control_path(folder)
    try:
        with Link.open(path) as link:
            link.request(Stop(), timeout=5.0)
    except UnavailableError:
        return
    wait_until(lambda: not path.exists(), 10, "the end of the peer")


def main() -> None:
    """Measure a program with the grid, and one with the standard library's pool."""
    runs = [run(OURS) for _ in range(RUNS)]
    show("import to first result", [total for total, _ in runs], "s", most=0.5)
    show("import to connected", [start for _, start in runs], "s")
    firsts = [(total - start) * MILLI for total, start in runs]
    show("connected to first result", firsts, "ms")
    pool = [total for total, _ in (run(POOL) for _ in range(RUNS))]
    show("import to first result, stdlib pool", pool, "s")


if __name__ == "__main__":
    main()
