"""The world as a peer sees it: everything that a simulation replaces.

A peer takes time from the event loop and the rest from here, so that the whole grid
runs in one process, on a simulated network, under virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from p2pslinger.ids import PeerId
from p2pslinger.net.streams import Streams
from p2pslinger.peer.computing.offering import Interpreters
from p2pslinger.peer.computing.wishes import SpokenWishes, Wishes
from p2pslinger.peer.people import Sayings, Spoken
from p2pslinger.peer.rekeying import Keys
from p2pslinger.sandbox.level import Finding
from p2pslinger.sandbox.sensors.sensor import Sensors
from p2pslinger.sandbox.slot import SlotSource

T = TypeVar("T")


class Disk(Protocol):
    """Where what blocks until it is on disk is done."""

    async def run(self, call: Callable[[], T]) -> T:
        """Make a call, elsewhere than in the loop; return or raise what it does."""


class Discovery(Protocol):
    """Finds peers of the same grid on the local network."""

    async def start(
        self, label: str, peer: PeerId, port: int, on_found: Callable[[str, int], None]
    ) -> str | None:
        """Announce ourselves and call `on_found` with every peer's address.

        Returns a note for the owner if this machine's network does not allow it.
        """

    async def close(self) -> None:
        """Withdraw the announcement."""


@dataclass(frozen=True)
class World:
    """What a peer is given.

    Attributes:
        streams: Dials and listens, and proves who is at the other end.
        slots: Makes slots.
        probe: Finds how well slots can be confined here.
        disk: Runs what writes.
        wall: Gives the wall time, seconds since the epoch.
        rng: The source of all chance; `random.SystemRandom` outside of simulations.
        discovery: Finds peers on the LAN, or None.
        resolve: Turns a host name into addresses; empty if there are none.
        addresses: Gives this machine's own addresses, best first.
        interpreters: What slots can be of.
        sayings: What the owner says of other members.
        wishes: What the owner lets them have.
        sensors: What this machine says of itself; None: preferences do not apply.
        keys: Where the grid's authkeys are kept; None for nowhere.
        alone: This machine belongs to no grid: no other peer will ever be there.
    """

    streams: Streams
    slots: SlotSource
    probe: Callable[[], Awaitable[Finding]]
    disk: Disk
    wall: Callable[[], float]
    rng: random.Random
    discovery: Discovery | None
    resolve: Callable[[str], Awaitable[list[str]]]
    addresses: Callable[[], list[str]]
    interpreters: Interpreters
    sayings: Sayings = field(default_factory=Spoken)
    wishes: Wishes = field(default_factory=SpokenWishes)
    sensors: Sensors | None = None
    keys: Keys | None = None
    alone: bool = False
