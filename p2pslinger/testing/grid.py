"""Whole grids in one process: real peers, on simulated machines, in virtual time.

    async def main():
        async with SimulatedGrid(virtual.network(loss=0.01)) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", slots=2, bootstrap=[ann])
            job = await ann.submit(math.factorial, range(200))
            assert await job.results() == [...]

    virtual.run(main)

Nothing of the peer is replaced but its `World`: streams, slots, clock, chance. The same
seed gives the same run, to the last packet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from types import TracebackType

from p2pslinger.sandbox.sensors.sensor import Sensors
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.machines import SimulatedPeer
from p2pslinger.testing.network import Network
from p2pslinger.wire import authkey as authkeys
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.records import Address

__all__ = ["SimulatedGrid", "SimulatedPeer"]

#: Seconds between two looks at a condition.
LOOK = 0.01


class SimulatedGrid:
    """Peers that share an authkey; used as an async context manager.

    Leaving it is a power cut: whoever wants goodbyes stops its peers before.

    Args:
        network: Where the machines are. Several grids may share one.
        authkey: The grid's; None for one that follows from the seed.
        seed: Of all chance in the peers; None for the loop's.

    Attributes:
        peers: All of them, by name, also those that do not run.
    """

    def __init__(
        self,
        network: Network,
        *,
        authkey: Authkey | None = None,
        seed: int | None = None,
    ) -> None:
        self.network = network
        self.seed = network.loop.seed if seed is None else seed
        self.authkey = authkey or authkeys.from_random(
            Random(f"authkey of seed {self.seed}").randbytes(40)
        )
        self.peers: dict[str, SimulatedPeer] = {}
        self._group = asyncio.TaskGroup()
        self._hosts = 0

    async def __aenter__(self) -> SimulatedGrid:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            running = [peer for peer in self.peers.values() if peer.is_up]
            for peer in running:  # first, so that nobody reacts to the others' end
                peer.host.crash()
            for peer in running:
                await peer.crash()
        finally:
            if not isinstance(error, asyncio.CancelledError):
                kind = error = trace = None  # goes on as it is, not as one of a group
            await self._group.__aexit__(kind, error, trace)
            for peer in self.peers.values():
                peer.remove()

    async def add(
        self,
        name: str,
        *,
        slots: int = 0,
        bootstrap: Iterable[SimulatedPeer | Address] = (),
        trust_members: bool = True,
        skew: float = 0.0,
        sensors: Sensors | None = None,
        every_id_counts: bool = False,
    ) -> SimulatedPeer:
        """Start a peer on a machine of its own; return when it listens.

        Args:
            name: Another for each.
            slots: How many.
            bootstrap: Where to join.
            trust_members: Whether it computes for others, and believes their values.
            skew: Seconds that its clock is ahead.
            sensors: What it says of itself; with any, its owner's wishes apply.
            every_id_counts: Whether it lets anyone check anyone, from the first second.
        """
        peer = self.peers[name] = SimulatedPeer(
            self._new_host(),
            name,
            self.authkey,
            self._group,
            seed=self.seed,
            slots=slots,
            bootstrap=bootstrap,
            trust_members=trust_members,
            every_id_counts=every_id_counts,
        )
        peer.skew, peer.sensors = skew, sensors
        await peer.start()
        return peer

    async def until(
        self, condition: Callable[[], bool], *, within: float, every: float = LOOK
    ) -> float:
        """Wait until a condition holds; return how long it took, in virtual seconds.

        Raises:
            TimeoutError: it did not hold `within` that many seconds.
        """
        loop = self.network.loop
        began = loop.time()
        while not condition():
            if loop.time() - began >= within:
                raise TimeoutError(f"it still does not hold after {within:g} s")
            await asyncio.sleep(every)
        return loop.time() - began

    def _new_host(self) -> Host:
        """Return a machine with the next address that is free."""
        while True:
            self._hosts += 1
            high, low = divmod(self._hosts, 250)
            ip = f"10.{high // 250}.{high % 250}.{low + 1}"
            if self.network.find(ip) is None:
                return self.network.host(ip)
