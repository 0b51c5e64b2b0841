"""A small folder in memory that is gone with the sandbox.

Only a file system of its own bounds the sum of all files, and their number: each empty
file is a kilobyte of the kernel's memory. Mounting takes a right that bubblewrap leaves
to the zygote, and that the zygote gives up at once.
"""

from __future__ import annotations

from p2pslinger.sandbox.confine import kernel

#: Where it is, inside the sandbox.
SCRATCH = "/scratch"

#: Bytes and files that it holds.
BYTES = 64 << 20
FILES = 4096

#: From <linux/mount.h>: no set-user-id programs, devices or programs at all.
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8


def mount_scratch(uid: int) -> None:
    """Mount it for a user.

    Raises:
        OSError: This process was not started by bubblewrap.
    """
    options = f"size={BYTES},nr_inodes={FILES},mode=0700,uid={uid},gid={uid}"
    flags = _NOSUID | _NODEV | _NOEXEC
    kernel.mount(b"scratch", SCRATCH.encode(), b"tmpfs", flags, options.encode())
