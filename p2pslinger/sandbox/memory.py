"""Memory that changes hands between processes of one machine, instead of being copied.

Whoever gives it away seals it first: it can't be written, grown or shrunk by anyone any
more, the giver included. Whoever takes it checks the seals before looking at it: what
is not sealed could change after it was checked, or vanish under its reader, which would
kill it. Linux alone has such memory; elsewhere `AVAILABLE` is false, and bytes go
through sockets.

What was taken is a view like any other. `descriptor` tells whether there is memory
behind a view, so that it can be handed on.
"""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from collections.abc import Iterable
from pickle import PickleBuffer
from typing import TypeGuard

if sys.platform == "linux":
    import fcntl

    #: What makes memory safe to read.
    SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

#: Whether this system has memory that can be sealed.
AVAILABLE = sys.platform == "linux" and hasattr(os, "memfd_create")

#: Bytes from which it pays: what has to be set up costs as much as copying some 100 KB.
LEAST = 1 << 20

#: Pieces of memory that one process has at a time. Each takes two descriptors, of which
#: there are often 1,024; what comes on top of them is copied.
MOST = 96

_FLAGS = getattr(os, "MFD_CLOEXEC", 0) | getattr(os, "MFD_ALLOW_SEALING", 0)


class UnsealedError(ValueError):
    """Memory that could still be changed, or is smaller than was said."""


class Sealed(mmap.mmap):
    """Sealed memory, mapped for reading.

    Attributes:
        fd: Its descriptor, open as long as this lives.
    """

    fd: int


class MemoryFile:
    """Memory in the making: something to pickle into. Ends by `seal` or `close`.

    Raises:
        OSError: there is no memory.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("handed over", _FLAGS)
        #: Bytes written.
        self.size = 0

    def write(self, data: bytes | memoryview | PickleBuffer) -> int:
        """Add bytes, all of them; return their number."""
        left = data.raw() if isinstance(data, PickleBuffer) else memoryview(data)
        left = left.cast("B")
        size = len(left)
        while left:
            left = left[os.write(self._fd, left) :]
        self.size += size
        return size

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Put bytes at their place; what is not written is zeros."""
        end, left = offset + len(data), memoryview(data)
        while left:
            left = left[os.pwrite(self._fd, left, end - len(left)) :]
        self.size = max(self.size, end)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes that were written."""
        return os.pread(self._fd, size, offset)

    def rewrite(self, data: bytes) -> None:
        """Write over the beginning."""
        os.pwrite(self._fd, data, 0)

    def seal(self) -> memoryview:
        """Return what was written, which nobody can change any more."""
        fd, self._fd = self._fd, -1
        seal(fd)
        return take(fd, self.size)

    def close(self) -> None:
        """Throw it away."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def in_memory(data: bytes | memoryview) -> bytes | memoryview:
    """Return bytes as memory that can be handed over, if that pays and is possible."""
    if len(data) < LEAST or not has_room() or descriptor(data) is not None:
        return data
    return joined([data])


def joined(parts: Iterable[bytes | memoryview]) -> bytes | memoryview:
    """Join parts in memory that can be handed over; as bytes where there is none."""
    if not has_room():
        return b"".join(parts)
    file = MemoryFile()
    try:
        for part in parts:
            file.write(part)
        return file.seal()
    finally:
        file.close()


def has_room() -> bool:
    """Whether this process can have one more piece of memory."""
    return AVAILABLE and len(_live) < MOST


def area(size: int) -> int:
    """Return the descriptor of memory of a fixed size, for somebody to write into."""
    fd = os.memfd_create("for results", _FLAGS)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    except BaseException:
        os.close(fd)
        raise
    return fd


def seal(fd: int) -> None:
    """Have nobody change memory any more.

    Raises:
        UnsealedError: somebody has it mapped for writing.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except OSError as error:
        raise UnsealedError(f"memory that can't be sealed: {error}") from None


def take(fd: int, size: int) -> memoryview:
    """Return the first `size` bytes behind a descriptor, which is closed with them.

    Args:
        fd: It.
        size: How many.

    Raises:
        UnsealedError: they could still be changed, or are not there.
    """
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS != SEALS:
            raise UnsealedError("memory that is not sealed")
        if not 0 < size <= os.fstat(fd).st_size:
            raise UnsealedError(f"memory of less than {size} bytes")
        mapped = Sealed(fd, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    except OSError as error:  # what is no memory has no seals
        os.close(fd)
        raise UnsealedError(f"no memory that can be sealed: {error}") from None
    except BaseException:
        os.close(fd)
        raise
    mapped.fd = fd
    _live.add(mapped)
    weakref.finalize(mapped, os.close, fd).atexit = False
    return memoryview(mapped)


def descriptor(data: bytes | memoryview) -> int | None:
    """Return the descriptor of the memory that a view shows all of; else None."""
    if is_view(data) and isinstance(data.obj, Sealed) and len(data) == len(data.obj):
        return data.obj.fd
    return None


def is_view(data: object) -> TypeGuard[memoryview]:
    """Whether something is a view."""
    return isinstance(data, memoryview)


def name_of(fd: int) -> int:
    """Return what a piece of memory is called on this machine."""
    return os.fstat(fd).st_ino


#: All of them in this process; a dead one leaves by itself.
_live: weakref.WeakSet[Sealed] = weakref.WeakSet()
