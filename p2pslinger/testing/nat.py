"""Machines behind routers: what they have not asked for does not reach them.

    network = RoutedNetwork(virtual.current(), Random(7))
    async with SimulatedGrid(network) as grid:
        ann = await grid.add("ann")
        network.shut(ann.host)  # from now on nobody can dial it
        network.forward(ann.host)  # its owner has told the router to let others in

A router lets datagrams in from where some were sent to lately, and the streams that its
machine has opened. Addresses are not translated: who looks from outside sees the
machine's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from p2pslinger.errors import UsageError
from p2pslinger.testing.datagrams import DatagramSocket
from p2pslinger.testing.dialing import Listener
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.network import Network
from p2pslinger.testing.streams import StreamTransport

#: Seconds for which a router remembers that a datagram went out: RFC 4787 asks for two
#: minutes, common ones keep 30 s.
REMEMBERED = 30.0


class _Door(Listener):
    """A listener behind a router; the machine's own programs are before it."""

    def __init__(
        self,
        host: RoutedHost,
        port: int,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        extra: Mapping[str, object],
    ) -> None:
        super().__init__(host, port, protocol_factory, extra)
        self._routed = host

    def accept(self, stream: StreamTransport) -> None:
        """Give a new stream a protocol, or reset it."""
        source = stream.get_extra_info("peername")[0]
        if self._routed.streams_shut and source != self._routed.ip:
            stream.vanish()
        else:
            super().accept(stream)


class _Socket(DatagramSocket):
    """A datagram socket behind a router."""

    def __init__(
        self, host: RoutedHost, port: int, protocol: asyncio.BaseProtocol
    ) -> None:
        super().__init__(host, port, protocol)
        self._routed = host
        self._sent: dict[tuple[str, int], float] = {}

    def sendto(
        self, data: bytes | bytearray | memoryview, addr: object | None = None
    ) -> None:
        """Send, and let the router remember where to."""
        if isinstance(addr, tuple):
            self._sent[addr[0], addr[1]] = self._routed.network.loop.time()
        super().sendto(data, addr)

    def deliver(self, data: bytes, sender: tuple[str, int]) -> None:
        """Hand over what has arrived, if the router lets it in."""
        asked = self._sent.get((sender[0], sender[1]), -REMEMBERED)
        now = self._routed.network.loop.time()
        if not self._routed.datagrams_shut or now - asked < REMEMBERED:
            super().deliver(data, sender)


class RoutedHost(Host):
    """A machine that may be behind a router.

    Attributes:
        streams_shut, datagrams_shut: What does not get in unasked.
    """

    listener, socket = _Door, _Socket
    streams_shut = datagrams_shut = False


class RoutedNetwork(Network):
    """A network whose machines can be behind routers; none is at first."""

    kind = RoutedHost

    def shut(self, host: Host, *, streams: bool = True, datagrams: bool = True) -> None:
        """Put a machine behind a router that keeps one or both out."""
        if not isinstance(host, RoutedHost):
            raise UsageError(f"{host.ip} is of another network")
        host.streams_shut, host.datagrams_shut = streams, datagrams

    def forward(self, host: Host) -> None:
        """Let everything in again."""
        self.shut(host, streams=False, datagrams=False)
