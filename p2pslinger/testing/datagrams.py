"""Datagram sockets of simulated hosts: asyncio transports without a kernel."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, cast

from p2pslinger.testing.clocks import on_machine

if TYPE_CHECKING:
    from p2pslinger.testing.hosts import Host

#: Bytes that fit into one UDP datagram over IPv4.
MAX_DATAGRAM = 65_507


class DatagramSocket(asyncio.DatagramTransport):
    """One bound socket. What it sends, the network carries or loses."""

    def __init__(self, host: Host, port: int, protocol: asyncio.BaseProtocol) -> None:
        self._host = host
        self._address = (host.ip, port)
        self._protocol = cast("asyncio.DatagramProtocol", protocol)
        # Arrivals must not see the context variables of whoever sent them.
        self._context = on_machine(host.clock)
        self._closing = False
        super().__init__({"sockname": self._address})

    def sendto(
        self, data: bytes | bytearray | memoryview, addr: object | None = None
    ) -> None:
        """Send `data` to `addr`, an (ip, port) pair; nobody learns if it gets lost."""
        if self._closing:
            return
        if not isinstance(addr, tuple | list):
            raise TypeError(f"a datagram needs an (ip, port) to go to, not {addr!r}")
        if len(data) > MAX_DATAGRAM:
            text = f"a datagram of {len(data):,} bytes; {MAX_DATAGRAM:,} is the most"
            self._protocol.error_received(OSError(errno.EMSGSIZE, text))
            return
        self._host.network.carry(
            self._host, self._address, (addr[0], addr[1]), bytes(data)
        )

    def deliver(self, data: bytes, sender: tuple[str, int]) -> None:
        """Hand over a datagram that has arrived."""
        self._context.run(self._protocol.datagram_received, data, sender)

    def close(self) -> None:
        """Free the port; the protocol hears of it in the next turn of the loop."""
        if self._closing:
            return
        self.vanish()
        self._host.network.loop.call_soon(
            self._protocol.connection_lost, None, context=self._context
        )

    def abort(self) -> None:
        self.close()

    def vanish(self) -> None:
        """Free the port and tell nobody, as a crash does."""
        self._closing = True
        self._host.sockets.pop(self._address[1], None)

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.DatagramProtocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol
