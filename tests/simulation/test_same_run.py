"""The same seed gives the same run, to the last packet; and grids do not mix."""

from __future__ import annotations

import asyncio
from random import Random

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid
from p2pslinger.testing.virtual import current


def cube(x: int) -> int:
    return x**3


def run_of(virtual: VirtualTime, seed: int) -> tuple[str, float]:
    """Return the trace of ten peers' joining, working and dying, and how long."""

    async def main() -> tuple[str, float]:
        network = virtual.network(loss=0.02, duplication=0.02, reordering=0.1)
        async with SimulatedGrid(network) as grid:
            boot = await grid.add("bootstrap")
            for i in range(9):
                await grid.add(f"peer {i}", slots=1, bootstrap=[boot])
            await asyncio.sleep(5)
            job = await boot.submit(cube, range(300))
            await grid.until(lambda: len(job.values) > 50, within=30)
            await grid.peers["peer 3"].crash()
            await grid.peers["peer 4"].kill()
            assert await job.results() == [cube(x) for x in range(300)]
            await grid.peers["peer 3"].restart()
            await asyncio.sleep(60)
            return network.trace, current().time()

    return virtual.run(main, seed=seed)


def test_the_same_seed_gives_the_same_run_and_another_one_another(
    virtual: VirtualTime,
) -> None:
    first = run_of(virtual, 1)

    assert run_of(virtual, 1) == first
    assert run_of(virtual, 2) != first


def test_two_grids_on_one_network_never_mix(virtual: VirtualTime) -> None:
    async def main() -> None:
        network = virtual.network()
        async with (
            SimulatedGrid(network, seed=1) as ours,
            SimulatedGrid(network, seed=2) as theirs,
        ):
            grids = (ours, theirs)
            first = [await grid.add("first", slots=1) for grid in grids]
            for i in range(9):  # each of them is told of both grids
                for grid in grids:
                    await grid.add(f"peer {i}", slots=1, bootstrap=first)
            await asyncio.sleep(60)
            jobs = [await peer.submit(cube, range(300)) for peer in first]
            for job in jobs:
                assert await job.results() == [cube(x) for x in range(300)]
            await asyncio.sleep(600)

            for grid, job, other in zip(grids, jobs, reversed(jobs), strict=True):
                ids = {peer.id for peer in grid.peers.values()}
                assert {out.peer for _, out in job.ranges} <= ids
                for peer in grid.peers.values():
                    assert peer.peer.links.open.keys() < ids
                    assert {id for id, _, _ in peer.peer.overlay.contacts()} < ids
                    heard = {notice.job for notice in peer.peer.notices.open_notices()}
                    assert other.id not in heard
            (note,) = theirs.peers["peer 0"].peer.upkeep.notes()
            assert "does not hold this grid's authkey" in note

    virtual.run(main)


def test_garbage_on_the_port_of_a_peer_is_dropped_and_counted(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", slots=1)
            bob = await grid.add("bob", slots=1, bootstrap=[ann])
            stranger = grid.network.host("10.66.0.1")
            chance = Random(4)
            transport, _ = stranger.bind(9, asyncio.DatagramProtocol)
            for size in range(0, 3000, 10):
                transport.sendto(chance.randbytes(size), (ann.host.ip, 8468))
            await asyncio.sleep(1)
            job = await bob.submit(cube, range(100))
            assert await job.results() == [cube(x) for x in range(100)]

            assert sum(ann.peer.reports.status().dropped.values()) >= 300

    virtual.run(main)
