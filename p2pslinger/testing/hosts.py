"""Simulated hosts: machines with an address, ports and sockets, and what they sent."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from p2pslinger.testing.clocks import Clock
from p2pslinger.testing.datagrams import DatagramSocket
from p2pslinger.testing.dialing import Dial, Listener
from p2pslinger.testing.streams import Address, StreamTransport

if TYPE_CHECKING:
    from p2pslinger.testing.network import Network

#: Bytes of a stream that fit into one packet of an Ethernet.
SEGMENT = 1_448

#: First port given to whoever asks for port 0, as the IANA has it; and the number of
#: all ports.
FIRST_FREE_PORT, PORTS = 49_152, 65_536

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)


@dataclass(slots=True)
class Traffic:
    """What one host has sent.

    A datagram counts as lost as well when nobody listened where it arrived, and as
    delivered twice if the network doubled it.
    """

    datagrams_sent: int = 0
    datagrams_delivered: int = 0
    datagrams_lost: int = 0
    stream_segments: int = 0
    stream_bytes: int = 0

    def count_segments(self, size: int) -> None:
        """Count `size` bytes sent at once; none is a packet too (open, close)."""
        self.stream_segments += max(1, -(-size // SEGMENT))
        self.stream_bytes += size


class Host:
    """One simulated machine; made by `Network.host`.

    Attributes:
        ip: Its address, as text.
        traffic: What it has sent.
        life: How often it has crashed or stopped.
        clock: Its own, which stands still while it sleeps.
    """

    #: What takes streams and datagrams here.
    listener: type[Listener] = Listener
    socket: type[DatagramSocket] = DatagramSocket

    def __init__(self, network: Network, ip: str, number: int, place: float) -> None:
        self.network = network
        self.ip = ip
        self.number = number
        self.place = place
        self.life = 0
        self.clock = Clock()
        self.traffic = Traffic()
        self.sockets: dict[int, DatagramSocket] = {}
        self.listeners: dict[int, Listener] = {}
        self.streams: dict[StreamTransport, None] = {}
        self._next_port = FIRST_FREE_PORT

    @property
    def asleep(self) -> bool:
        """Whether it sleeps."""
        return self.clock.asleep

    @property
    def packets(self) -> int:
        """Packets sent: datagrams and stream segments, acknowledgements not counted."""
        return self.traffic.datagrams_sent + self.traffic.stream_segments

    def listen(
        self,
        port: int,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        extra: Mapping[str, object] | None = None,
    ) -> Listener:
        """Take streams at `port`, or at a free one for 0.

        Args:
            extra: What this end asserts; "identity_key" is the other's "peer_key".
        """
        port = self._claim(port, self.listeners)
        listener = self.listener(self, port, protocol_factory, extra or {})
        self.listeners[port] = listener
        return listener

    async def connect(
        self,
        address: Address,
        protocol_factory: Callable[[], _ProtocolT],
        extra: Mapping[str, object] | None = None,
    ) -> tuple[StreamTransport, _ProtocolT]:
        """Open a stream; takes one round trip.

        Raises:
            ConnectionRefusedError: Nobody listens there.
            TimeoutError: The host is unknown or cut off; after 3 s.
        """
        return await Dial(self, address, protocol_factory, extra or {}).answer()

    def crash(self) -> None:
        """Lose every socket without a goodbye, as a power cut does.

        The other ends learn of it when they write: a reset comes back. Its own
        protocols are told nothing; whoever owns its tasks cancels them.
        """
        self.life += 1
        self.listeners.clear()
        for stream in list(self.streams):
            stream.vanish()
        for socket in list(self.sockets.values()):
            socket.vanish()

    def stop(self) -> None:
        """Close every socket in an orderly way."""
        self.life += 1
        self.listeners.clear()
        for stream in list(self.streams):
            stream.close()
        for socket in list(self.sockets.values()):
            socket.close()

    def sleep(self) -> None:
        """Freeze, as a laptop does that is shut: nothing runs, nothing gets through."""
        self.network.loop.put_to_sleep(self.clock)

    def wake(self) -> None:
        """Go on where it was; the network has not waited."""
        if self.asleep:
            self.network.loop.wake_up(self.clock)
            self.network.wake_stalled()
            for stream in list(self.streams):
                stream.go_on()

    def free_port(self) -> int:
        """A port that neither a listener nor a datagram socket has."""
        for _ in range(PORTS):
            port = self._next_port
            self._next_port = FIRST_FREE_PORT if port + 1 == PORTS else port + 1
            if port not in self.listeners and port not in self.sockets:
                return port
        raise OSError(errno.EADDRINUSE, f"{self.ip} has no free port left")

    def bind(
        self, port: int, protocol_factory: Callable[[], _ProtocolT]
    ) -> tuple[DatagramSocket, _ProtocolT]:
        """Open a datagram socket at `port`, or at a free one for 0."""
        port = self._claim(port, self.sockets)
        protocol = protocol_factory()
        socket = self.sockets[port] = self.socket(self, port, protocol)
        protocol.connection_made(socket)
        return socket, protocol

    def _claim(self, port: int, taken: Mapping[int, object]) -> int:
        if port == 0:
            return self.free_port()
        if port in taken:
            text = f"port {port} of {self.ip} is taken; close its socket first"
            raise OSError(errno.EADDRINUSE, text)
        return port
