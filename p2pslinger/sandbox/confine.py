"""What a runner gives up before its first task.

Limits of memory, a low priority, no core files, and that it dies with its zygote. Each
is a step of its own, so that the layers of the full sandbox (Landlock, seccomp) find
their place after them. Steps that a system does not have are left out.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

#: From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

#: Bytes of address space beyond the memory limit: what is mapped but not the task's own
#: data, such as libraries, and arenas that malloc reserves for threads.
MAPPED = 1 << 30

#: Out-of-memory score: a slot goes before anything that the machine's owner started.
OOM_SCORE = 500

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def prctl(option: int, value: int) -> bool:
    """Call prctl(2); return whether this system has it and it worked."""
    return _LIBC is not None and _LIBC.prctl(option, value, 0, 0, 0) == 0


def die_with_parent(parent: int, with_signal: signal.Signals) -> None:
    """Have the kernel send a signal when the parent ends, also if it has already."""
    prctl(PR_SET_PDEATHSIG, with_signal)
    if os.getppid() != parent:
        os.kill(os.getpid(), with_signal)


def adopt_orphans() -> bool:
    """Become the parent of every orphan below; return whether that is possible."""
    return prctl(PR_SET_CHILD_SUBREAPER, 1)


def confine(*, memory: int, nice: int, parent: int) -> None:
    """Take all steps, as a runner just forked.

    Args:
        memory: Bytes of private data.
        nice: By how much to be nicer than the zygote.
        parent: Process id of the zygote.
    """
    die_with_parent(parent, signal.SIGKILL)
    adopt_orphans()  # so that the zygote gets a dead runner's, and no living one's
    os.nice(nice)
    _offer_to_the_oom_killer()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_AS, memory + MAPPED)


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(which, (bound, bound))
    except (OSError, ValueError):
        pass  # macOS refuses limits below what is in use; `doctor` calls it weak


def _offer_to_the_oom_killer() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE))
    except OSError:
        pass  # not on this system, or already higher
