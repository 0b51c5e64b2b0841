"""Who ends with whom: the kernel's bond between a process and its parent."""

from __future__ import annotations

import os
import signal

from p2pslinger.sandbox.confine import kernel

#: From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int, with_signal: signal.Signals) -> None:
    """Have the kernel send a signal when the parent ends, also if it has already.

    To be called after the last change of user: that unties the bond.
    """
    try:
        kernel.prctl(PR_SET_PDEATHSIG, with_signal)
    except OSError:
        pass  # not Linux: the end of the socket tells it then
    if os.getppid() != parent:
        os.kill(os.getpid(), with_signal)


def adopt_orphans() -> bool:
    """Become the parent of every orphan below; return whether that is possible."""
    try:
        kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
    except OSError:
        return False
    return True
