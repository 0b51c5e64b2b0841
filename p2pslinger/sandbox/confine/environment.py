"""The environment of slots: nothing that says anything about the machine's owner.

Every slot has a fixed hash seed, so that a set's order is the same in every slot of a
grid, and one thread for numeric libraries, because a slot stands for one core.
"""

from __future__ import annotations

import os

from p2pslinger.sandbox.confine.confinement import Confinement

#: What of the daemon's environment any slot needs to start Python.
NEEDED = ("TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")

#: What the machine's own work has besides: it may start programs and use files.
AT_HOME = ("PATH", "HOME")

#: What every slot finds besides.
SET = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "2",  # else each thread reserves 64 MB of address space
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

#: For work of others: a home that does not exist.
ABROAD = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def environment(confinement: Confinement) -> dict[str, str]:
    """Return a zygote's environment."""
    own = confinement is Confinement.OWN
    names = NEEDED + AT_HOME if own else NEEDED
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | SET | ({} if own else ABROAD)
