"""A runner's end of its socket, to be read like a file; memory comes beside the bytes.

The daemon seals what it gives, so it stays what it is while a task uses it.
"""

from __future__ import annotations

import io
import socket

from p2pslinger.sandbox.memory import take
from p2pslinger.sandbox.passing import CLOEXEC, SPACE, Arrived


class Inbox(io.RawIOBase):
    """What comes from the daemon.

    Args:
        sock: The slot's socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.arrived = Arrived()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """Read some bytes, and what comes beside them."""
        size, ancillary, _, _ = self._socket.recvmsg_into([buffer], SPACE, CLOEXEC)  # type: ignore[list-item]
        if ancillary:
            self.arrived.put(ancillary)
        return size

    def memory(self, name: int, size: int) -> memoryview:
        """Return memory that has come.

        Raises:
            ValueError: it has not, or is not what the daemon sends.
        """
        fd = self.arrived.take(name)
        if fd is None:
            raise ValueError("the daemon has named memory that has not come")
        return take(fd, size)
