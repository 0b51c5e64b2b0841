"""Last in every queue: a slot gets what nobody else wants.

For work of others that is the idle class of processor and disk, so that a task with a
hundred threads takes no time from a program of the machine's owner. Either way a slot
is the first to go when the machine runs out of memory.
"""

from __future__ import annotations

import os
import time

from p2pslinger.sandbox.confine import kernel

#: Out-of-memory score: a slot goes before anything that the machine's owner started.
OOM_SCORE = 500

#: The nicest there is.
NICEST = 19

#: Seconds until the kernel is asked again for a session's place.
AGAIN = 0.02

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


class SessionRank:
    """The place of this whole session among others.

    Linux divides a busy machine between sessions first, and the classes above count
    within one only. It lets ordinary users change a session's place ten times a second,
    all together. The file is opened at once, because later this process may be another
    user, or a child of it confined.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/self/autogroup", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1  # a system that does not divide like this

    @property
    def kept(self) -> tuple[int, ...]:
        """The descriptor that it needs, as long as it does."""
        return (self._file,) if self._file >= 0 else ()

    def insist(self, patience: float) -> None:
        """Take the last place, asking for so many seconds, and let go of the file.

        With the file a task could take another place, as far as its user may.
        """
        until = time.monotonic() + patience
        while not self.be_last() and time.monotonic() < until:
            time.sleep(AGAIN)
        self._close()

    def be_last(self) -> bool:
        """Take the last place; return False to be asked again later."""
        if self._file < 0:
            return True
        try:
            os.write(self._file, str(NICEST).encode())
        except BlockingIOError:
            return False
        except OSError:
            pass  # it does not divide like this at the moment
        self._close()
        return True

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def offer_to_the_oom_killer() -> None:
    """Be the one to go when memory runs out, as far as this system knows such a one."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE))
    except OSError:
        pass  # not on this system, or already higher
