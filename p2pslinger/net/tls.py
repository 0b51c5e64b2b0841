"""TLS between a socket and a connection, without a detour.

asyncio has TLS of its own, which serves any protocol: it keeps what is to be encrypted
in a queue, asks at every step how full that is, and takes two more turns of the loop
for a message and its answer. Here is what a connection needs, and nothing else:

    socket --buffer_updated--> decrypt --data_received--> connection
           <-----write-------- encrypt <-----write-------

OpenSSL checks certificates and records, as it would there.

Two buffers are enough for all connections: what lies in them is dealt with before
anybody else has a turn.

The end of a connection: whoever leaves says so (close_notify), sends no more, and lets
go of the socket once the other end has done the same. What still comes is dropped, but
it is read: a socket that is closed with bytes unread takes back what it has sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable

from p2pslinger import limits
from p2pslinger.net.connection import Connection

#: Bytes that are read from a socket at most at once, and decrypted before they are
#: handed on: more take turns with other connections.
BUFFER = 256 * limits.KIB

#: Bytes of a record, decrypted: with less room OpenSSL would have to keep a part of it.
RECORD = 16 * limits.KIB

_encrypted = memoryview(bytearray(BUFFER))
_plain = memoryview(bytearray(BUFFER))


class Tls(asyncio.BufferedProtocol, asyncio.Transport):
    """A protocol to the socket's transport, and a transport to a connection.

    Attributes:
        connection: It; what it is handed is good until it returns.
        shaken: Done once the other end has proved who it is, and the connection was
            made; fails as the handshake does.

    Args:
        context: What is proved and checked.
        connection: It.
        server_name: The name to be checked, of who was dialled; None if we were.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        connection: Connection,
        server_name: str | None = None,
    ) -> None:
        super().__init__()
        self.shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connection = connection
        self._received = connection.data_received
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_name is None,
            server_hostname=server_name,
        )
        self._encrypt, self._decrypt = self._object.write, self._object.read
        self._socket: asyncio.Transport
        self._is_made = False  # the connection
        self._over = False  # we have said goodbye, or there is no more to say
        self._why: Exception | None = None

    # --- what the socket's transport calls ----------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._shake_hands()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return _encrypted

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what has come, and hand it on."""
        if self._over:
            return
        self._incoming.write(_encrypted[:nbytes])
        if not self._is_made:
            self._shake_hands()
            if not self._is_made:
                return
        try:
            self._hand_on()
        except ssl.SSLError as error:
            self._fail(error)

    def eof_received(self) -> None:
        """Let go: who sends no more has nothing to hear either."""
        self._over = True

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._is_made and not self._over:
            self.connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on, or send no more once all has left."""
        if self._over:  # not now: asyncio would shut down once more, unguarded
            asyncio.get_running_loop().call_soon(self._hang_up)
        elif self._is_made:
            self.connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for the handshake, or the connection."""
        self._over = True
        if self._is_made:
            self.connection.connection_lost(self._why or exc)
        elif not self.shaken.done():
            why = self._why or exc or ConnectionResetError("it hung up")
            self.shaken.set_exception(why)
            self.shaken.exception()  # whoever waited may have left

    # --- TLS ----------------------------------------------------------------------

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._send()
            self._is_made = True
            self.connection.connection_made(self)
            if not self.shaken.done():
                self.shaken.set_result(None)

    def _hand_on(self) -> None:
        """Decrypt until nothing is left, or half a record."""
        decrypt, incoming = self._decrypt, self._incoming
        filled, goodbye = 0, False
        try:
            while not (self._over or goodbye):
                size = int(decrypt(BUFFER - filled, _plain[filled:]))
                goodbye = not size
                filled += size
                if not incoming.pending and not self._object.pending():
                    break
                if BUFFER - filled < RECORD:
                    self._received(_plain[:filled])
                    filled = 0
        except ssl.SSLWantReadError:
            pass
        if filled and not self._over:
            self._received(_plain[:filled])
        if goodbye:
            self.close()
        elif self._outgoing.pending:  # TLS itself has something to say
            self._send()

    def _send(self) -> None:
        """Send what has been encrypted."""
        data = self._outgoing.read()
        if data:
            self._socket.write(data)

    def _fail(self, error: ssl.SSLError) -> None:
        """End what can't go on; OpenSSL has the other end told why."""
        self._over = True
        self._why = error
        self._send()
        if self._is_made:
            self._socket.abort()
        else:
            self._socket.close()

    def _hang_up(self) -> None:
        """Send no more."""
        with contextlib.suppress(OSError):  # the other end has been faster
            self._socket.write_eof()

    # --- what the connection calls ------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        self.writelines((data,))

    def writelines(self, parts: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send, each part in records of its own."""
        if self._over:
            return
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[self._encrypt(left) :]
        self._send()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the socket has not taken yet."""
        return self._socket.get_write_buffer_size()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Say from how many such bytes on writing pauses, and down to how many."""
        self._socket.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known about the socket, or of TLS: "ssl_object"."""
        if name == "ssl_object":
            return self._object
        return self._socket.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether this end has left, or the socket is gone."""
        return self._over or self._socket.is_closing()

    def close(self) -> None:
        """Say goodbye after what was written, and go when the other end does."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(ssl.SSLError):  # the answer is not waited for
            self._object.unwrap()
        self._send()
        self._socket.set_write_buffer_limits(0)  # we hear when all has left
        if not self._socket.get_write_buffer_size():
            self._hang_up()

    def abort(self) -> None:
        """Go at once."""
        self._over = True
        self._socket.abort()
