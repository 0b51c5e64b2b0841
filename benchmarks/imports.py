"""How long the imports take, each in fresh processes, without the interpreter's start.

There is no budget for these; they are the largest part of cold.py's and startup.py's.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.figures import MILLI, show

RUNS = 7

PROGRAM = """
import sys, time
before = len(sys.modules)
start = time.perf_counter()
import {module}
print(time.perf_counter() - start, len(sys.modules) - before)
"""

MODULES = {
    "p2pslinger": "what every program imports",
    "p2pslinger.client.connect": "what connect() needs",
    "p2pslinger.peer.run": "a peer",
    "p2pslinger.sandbox.zygote": "a zygote",
    "p2pslinger.sandbox.runner": "a slot",
    "p2pslinger.cli.main": "the command line",
}


def run(module: str) -> tuple[float, float]:
    """Return the ms and the modules that an import takes, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    taken, modules = map(float, done.stdout.split())
    return taken * MILLI, modules


def main() -> None:
    """Measure each module that a process begins with."""
    for module, what in MODULES.items():
        run(module)  # its bytecode is written, its files are in memory
        runs = [run(module) for _ in range(RUNS)]
        show(f"import {module} ({what})", [taken for taken, _ in runs], "ms")
        show(f"import {module}, modules", [modules for _, modules in runs[:1]], "")


if __name__ == "__main__":
    main()
