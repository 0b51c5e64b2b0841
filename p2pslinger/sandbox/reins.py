"""A process on reins: stopped where it is, let go on, and asked what it has used.

SIGSTOP can be neither caught nor refused, and it stops all threads at once. What the
process has started is stopped after it, again and again until nothing new is found, so
that nobody is left to wake the others. A slot for work of others can start nothing;
one for the machine's own can.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

#: Rounds in which what a process has started must all have been found: whoever forks
#: faster than that is stopped at the next occasion.
ROUNDS = 8


class Reins:
    """Holds one process, which is a child of somebody who has not reaped it.

    Args:
        pid: Its id.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle = -1
        self._ended = False
        if hasattr(os, "pidfd_open"):
            try:
                self._handle = os.pidfd_open(pid)
            except ProcessLookupError:
                self._ended = True  # its number may be another one's by now
            except OSError:
                pass  # a kernel without handles
        self._used = 0.0
        self._clocks: dict[int, float] = {}
        self.stopped = False

    def stop(self) -> None:
        """Stop it, and all that it has started."""
        self.stopped = True
        if self._ended:
            return
        self._send(signal.SIGSTOP)
        found: set[int] = set()
        for _ in range(ROUNDS):
            new = [pid for pid in below(self._pid) if pid not in found]
            if not new:
                break
            found.update(new)
            for pid in new:
                _signal(pid, signal.SIGSTOP)

    def go(self) -> None:
        """Let it go on where it was."""
        self.stopped = False
        if self._ended:
            return
        for pid in below(self._pid):
            _signal(pid, signal.SIGCONT)
        self._send(signal.SIGCONT)

    def used(self) -> float:
        """Return the processor seconds that it has used, and what it has started.

        What ends between two looks counts as far as it was seen.
        """
        clocks = {}
        for pid in () if self._ended else (self._pid, *below(self._pid)):
            try:
                clocks[pid] = _clock(pid)
            except OSError:
                continue  # it has ended
        for pid, now in clocks.items():
            self._used += max(0.0, now - self._clocks.get(pid, 0.0))
        self._clocks = clocks
        return self._used

    def close(self) -> None:
        """Let go of the reins; the process stays as it is."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _send(self, number: int) -> None:
        if self._handle < 0:
            _signal(self._pid, number)
            return
        try:
            signal.pidfd_send_signal(self._handle, number)
        except OSError:
            self._ended = True


def below(pid: int) -> Iterator[int]:
    """Yield what a process has started, and what that has, as far as it is listed."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children = [int(child) for child in file.read().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from below(child)


def _clock(pid: int) -> float:
    """Return the processor seconds of a process, all threads together.

    Raises:
        OSError: it has ended, or this system does not say.
    """
    if not hasattr(time, "clock_gettime"):
        raise OSError("no clocks of processes")
    # The kernel's number for the clock of another process: <linux/posix-timers.h>.
    return time.clock_gettime((~pid << 3) | 2)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # it has ended
