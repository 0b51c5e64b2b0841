"""Peers' streams on a simulated host: who is there is asserted, where TLS proves it.

What stands for a certificate is a public key and a MAC under the key of each CA.
So a peer that does not hold the authkey is found out before a word is said, as it is by
TLS, and in the same words.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac

from p2pslinger.errors import PeerError, UnavailableError, WrongGridError
from p2pslinger.net.connection import Connection
from p2pslinger.net.greeting import where
from p2pslinger.net.ports import PortTakenError
from p2pslinger.net.streams import Listening, Make, translate
from p2pslinger.testing.dialing import Listener
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.streams import IDENTITY_KEY, PEER_KEY
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keyring import Keyring

#: Bytes of a public key, and of each MAC that follows.
KEY = 32


class HostStreams:
    """Streams of one peer; see `p2pslinger.net.streams.Streams`.

    Args:
        host: The machine.
        identity: Who is asserted to be there.
        authkey: The grid's.
    """

    def __init__(self, host: Host, identity: Identity, authkey: Authkey) -> None:
        self._host = host
        self._public = identity.public
        self._extra: dict[str, object] = {}
        self.use(Keyring(authkey))

    def use(self, keyring: Keyring) -> None:
        """Take other authkeys; see `Streams.use`. Each vouches for the newest."""
        self._cas = [key.key_for("certificate authority") for key in keyring]
        self._extra[IDENTITY_KEY] = b"".join((self._public, *self._macs(self._public)))

    async def dial(
        self, host: str, port: int, make: Make, timeout: float
    ) -> Connection:
        """Return a connection whose hello has been heard; see `Streams.dial`."""
        try:
            async with asyncio.timeout(timeout):
                _, connection = await self._host.connect(
                    (host, port), make, self._extra
                )
                await _until_ready(connection)
        except TimeoutError:
            raise UnavailableError(f"{where((host, port))} did not answer") from None
        except OSError as error:
            raise translate(error, where((host, port))) from error
        return connection

    async def listen(self, host: str | None, port: int, make: Make) -> Listening:
        """Accept connections; see `Streams.listen`."""
        try:
            return HostListening(self._host.listen(port, make, self._extra))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTakenError(str(error)) from None
            raise translate(error, where((host, port))) from error

    def peer_key(self, transport: asyncio.BaseTransport) -> bytes:
        """Return the public key that the other end asserts."""
        shown = transport.get_extra_info(PEER_KEY)
        if not isinstance(shown, bytes):
            raise PeerError("showed no certificate")
        key = shown[:KEY]
        macs = {shown[at : at + KEY] for at in range(KEY, len(shown), KEY)}
        if macs.isdisjoint(self._macs(key)):
            raise WrongGridError("the other end does not hold this grid's authkey")
        return key

    def _macs(self, key: bytes) -> list[bytes]:
        return [hmac.digest(ca, key, hashlib.sha256) for ca in self._cas]


class HostListening:
    """An open port of a simulated host; see `p2pslinger.net.streams.Listening`."""

    def __init__(self, listener: Listener) -> None:
        self.port = listener.port
        self.refused = 0
        self._listener = listener

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()


async def _until_ready(connection: Connection) -> None:
    try:
        await connection.ready
    except BaseException:
        connection.close()
        raise
