"""What asyncio's TLS decrypts into: one buffer for all connections.

For an ordinary protocol asyncio has OpenSSL make a new string for every record, then
joins them. Here they are decrypted next to each other, and the connection takes what it
needs before anybody else has a turn: so one buffer is enough for all.
"""

from __future__ import annotations

import asyncio

from p2pslinger import limits
from p2pslinger.net.connection import Connection

#: Bytes that are handed over at most at once: as many as asyncio reads from a socket.
BUFFER = 256 * limits.KIB

_buffer = memoryview(bytearray(BUFFER))


class Buffered(asyncio.BufferedProtocol):
    """Hands what a transport brings to a connection.

    Args:
        connection: It.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.connection_made = connection.connection_made  # type: ignore[method-assign]
        self.connection_lost = connection.connection_lost  # type: ignore[method-assign]
        self.pause_writing = connection.pause_writing  # type: ignore[method-assign]
        self.resume_writing = connection.resume_writing  # type: ignore[method-assign]
        self._received = connection.data_received

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Let the connection take them, all of them, now."""
        self._received(_buffer[:nbytes])
