"""Sockets that carry descriptors beside their bytes, to another process here.

A descriptor leaves with the next bytes that are sent. At the other end it waits until
it is asked for by the name of the memory behind it: so it does not matter which bytes
it came with, as long as they are not later ones than those that mention it.

An event loop may use such a socket like any other.
"""

from __future__ import annotations

import os
import socket
import weakref
from array import array
from collections.abc import Iterable

from p2pslinger.sandbox.memory import AVAILABLE, name_of

#: Descriptors that come with one piece of bytes, at most, and that leave with one.
TOGETHER = 16

#: Descriptors that wait to be asked for, at most: no honest sender has as many.
WAITING = 64

#: Room for what comes beside bytes; and it is not to be inherited.
SPACE = socket.CMSG_SPACE(TOGETHER * array("i").itemsize)
CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class Arrived:
    """Descriptors that have come, by the names of the memory behind them.

    Equal values are the same memory, which may come again before it was taken.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int]] = []  # name and descriptor, oldest first

    def put(self, ancillary: Iterable[tuple[int, int, bytes]]) -> None:
        """Take what came with some bytes; too many of them are closed again."""
        for level, kind, raw in ancillary:
            if (level, kind) != (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                continue
            found = array("i")
            found.frombytes(raw[: len(raw) - len(raw) % found.itemsize])
            self._waiting += [(name_of(fd), fd) for fd in found]
        while len(self._waiting) > WAITING:
            os.close(self._waiting.pop(0)[1])

    def take(self, name: int) -> int | None:
        """Return a descriptor, for the caller to close; None if it is not here."""
        for place, (known, fd) in enumerate(self._waiting):
            if known == name:
                del self._waiting[place]
                return fd
        return None

    def close(self) -> None:
        """Close those that nobody has asked for."""
        while self._waiting:
            os.close(self._waiting.pop()[1])


class PassingSocket(socket.socket):
    """A Unix socket with descriptors beside its bytes.

    Attributes:
        arrived: What has come.
        takes: Whether it takes any; else the kernel closes them. Whoever is not
            trusted could use up this process's numbers.
    """

    takes: bool
    _given: list[int]
    arrived: Arrived

    @classmethod
    def of(cls, sock: socket.socket, *, takes: bool = True) -> PassingSocket:
        """Return a socket in another's place."""
        blocking = sock.gettimeout() != 0
        passing = cls(fileno=sock.detach())
        passing.setblocking(blocking)
        passing.takes = takes
        passing._given = []
        passing.arrived = Arrived()
        _sockets[passing.fileno()] = passing
        return passing

    def give(self, fd: int) -> int:
        """Send a descriptor with the next bytes; return its memory's name."""
        if self.fileno() >= 0:  # else nothing will leave any more
            self._given.append(os.dup(fd))
        return name_of(fd)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive bytes, and what comes beside them."""
        if not self.takes:
            return super().recv(bufsize, flags)
        data, ancillary, _, _ = self.recvmsg(bufsize, SPACE, flags | CLOEXEC)
        if ancillary:
            self.arrived.put(ancillary)
        return data

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:  # type: ignore[override]
        """Send bytes, and what is to go beside them."""
        if self._given:
            return self.sendmsg([data])
        return super().send(data, flags)

    def sendmsg(self, buffers: Iterable[bytes | memoryview], *rest: object) -> int:  # type: ignore[override]
        """Send bytes in parts, and what is to go beside them."""
        if rest or not self._given:
            return super().sendmsg(buffers, *rest)  # type: ignore[arg-type]
        now = self._given[:TOGETHER]
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", now))
        sent = super().sendmsg(buffers, [rights], _NO_SIGNAL)
        del self._given[: len(now)]
        for fd in now:
            os.close(fd)
        return sent

    def close(self) -> None:
        """Close the socket, and what has not left or was not asked for."""
        super().close()
        while self._given:
            os.close(self._given.pop())
        self.arrived.close()


class PassingListener(socket.socket):
    """A listening Unix socket, whose connections carry descriptors."""

    def accept(self) -> tuple[socket.socket, object]:
        """Accept a connection."""
        sock, address = super().accept()
        return (PassingSocket.of(sock) if AVAILABLE else sock), address


#: Open ones by their number, to be found by whoever knows no more of them.
_sockets: weakref.WeakValueDictionary[int, PassingSocket] = (
    weakref.WeakValueDictionary()
)


def passing(number: int) -> PassingSocket | None:
    """Return the socket with that number, if it carries descriptors."""
    found = _sockets.get(number)
    return found if found is not None and found.fileno() == number else None
