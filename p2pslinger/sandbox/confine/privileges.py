"""What makes a process more than its user, and how it is given up.

A daemon started by root makes slots of users that own nothing and are nobody else's,
one for each slot: so no two slots can touch each other, and the kernel counts the
threads of each.
"""

from __future__ import annotations

import errno
import os
import struct
import sys

from p2pslinger.sandbox.confine import kernel

#: From <linux/prctl.h>.
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NO_NEW_PRIVS = 38

#: From <linux/capability.h>.
CAP_DAC_READ_SEARCH = 2
_VERSION_3 = 0x20080522

#: Users of slots: above all that distributions and systemd give away. A byte and a half
#: each for the daemon and for the slot.
FIRST_USER = 0x75000000
_EACH = 0xFFF

#: The user for all slots where there are few users, as in containers of a user's own.
NOBODY = 65534


def user_of_slot(daemon: int, number: int) -> int:
    """Return the user id for a slot of a daemon of root."""
    user = FIRST_USER | (daemon & _EACH) << 12 | number & _EACH
    return user if _exists(user) else NOBODY


def _exists(user: int) -> bool:
    """Tell whether this user namespace has such a number."""
    try:
        with open("/proc/self/uid_map") as file:
            ranges = [line.split() for line in file]
    except OSError:
        return sys.platform != "linux"
    return any(int(at) <= user < int(at) + int(many) for at, _, many in ranges)


def become(uid: int, *, searching: bool = False) -> None:
    """Become a user without groups or capabilities.

    Args:
        searching: Keep the right to read and to enter any folder. It is for an
            interpreter below a folder that only root may enter, and needs Landlock
            after it.

    Raises:
        OSError: This root may not do that; nothing has changed.
    """
    if searching:
        if not permitted() >> CAP_DAC_READ_SEARCH & 1:
            reason = "Python lies where only root may enter, and this root can't lend"
            raise OSError(errno.EPERM, f"{reason} that right: install it elsewhere")
        kernel.prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    hold(CAP_DAC_READ_SEARCH) if searching else hold()


def hold(*capabilities: int) -> None:
    """Give up all capabilities but these."""
    bits = sum(1 << number for number in capabilities)
    both = [bits & 0xFFFFFFFF, bits & 0xFFFFFFFF, 0, bits >> 32, bits >> 32, 0]
    kernel.capset(struct.pack("=Ii", _VERSION_3, 0), struct.pack("=6I", *both))


def permitted() -> int:
    """Return the capabilities that this process may use, one a bit."""
    with open("/proc/self/status") as file:
        words = next(line.split() for line in file if line.startswith("CapPrm"))
    return int(words[1], 16)


def gain_nothing() -> None:
    """Have no program that is started ever give more rights: no_new_privs."""
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """Have no core dumped, not even into a program, and no sibling look inside."""
    kernel.prctl(PR_SET_DUMPABLE, 0)
