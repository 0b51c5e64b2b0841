"""Streams: connections between machines, by mutual TLS 1.3.

`Streams` is the seam: peers dial and listen through it and never meet a socket, so a
simulated network can stand in. What goes wrong with sockets and certificates is
translated here, once, into errors that say what to do.

Every accepted socket has its handshake in a task of its own, owned by the `Listening`
that accepted it: one that stalls holds up nobody, and one that fails is counted.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Protocol

from p2pslinger.errors import (
    PeerError,
    SlingerError,
    UnavailableError,
    WrongGridError,
)
from p2pslinger.net.certificates import SERVER_NAME, contexts, public_key
from p2pslinger.net.connection import Connection
from p2pslinger.net.greeting import where
from p2pslinger.net.ports import PortTakenError, open_sockets
from p2pslinger.net.tls import Tls
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keyring import Keyring

__all__ = ["Listening", "PortTakenError", "Streams", "TlsStreams"]

#: Seconds before the next address of a host is tried beside the first (RFC 8305).
EYEBALLS = 0.25

#: Seconds a stranger gets for the TLS handshake.
HANDSHAKE = 10.0

#: Handshakes under way at once, about 100 KB each; more wait in the kernel's queue.
HANDSHAKES = 256

#: Seconds without accepting after the process ran out of descriptors.
EXHAUSTED_PAUSE = 1.0

#: Seconds of silence before the kernel asks whether the other end is alive, between two
#: such questions, and how many go unanswered; and milliseconds that sent bytes may stay
#: unacknowledged. Together a machine that vanished is noticed within a minute.
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
USER_TIMEOUT = {"TCP_USER_TIMEOUT": 30_000}

Make = Callable[[], Connection]


class Listening(Protocol):
    """Open ports.

    Attributes:
        port: The port, the same for every address.
        refused: Connections that failed their handshake or their hello.
    """

    port: int
    refused: int

    def close(self) -> None:
        """Accept no more. Connections that were accepted stay."""


class Streams(Protocol):
    """How peers reach each other."""

    async def dial(
        self, host: str, port: int, make: Make, timeout: float
    ) -> Connection:
        """Return a connection whose hello has been heard, within `timeout` seconds.

        Raises:
            UnavailableError: nobody answers there; the text says who and why.
            WrongGridError: the other end does not hold this grid's authkey.
            IncompatibleError: it speaks another version.
            PeerError: it does not speak our protocol.
        """

    async def listen(self, host: str | None, port: int, make: Make) -> Listening:
        """Accept connections; host None or "" is every address, port 0 is any.

        Raises:
            PortTakenError: another process has the port.
            UnavailableError: the address can't be listened on.
        """

    def peer_key(self, transport: asyncio.BaseTransport) -> bytes:
        """Return the public key that the other end has proved to hold."""

    def use(self, keyring: Keyring) -> None:
        """Take other authkeys from now on; open connections stay as they are."""


class TlsStreams:
    """Streams over real sockets."""

    def __init__(self, identity: Identity, authkey: Authkey) -> None:
        self._identity = identity
        self.use(Keyring(authkey))

    def use(self, keyring: Keyring) -> None:
        """See `Streams.use`."""
        newest, *older = keyring
        self._server, self._client = contexts(self._identity, newest, older)

    async def dial(
        self, host: str, port: int, make: Make, timeout: float
    ) -> Connection:
        """See `Streams.dial`."""
        try:
            async with asyncio.timeout(timeout):
                connection = await self._connect(host, port, make)
        except TimeoutError:
            raise UnavailableError(
                f"{where((host, port))} did not answer within {timeout:g} s: is the "
                "machine on, and does its firewall let the port through?"
            ) from None
        except OSError as error:
            raise translate(error, where((host, port))) from error
        return connection

    async def _connect(self, host: str, port: int, make: Make) -> Connection:
        loop = asyncio.get_running_loop()
        transport, tls = await loop.create_connection(
            lambda: Tls(self._client, make(), SERVER_NAME),
            host,
            port,
            happy_eyeballs_delay=EYEBALLS,
        )
        try:
            tune(transport.get_extra_info("socket"))
            await tls.shaken
        except BaseException:
            transport.abort()
            raise
        try:
            await tls.connection.ready
        except BaseException:
            tls.connection.close()
            raise
        return tls.connection

    async def listen(self, host: str | None, port: int, make: Make) -> Listening:
        """See `Streams.listen`."""
        return TlsListening(open_sockets(host, port), lambda: self._server, make)

    def peer_key(self, transport: asyncio.BaseTransport) -> bytes:
        """See `Streams.peer_key`."""
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate is None:
            raise PeerError("showed no certificate")
        return public_key(certificate)


class TlsListening:
    """Sockets that accept, and the handshakes under way; see `Listening`."""

    def __init__(
        self,
        sockets: list[socket.socket],
        context: Callable[[], ssl.SSLContext],
        make: Make,
    ) -> None:
        self.port: int = sockets[0].getsockname()[1]
        self.refused = 0
        self._context = context
        self._make = make
        self._room = asyncio.Semaphore(HANDSHAKES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._untaken: set[socket.socket] = set()  # their tasks have not begun
        for listener in sockets:
            self._own(self._accept(listener), listener)

    def close(self) -> None:
        """See `Listening.close`."""
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _own(self, work: Coroutine[None, None, None], sock: socket.socket) -> None:
        """Start a task that takes care of a socket, unless it is cancelled first."""
        self._untaken.add(sock)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, sock))

    def _ended(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if sock in self._untaken:
            self._untaken.discard(sock)
            sock.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "accepting connections failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    async def _accept(self, listener: socket.socket) -> None:
        self._untaken.discard(listener)
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                async with self._room:
                    pass  # no more than HANDSHAKES at once; see `_welcome`
                try:
                    accepted, _ = await loop.sock_accept(listener)
                except OSError:  # it was gone again, or descriptors have run out
                    await asyncio.sleep(EXHAUSTED_PAUSE)
                    continue
                self._own(self._welcome(accepted), accepted)

    async def _welcome(self, accepted: socket.socket) -> None:
        """Take one socket as far as its hello."""
        async with self._room:
            self._untaken.discard(accepted)
            connection = None
            try:
                connection = await self._shake_hands(accepted)
                await connection.ready
            except (OSError, SlingerError):
                self.refused += 1
            except asyncio.CancelledError:
                if connection is not None:
                    connection.close()
                raise

    async def _shake_hands(self, accepted: socket.socket) -> Connection:
        loop = asyncio.get_running_loop()
        transport, tls = await loop.connect_accepted_socket(
            lambda: Tls(self._context(), self._make()), accepted
        )
        try:
            tune(accepted)
            async with asyncio.timeout(HANDSHAKE):
                await tls.shaken
        except BaseException:
            transport.abort()
            raise
        return tls.connection


def tune(connected: socket.socket) -> None:
    """Send at once, and notice within a minute that the other machine is gone."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (KEEPALIVE | USER_TIMEOUT).items():
        option = getattr(socket, name, None)  # macOS and Windows lack some
        if option is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def translate(error: OSError, place: str) -> SlingerError:
    """Return what a failure to connect means to a person."""
    if isinstance(error, ssl.SSLCertVerificationError) or "UNKNOWN_CA" in str(error):
        return WrongGridError(
            f"{place} does not hold this grid's authkey: compare `slinger status` on "
            "both machines; if the grid has a new one, run `slinger rekey --join` on "
            "the machine that lacks it"
        )
    if isinstance(error, ssl.SSLError):
        return UnavailableError(
            f"{place} answers, but not as a peer of p2pslinger ({error.reason}): is "
            "the port right?"
        )
    if isinstance(error, socket.gaierror):
        return UnavailableError(
            f"the name in {place} is unknown ({error.strerror}): check its spelling, "
            "or use an address"
        )
    if error.errno == errno.ECONNREFUSED or isinstance(error, ConnectionRefusedError):
        return UnavailableError(f"{place} refuses connections: is `slinger up` there?")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UnavailableError(f"{place} can't be reached: {reason or repr(error)}")
