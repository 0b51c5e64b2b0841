"""Limits that the kernel counts for each process, or for each user.

Memory is counted twice: a task's own data, and all that is mapped, which shared memory
needs. Threads are counted for each user, so an ordinary user's own processes come on
top of a slot's share: `tasks_of` counts them. The kernel does not count them for root.
"""

from __future__ import annotations

import os
import resource
import sys

#: Bytes of address space beyond the memory limit: what is mapped but not the task's own
#: data, such as libraries, and arenas that malloc reserves for threads.
MAPPED = 1 << 30

#: The same for a slot of others: numpy maps 140 MB, eight threads 70.
MAPPED_BY_OTHERS = 1 << 28

#: Threads that a slot of others may have: a few numeric libraries start one a core.
THREADS = 64

#: Descriptors that it may have. Each may hold a full pipe: 16 MiB of the kernel's.
FILES = 256

#: Timers and queued signals that it may have: the kernel's memory.
SIGNALS = 256


def limit_memory(memory: int, mapped: int = MAPPED) -> None:
    """Limit data to `memory` bytes, and what is mapped to `mapped` more; no cores."""
    _limit("CORE", 0)
    _limit("DATA", memory)
    _limit("AS", memory + mapped)


def limit_the_rest(*, running: int, file_bytes: int) -> None:
    """Limit what else a process can hoard.

    Args:
        running: Threads of this user that are not the slot's.
        file_bytes: Size of each file that it writes.
    """
    for name, most in {
        "NPROC": running + THREADS,
        "FSIZE": file_bytes,
        "NOFILE": FILES,
        "SIGPENDING": running + SIGNALS,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "RTPRIO": 0,
        "NICE": 0,
    }.items():
        _limit(name, most)


def tasks_of(uid: int) -> int:
    """Count the threads of a user, of all that /proc shows."""
    threads = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == uid:
                threads += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue  # has ended meanwhile, or is another user's
    return threads


def _limit(name: str, most: int) -> None:
    which = getattr(resource, f"RLIMIT_{name}", None)
    if which is None:
        return  # macOS has half of them; `doctor` calls it weak
    _, hard = resource.getrlimit(which)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(which, (bound, bound))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise
        # macOS refuses limits below what is in use
