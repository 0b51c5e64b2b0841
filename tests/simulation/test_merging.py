"""Parts of a grid that never knew of each other grow together once they have met."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.ids import JobId
from p2pslinger.limits import LINKS
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer

#: Seconds within which two parts that have met are one.
MERGED = 60.0


def nothing(_: int) -> None:
    return None


async def part(grid: SimulatedGrid, name: str, size: int) -> list[SimulatedPeer]:
    """Start peers that know of each other and of nobody else."""
    first = await grid.add(f"{name} 0")
    peers = [first]
    for i in range(1, size):
        peers.append(await grid.add(f"{name} {i}", bootstrap=[first]))
    await grid.until(
        lambda: all(len(p.peer.links.open) >= min(LINKS, size - 1) for p in peers),
        within=30,
    )
    return peers


async def two_parts(
    grid: SimulatedGrid, size: int
) -> tuple[list[SimulatedPeer], list[SimulatedPeer]]:
    one, other = await part(grid, "one", size), await part(grid, "other", size)
    await asyncio.sleep(300)  # each is content with itself
    assert not known(one[0]) & {peer.id for peer in other}
    return one, other


def known(peer: SimulatedPeer) -> set[bytes]:
    contacts = {who for who, _, _ in peer.peer.overlay.contacts()}
    return contacts | peer.peer.links.open.keys()


async def become_one(
    grid: SimulatedGrid, one: list[SimulatedPeer], other: list[SimulatedPeer]
) -> None:
    """Wait until both parts hear of each other's jobs, and find each other's cards."""
    began = grid.network.loop.time()
    jobs = [await part[-1].submit(nothing, range(3)) for part in (one, other)]
    both = [*one, *other]
    await grid.until(
        lambda: all(knows(p, {job.id for job in jobs}) for p in both), within=MERGED
    )
    while missing := await unfound(one, other):
        assert grid.network.loop.time() - began < MERGED, f"{len(missing)} not found"
        await asyncio.sleep(1)


def knows(peer: SimulatedPeer, jobs: set[JobId]) -> bool:
    return jobs <= {notice.job for notice in peer.peer.notices.open_notices()}


async def unfound(
    one: list[SimulatedPeer], other: list[SimulatedPeer]
) -> list[SimulatedPeer]:
    """Return the peers whose cards one of the other part does not find."""
    missing = []
    for here, there in zip(one, reversed(other), strict=True):
        for asker, sought in ((here, there), (there, here)):
            if not await asker.peer.overlay.find(sought.id):
                missing.append(sought)
    return missing


@pytest.mark.parametrize("size", [2, 25])
@pytest.mark.parametrize("seed", range(2))
def test_a_bootstrap_that_starts_later_and_knows_both_joins_them(
    virtual: VirtualTime, size: int, seed: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            one, other = await two_parts(grid, size)
            await grid.add("bootstrap", bootstrap=[one[0], other[0]])
            await become_one(grid, one, other)

    virtual.run(main, seed=seed)


@pytest.mark.parametrize("seed", range(2))
def test_peers_that_have_always_looked_for_a_bootstrap_meet_there(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot = await grid.add("bootstrap")
            await boot.crash()
            first = [await grid.add(f"{i} 0", bootstrap=[boot]) for i in range(2)]
            halves = [[peer] for peer in first]
            for i in range(1, 20):
                for half in halves:
                    door = [half[0]]
                    half.append(await grid.add(f"{half[0].name} {i}", bootstrap=door))
            await asyncio.sleep(600)
            await boot.restart()
            one, other = halves
            await grid.until(lambda: len(boot.peer.links.open) >= 2, within=90)
            await become_one(grid, one, other)

    virtual.run(main, seed=seed)


@pytest.mark.parametrize("size", [1, 2, 25])
@pytest.mark.parametrize("seed", range(2))
def test_an_address_found_on_the_local_network_joins_them(
    virtual: VirtualTime, size: int, seed: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            one, other = await two_parts(grid, size)
            found = other[0].address
            one[-1].peer.upkeep.found(found.host, found.port)
            await become_one(grid, one, other)

    virtual.run(main, seed=seed)


def test_neighbours_of_a_former_life_join_them(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            one, other = await two_parts(grid, 10)
            wanderer = await grid.add("wanderer", bootstrap=[other[3]])
            await grid.until(lambda: len(wanderer.peer.links.open) >= 5, within=20)
            await wanderer.stop()
            await asyncio.sleep(3600)
            assert not known(one[0]) & {peer.id for peer in other}
            one[2].peer.addresses.add(wanderer.host.ip, wanderer.address.port)
            await wanderer.restart()
            await one[2].peer.links.dial(wanderer.host.ip, wanderer.address.port)
            await become_one(grid, one, other)

    virtual.run(main)


def test_who_joins_a_grid_is_no_occasion_for_everybody_to_dial(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await part(grid, "peer", 30)
            await asyncio.sleep(300)
            sent = sum(peer.host.packets for peer in peers)
            await grid.add("late", bootstrap=[peers[7]])
            await asyncio.sleep(60)
            late = sum(peer.host.packets for peer in peers) - sent
            await asyncio.sleep(60)
            idle = sum(peer.host.packets for peer in peers) - sent - late
            assert late < 2 * idle + 900

    virtual.run(main)
