"""Last in every queue: a slot gets what nobody else wants.

For work of others that is the idle class of processor and disk, so that a task with a
hundred threads takes no time from a program of the machine's owner. Either way a slot
is the first to go when the machine runs out of memory.
"""

from __future__ import annotations

import os

from p2pslinger.sandbox.confine import kernel

#: Out-of-memory score: a slot goes before anything that the machine's owner started.
OOM_SCORE = 500

#: The nicest there is.
NICEST = 19

#: ioprio_set(2): this process, and its class "idle".
IOPRIO_WHO_PROCESS, IOPRIO_IDLE = 1, 3 << 13


def be_last() -> None:
    """Take the idle class of processor and disk.

    Raises:
        OSError: This system has no such class.
    """
    from p2pslinger.sandbox.confine.syscalls import number_of

    os.nice(NICEST)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    kernel.syscall(number_of("ioprio_set"), IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE)


def offer_to_the_oom_killer() -> None:
    """Be the one to go when memory runs out, as far as this system knows such a one."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE))
    except OSError:
        pass  # not on this system, or already higher
