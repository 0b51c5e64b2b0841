"""What a program hands to its peer as memory, and gets from it, instead of copies.

    program: pickle into memory, seal it --AppendBig(name)--> peer: check, map
    program: check, map <--Blob(name)-- peer: seal it

The memory travels beside the message, as a descriptor on the same socket.
"""

from __future__ import annotations

import io
import socket
from array import array
from typing import cast

from p2pslinger import limits
from p2pslinger.errors import PeerError
from p2pslinger.sandbox.memory import (
    AVAILABLE,
    LEAST,
    MemoryFile,
    UnsealedError,
    descriptor,
    has_room,
    joined,
    name_of,
    take,
)
from p2pslinger.sandbox.passing import CLOEXEC, SPACE, Arrived
from p2pslinger.sandbox.shared import unpack_value

__all__ = [
    "AVAILABLE",
    "LEAST",
    "Beside",
    "MemoryFile",
    "has_room",
    "joined",
    "unpack_value",
]


#: Bytes that are read from a socket at once.
CHUNK = 256 * limits.KIB


class Beside:
    """What goes beside the bytes of a program's socket.

    Args:
        sock: It.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._arrived = Arrived()
        self._buffer = memoryview(bytearray(CHUNK))

    def send(self, data: bytes, memory: bytes) -> None:
        """Send bytes, and the memory that holds some others beside them.

        Raises:
            OSError: the peer is gone.
        """
        rights = array("i", [cast(int, descriptor(memory))])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        sent = self._socket.sendmsg([data], ancillary)
        self._socket.sendall(data[sent:])

    def receive(self) -> memoryview:
        """Return what comes next, until it is called again; nothing at the end.

        A fresh buffer for each answer would be mapped and unmapped each time, which
        takes longer than to read a small one.

        Raises:
            OSError: the peer is gone.
        """
        if not AVAILABLE:
            return self._buffer[: self._socket.recv_into(self._buffer)]
        size, ancillary, _, _ = self._socket.recvmsg_into(
            [self._buffer], SPACE, CLOEXEC
        )
        if ancillary:
            self._arrived.put(ancillary)
        return self._buffer[:size]

    def take(self, name: int, size: int) -> bytes:
        """Return memory that the peer has handed over; it is read like any bytes.

        Raises:
            PeerError: there is none of that name, or it could still be changed.
        """
        fd = self._arrived.take(name)
        if fd is None:
            raise PeerError("named memory that has not come")
        try:
            return cast(bytes, take(fd, size))
        except UnsealedError as error:
            raise PeerError(f"handed over {error}") from None

    def close(self) -> None:
        """Close what nobody has taken."""
        self._arrived.close()


class BytesFile:
    """What `MemoryFile` is, where there is no memory to hand over."""

    def __init__(self) -> None:
        self._file = io.BytesIO()

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._file.tell()

    def write(self, data: bytes) -> int:
        """Add bytes."""
        return self._file.write(data)

    def rewrite(self, data: bytes) -> None:
        """Write over the beginning."""
        self._file.getbuffer()[: len(data)] = data

    def seal(self) -> bytes:
        """Return what was written."""
        return self._file.getvalue()

    def close(self) -> None:
        """Throw it away."""
        self._file.close()


def memory_name(data: bytes) -> int:
    """Return what the memory is called that holds these bytes, or 0 if none does."""
    fd = descriptor(data)
    return 0 if fd is None else name_of(fd)
