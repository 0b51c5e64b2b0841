"""The one thing about a run that can't be seeded from inside: Python's hash seed.

Sets of strings and bytes are walked in an order that depends on PYTHONHASHSEED, which
Python draws at random when it starts. Within one process two runs agree regardless;
across processes they only do when both started with PYTHONHASHSEED=0.
"""

from __future__ import annotations

import os
import subprocess
import sys

from p2pslinger.errors import UsageError

_SEED = "PYTHONHASHSEED"


def reproducible() -> bool:
    """Whether another process that says so here has the same runs."""
    return not sys.flags.hash_randomization


def ensure_hash_seed() -> None:
    """Start this program again with PYTHONHASHSEED=0, unless it runs so already.

    Call it first thing: what the program did before, it does again. Not for use under
    pytest, which captures output by then; set the variable for pytest instead.

    Raises:
        UsageError: This Python ignores the variable (it runs with -E or -I).
    """
    if reproducible():
        return
    if sys.flags.ignore_environment:
        raise UsageError(f"this Python ignores {_SEED}; start it without -E and -I")
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *sys.orig_argv[1:]]
    environment = {**os.environ, _SEED: "0"}
    if sys.platform == "win32":  # where exec would hand the console back at once
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)
    os.execve(sys.executable, command, environment)
