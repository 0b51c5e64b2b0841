"""A network in user space: a switch on TAP devices, with the weather of real networks.

1. A port is one end of a TAP device, the network card of a machine the other. Ports on
   the same LAN reach each other; a router has a port on each of two.
2. From every port to every other leads a wire of its own: how late frames arrive and
   which part is lost can differ by direction, and change while frames are on their way.
3. What is cut carries nothing, from then on. What was under way still arrives.

Kernels without sch_netem can't; a thread can, for some thousand frames a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import threading
import time
from dataclasses import dataclass, field

#: The device that makes TAP devices, and how to ask it (linux/if_tun.h).
TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
IFNAMSIZ = 16

#: Bytes of a frame at most: an Ethernet header, and 1,500 bytes of payload.
FRAME = 2048

#: Frames taken from one port before the others get their turn.
BURST = 64

#: Seconds that the thread may take to end.
ENDING = 5.0


@dataclass(frozen=True, slots=True)
class Wire:
    """How frames travel in one direction.

    Attributes:
        delay: Seconds that they take.
        loss: Part of them that never arrives, 0 to 1.
    """

    delay: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Port:
    """A TAP device, seen from the switch.

    Attributes:
        name: Whose it is.
        lan: Only ports on the same one reach each other.
        device: The kernel's name for it, until it is moved into a namespace.
        fd: Its frames.
    """

    name: str
    lan: str
    device: str
    fd: int

    @classmethod
    def open(cls, name: str, lan: str) -> Port:
        """Make a TAP device; it vanishes when the port is closed."""
        fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        ask = struct.pack("16sH22x", b"tap%d", IFF_TAP | IFF_NO_PI)
        try:
            device = fcntl.ioctl(fd, TUNSETIFF, ask)[:IFNAMSIZ]
        except OSError:
            os.close(fd)
            raise
        return cls(name, lan, device.rstrip(b"\0").decode(), fd)


@dataclass(order=True, slots=True)
class UnderWay:
    """A frame that arrives at a time, on the monotonic clock."""

    at: float
    number: int
    port: Port = field(compare=False)
    frame: bytes = field(compare=False)


class Switch:
    """Carries frames between its ports until it is closed.

    Attributes:
        wire: Every wire that is not in `wires`.
        wires: Those that differ, by the names of the ports they lead from and to.
        cuts: The pairs of names between which nothing passes, in this direction.
    """

    def __init__(self) -> None:
        self.wire = Wire()
        self.wires: dict[tuple[str, str], Wire] = {}
        self.cuts: frozenset[tuple[str, str]] = frozenset()
        self._ports: dict[int, Port] = {}
        self._homes: dict[tuple[str, bytes], Port] = {}
        self._under_way: list[UnderWay] = []
        self._numbers = itertools.count()
        self._chance = random.Random(20)
        self._ready = select.epoll()
        self._bell = os.eventfd(0)
        self._ready.register(self._bell, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="switch")
        self._thread.start()

    def plug(self, name: str, lan: str) -> Port:
        """Add a port."""
        port = Port.open(name, lan)
        self._ports[port.fd] = port
        self._ready.register(port.fd, select.EPOLLIN)
        return port

    def close(self) -> None:
        """Stop, and remove the devices."""
        os.eventfd_write(self._bell, 1)
        self._thread.join(ENDING)
        assert not self._thread.is_alive(), "the switch does not stop"
        self._ready.close()
        for fd in (self._bell, *self._ports):
            os.close(fd)

    # --- in the thread ------------------------------------------------------------

    def _run(self) -> None:
        while True:
            for fd, _ in self._ready.poll(self._deliver()):
                if fd == self._bell:
                    return
                self._take(self._ports[fd])

    def _deliver(self) -> float | None:
        """Hand over what has arrived; return the seconds until the next, or None."""
        while self._under_way:
            left = self._under_way[0].at - time.monotonic()
            if left > 0:
                return left
            arrived = heapq.heappop(self._under_way)
            with contextlib.suppress(OSError):  # a card that is down: lost
                os.write(arrived.port.fd, arrived.frame)
        return None

    def _take(self, port: Port) -> None:
        for _ in range(BURST):
            try:
                frame = os.read(port.fd, FRAME)
            except BlockingIOError:
                return
            except OSError:  # its namespace is gone, and the device with it
                self._ready.unregister(port.fd)
                return
            self._homes[port.lan, frame[6:12]] = port
            for other in self._others(port, frame[:6]):
                self._send(port, other, frame)

    def _others(self, port: Port, address: bytes) -> list[Port]:
        """Return whom a frame is for: everyone on the LAN, if that is not known."""
        home = self._homes.get((port.lan, address))
        if home is not None:
            return [home] if home is not port else []
        ports = list(self._ports.values())
        return [one for one in ports if one.lan == port.lan and one is not port]

    def _send(self, port: Port, other: Port, frame: bytes) -> None:
        way = (port.name, other.name)
        wire = self.wires.get(way, self.wire)
        if way in self.cuts or self._chance.random() < wire.loss:
            return
        at = time.monotonic() + wire.delay
        heapq.heappush(self._under_way, UnderWay(at, next(self._numbers), other, frame))
