"""Big data that a program on this machine and its peer hand each other as memory.

A message names the memory that came beside it. Nothing of it is believed before it is
known to be sealed: a program that changes or cuts it afterwards must not hurt its peer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

from p2pslinger.errors import PeerError
from p2pslinger.net.connection import Connection
from p2pslinger.sandbox.memory import (
    LEAST,
    UnsealedError,
    descriptor,
    in_memory,
    take,
)
from p2pslinger.sandbox.passing import PassingSocket, passing


class ProgramConnection(Connection):
    """A control connection, whose socket may carry memory.

    Attributes:
        socket: That socket, or None if it can't.
        process: The program's id, or 0 if nobody knows.
    """

    socket: PassingSocket | None = None
    process: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and find the socket."""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self.socket = passing(sock.fileno())
            self.process = _process_behind(sock)
        super().connection_made(transport)


def _process_behind(sock: socket.socket) -> int:
    """Return who has opened the other end, as the kernel says."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    except OSError:
        return 0
    return int(struct.unpack("3i", raw)[0])


def taken(connection: Connection, name: int, size: int) -> bytes:
    """Return memory that a program has handed over; it is read like any bytes.

    Raises:
        PeerError: there is none of that name, or it could still be changed.
    """
    sock = connection.socket if isinstance(connection, ProgramConnection) else None
    fd = None if sock is None else sock.arrived.take(name)
    if fd is None:
        raise PeerError("named memory that has not come")
    try:
        return cast(bytes, take(fd, size))
    except UnsealedError as error:
        raise PeerError(f"handed over {error}") from None


async def given(connection: Connection, data: bytes) -> int:
    """Hand bytes over with what is said next; return the memory's name, or 0.

    With 0 it is too little to be worth it, or there is no memory: send a body.
    """
    sock = connection.socket if isinstance(connection, ProgramConnection) else None
    if sock is None or len(data) < LEAST:
        return 0
    if descriptor(data) is None:
        data = cast(bytes, await asyncio.to_thread(in_memory, data))
    fd = descriptor(data)
    return 0 if fd is None else sock.give(fd)
