"""A grid that was split grows together again, and everybody hears what was missed."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.ids import JobId
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer

#: Seconds.
SPLIT, HEALED = 60.0, 60.0


def nothing(_: int) -> None:
    return None


def knows_all(peer: SimulatedPeer, jobs: set[JobId]) -> bool:
    return jobs <= {notice.job for notice in peer.peer.notices.open_notices()}


@pytest.mark.parametrize("size", [3, 50])
@pytest.mark.parametrize("seed", range(2))
def test_the_notices_of_both_halves_are_known_to_all_a_minute_after_the_split(
    virtual: VirtualTime, size: int, seed: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot = await grid.add("bootstrap")
            peers = [boot]
            for i in range(1, size):
                peers.append(await grid.add(f"peer {i}", bootstrap=[boot]))
            await asyncio.sleep(20)

            one, other = peers[::2], peers[1::2]
            grid.network.partition([p.host for p in one], [p.host for p in other])
            await asyncio.sleep(SPLIT / 2)
            here = await one[-1].submit(nothing, range(3))
            there = await other[-1].submit(nothing, range(3))
            await asyncio.sleep(SPLIT / 2)
            assert not any(knows_all(p, {there.id}) for p in one)
            assert not any(knows_all(p, {here.id}) for p in other)
            grid.network.heal()

            jobs = {here.id, there.id}
            await grid.until(
                lambda: all(knows_all(peer, jobs) for peer in peers), within=HEALED
            )

    virtual.run(main, seed=seed)


def test_a_split_of_an_hour_heals_within_minutes(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot = await grid.add("bootstrap")
            peers = [boot]
            for i in range(1, 20):
                peers.append(await grid.add(f"peer {i}", bootstrap=[boot]))
            await asyncio.sleep(20)
            one, other = peers[::2], peers[1::2]
            grid.network.partition([p.host for p in one], [p.host for p in other])
            await asyncio.sleep(3600)
            here = await one[-1].submit(nothing, range(3))
            there = await other[-1].submit(nothing, range(3))
            await asyncio.sleep(10)
            grid.network.heal()

            jobs = {here.id, there.id}
            await grid.until(
                lambda: all(knows_all(peer, jobs) for peer in peers), within=300
            )
            assert await is_whole(peers)

    virtual.run(main)


async def is_whole(peers: list[SimulatedPeer]) -> bool:
    """Return whether each finds each other's card, an hour after the halves met."""
    await asyncio.sleep(3600)
    first = peers[0].peer.overlay
    found = [await first.find(peer.id) for peer in peers]
    return all(
        any(s.signer == peer.id for s in signed)
        for peer, signed in zip(peers, found, strict=True)
    )
