"""A network of simulated hosts in one process, with the faults that one asks for.

    network = Network(virtual.current(), Random(7), loss=0.05)
    ann, bob = network.host("10.0.0.1"), network.host("10.0.0.2")
    await loop.create_datagram_endpoint(Protocol, local_addr=("10.0.0.1", 8468))
    transport, protocol = await ann.connect(("10.0.0.2", 8468), Protocol)

1. Datagrams may be lost, doubled, overtaken. Streams are only ever slow or broken.
2. All chance comes from the one source given, in the order of events.
3. A host is a machine; what crashes is its process. Afterwards it may start anew.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import hashlib
import struct
from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar, TypeVarTuple

from p2pslinger.testing.datagrams import DatagramSocket
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.links import Links, check_share
from p2pslinger.testing.loop import VirtualLoop
from p2pslinger.testing.pipes import Pipe
from p2pslinger.testing.streams import Address

#: Lowest and highest one-way delay in seconds: between neighbours and continents.
LATENCY = (0.01, 0.08)

#: Most seconds by which an overtaken or doubled datagram comes late.
STRAGGLE = 0.2

#: How a delivery enters the trace: when, from which host, to which host, bytes.
_DELIVERY = struct.Struct("<dIIQ")

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)
_Ts = TypeVarTuple("_Ts")


class Network:
    """Hosts, the links between them, and what is under way.

    Args:
        loop: The virtual loop to live on; its datagram endpoints are opened here.
        chance: Where all luck comes from.
        latency: Lowest and highest one-way delay of a pair of hosts, seconds.
        loss: Share of packets lost, 0 to 1.
        duplication: Share of datagrams that arrive twice.
        reordering: Share of datagrams that are overtaken by later ones.

    Attributes:
        links: Latency, loss and cuts; changed by the methods here.
        duplication, reordering: As given; may be changed at any moment.
        stalled: Pipes that wait for a link, in the order in which they got stuck.
        context: For callbacks that belong to the network and not to who sent.
    """

    #: What its hosts are.
    kind: type[Host] = Host

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Random,
        *,
        latency: tuple[float, float] = LATENCY,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
    ) -> None:
        check_share("duplication", duplication)
        check_share("reordering", reordering)
        self.loop = loop
        self.links = Links(chance, latency, loss)
        self.stalled: dict[Pipe, None] = {}
        self.context = contextvars.Context()
        self._chance = chance
        self.duplication = duplication
        self.reordering = reordering
        self._hosts: dict[str, Host] = {}
        self._deliveries = hashlib.blake2b(digest_size=16)
        loop.network = self

    @property
    def trace(self) -> str:
        """A digest of every delivery so far: when, from whom, to whom, how many bytes.

        Not of what was in them: nonces and keys differ from run to run.
        """
        return self._deliveries.hexdigest()

    def host(self, ip: str) -> Host:
        """The host with this address, made when first asked for."""
        host = self._hosts.get(ip)
        if host is None:
            place = self._chance.random()
            host = self._hosts[ip] = self.kind(self, ip, len(self._hosts), place)
        return host

    def find(self, ip: str) -> Host | None:
        """The host with this address, if there is one."""
        return self._hosts.get(ip)

    def bind(
        self, protocol_factory: Callable[[], _ProtocolT], local: tuple[str, int]
    ) -> tuple[DatagramSocket, _ProtocolT]:
        host = self.find(local[0])
        if host is None:
            text = f"no host {local[0]} in this network; make it by network.host()"
            raise OSError(errno.EADDRNOTAVAIL, text)
        return host.bind(local[1], protocol_factory)

    # --- faults -------------------------------------------------------------------

    def partition(self, *groups: Iterable[Host]) -> None:
        """Split the network; hosts in no group form one more. Replaces the last."""
        self.links.partition(groups)
        self.wake_stalled()

    def cut(self, source: Host, target: Host) -> None:
        """Let nothing pass from `source` to `target`; the way back stays open."""
        self.links.cut(source, target)

    def mend(self, source: Host, target: Host) -> None:
        """Undo `cut`."""
        self.links.mend(source, target)
        self.wake_stalled()

    def heal(self) -> None:
        """Undo every partition and cut."""
        self.links.heal()
        self.wake_stalled()

    def become(
        self, *, latency: tuple[float, float] | None = None, loss: float | None = None
    ) -> None:
        """Give all links that have none of their own another latency or loss."""
        self.links.become(latency, loss)
        self.wake_stalled()

    def tune(
        self,
        one: Host,
        other: Host,
        *,
        latency: tuple[float, float] | None = None,
        loss: float | None = None,
    ) -> None:
        """Give the link between two hosts, both ways, its own latency or loss."""
        self.links.tune(one, other, latency=latency, loss=loss)
        self.wake_stalled()

    def wake_stalled(self) -> None:
        """Let what waits for a link try again."""
        for pipe in list(self.stalled):
            pipe.wake()

    # --- carrying -----------------------------------------------------------------

    def at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts
    ) -> asyncio.TimerHandle:
        """Call back at the loop's time `when`, in the network's own context."""
        return self.loop.call_at(when, callback, *args, context=self.context)

    def later(
        self, delay: float, callback: Callable[[*_Ts], object], *args: *_Ts
    ) -> asyncio.TimerHandle:
        """Call back after `delay` seconds, in the network's own context."""
        return self.at(self.loop.time() + delay, callback, *args)

    def carry(self, source: Host, sender: Address, to: Address, data: bytes) -> None:
        """Take a datagram and deliver it never, once or twice."""
        source.traffic.datagrams_sent += 1
        links = self.links
        target = self._hosts.get(to[0])
        if (
            target is None
            or links.blocked(source, target)
            or links.loses(source, target)
        ):
            source.traffic.datagrams_lost += 1
            return
        delay = links.delay(source, target)
        if self.reordering and self._chance.random() < self.reordering:
            delay += self._chance.random() * STRAGGLE
        self.later(delay, self._arrive, source, sender, target, to[1], data)
        if self.duplication and self._chance.random() < self.duplication:
            delay += self._chance.random() * STRAGGLE
            self.later(delay, self._arrive, source, sender, target, to[1], data)

    def _arrive(
        self, source: Host, sender: Address, target: Host, port: int, data: bytes
    ) -> None:
        socket = target.sockets.get(port)
        if socket is None or target.asleep:
            source.traffic.datagrams_lost += 1
            return
        source.traffic.datagrams_delivered += 1
        self.delivered(source, target, len(data))
        socket.deliver(data, sender)

    def delivered(self, source: Host, target: Host, size: int) -> None:
        """Enter a delivery into the trace."""
        self._deliveries.update(
            _DELIVERY.pack(self.loop.time(), source.number, target.number, size)
        )
