"""System calls that Python has no function for.

Each raises an OSError when the kernel refuses, and one with ENOSYS on systems other
than Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
if _LIBC is not None:
    _LIBC.syscall.restype = ctypes.c_long

#: What a system call takes here: numbers, and the addresses of buffers.
Argument = int | bytes | None


def prctl(option: int, *values: int) -> int:
    """Call prctl(2)."""
    return _call("prctl", option, *values, *[0] * (4 - len(values)))


def syscall(number: int, *arguments: Argument) -> int:
    """Call any system call."""
    return _call("syscall", number, *arguments)


def mount(source: bytes, target: bytes, kind: bytes, flags: int, data: bytes) -> None:
    """Call mount(2)."""
    _call("mount", source, target, kind, flags, data)


def capset(header: bytes, data: bytes) -> None:
    """Call capset(2)."""
    _call("capset", header, data)


def _call(name: str, *arguments: Argument) -> int:
    if _LIBC is None:
        raise OSError(errno.ENOSYS, f"{os.strerror(errno.ENOSYS)}: {name}")
    words = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    answer = int(getattr(_LIBC, name)(*words))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: {name}")
    return answer
