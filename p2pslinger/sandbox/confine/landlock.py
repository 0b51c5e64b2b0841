"""Landlock: which files a process may open, and that it reaches nobody.

It restricts the calling thread and what that starts, so it comes before any thread.
What a kernel's version of it has is used: files since 1 (truncation since 3), TCP since
4, devices since 5, signals and abstract sockets since 6. It does not know UDP, sockets
by path, nor a file's mode and times; those are the seccomp filter's.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from p2pslinger.sandbox.confine import kernel

#: System calls: create a set of rules, add one, restrict oneself. Of all machines.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # flag of create: return the version

#: Rights, by their bit, from <linux/landlock.h>.
_EXECUTE, _WRITE, _READ, _LIST = (1 << bit for bit in range(4))
_TRUNCATE = 1 << 14

#: How many rights a version has.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_MOST_RIGHTS = 16

#: Rights given for a single file; most others are for folders.
_OF_FILES = _WRITE | _READ | _TRUNCATE

_TCP, _SCOPES = 0b11, 0b11
_TCP_SINCE, _SCOPES_SINCE = 4, 6

#: Version from which files that may be read can't be truncated.
TRUNCATION = 3

_RULE_PATH = 1


def version() -> int:
    """Return this kernel's version of Landlock; 0 if it has none."""
    try:
        return kernel.syscall(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def require(least: int) -> None:
    """See that this kernel's Landlock is new enough.

    Raises:
        OSError: It is not.
    """
    if (known := version()) < least:
        reason = f"this kernel has version {known} of Landlock, and {least} is needed"
        raise OSError(errno.ENOSYS, reason)


def restrict(*, readable: Iterable[str], writable: Iterable[str] = ()) -> None:
    """Open nothing but these from now on, start nothing, reach nobody.

    Args:
        readable: Files, and folders with all below them. Those that don't exist are
            left out.
        writable: Folders and devices to read and write.

    Raises:
        OSError: This kernel has no Landlock.
    """
    known = version()
    files = (1 << _RIGHTS.get(known, _MOST_RIGHTS)) - 1
    words = [files, _TCP, _SCOPES]
    words = words[: 1 if known < _TCP_SINCE else 2 if known < _SCOPES_SINCE else 3]
    attributes = struct.pack(f"={len(words)}Q", *words)
    rules = kernel.syscall(_CREATE, attributes, len(attributes), 0)
    try:
        for path in readable:
            _allow(rules, path, (_READ | _LIST) & files)
        for path in writable:
            _allow(rules, path, files & ~_EXECUTE)
        kernel.syscall(_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, place)
        kernel.syscall(_ADD, rules, _RULE_PATH, rule, 0)
    finally:
        os.close(place)
