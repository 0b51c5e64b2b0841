"""Big data in a grid: the keeper's line is spared, and losses stop nobody.

The data is a part of the function here: every volunteer needs all of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from p2pslinger.peer.events import Dropped
from p2pslinger.store.blobs import Blobs
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.blobs import CHUNK

#: One-way delays of a LAN, seconds.
LAN = (0.0002, 0.002)

DATA = random.Random(1).randbytes(16 * CHUNK)
VOLUNTEERS = 8


def looking_up(data: bytes) -> Callable[[int], int]:
    """Return a function that carries `data` with it."""

    def look_up(index: int) -> int:
        return data[index]

    return look_up


async def crowd(grid: SimulatedGrid, size: int = VOLUNTEERS) -> list[SimulatedPeer]:
    """Start Ann without slots, and volunteers of one slot each."""
    ann = await grid.add("ann")
    others = [
        await grid.add(f"peer {i}", slots=1, bootstrap=[ann]) for i in range(size)
    ]
    await grid.until(lambda: len(ann.peer.links.open) == size, within=30)
    return [ann, *others]


def sent(peer: SimulatedPeer) -> int:
    """Return the bytes that have left a machine, or gone from its program to it."""
    return peer.host.traffic.stream_bytes


def at_work(peers: list[SimulatedPeer]) -> int:
    """Return how many peers have begun to compute, and so have all the data."""
    return sum(1 for peer in peers if peer.slots.computed)


def test_data_for_eight_leaves_the_submitter_less_than_three_times(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network(latency=LAN)) as grid:
            ann, *others = await crowd(grid)
            for one in others:
                one.slots.cost = lambda _: 0.5
            before = sent(ann)
            job = await ann.submit(looking_up(DATA), range(200))

            assert await job.results() == list(DATA[:200])
            assert sum(sent(one) for one in others) > 4 * len(DATA)
            assert sent(ann) - before - len(DATA) < 2.5 * len(DATA)

    virtual.run(main)


@pytest.mark.parametrize("seed", [0, 100, 101])
def test_volunteers_that_vanish_with_their_chunks_stop_nobody(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await crowd(grid)
            before = sent(ann)
            job = await ann.submit(looking_up(DATA), range(200))
            await grid.until(lambda: sent(ann) - before > 1.5 * len(DATA), within=60)
            for one in others[:4]:
                await one.crash()

            assert await job.results() == list(DATA[:200])
            assert sent(ann) - before - len(DATA) < 4 * len(DATA)

    virtual.run(main, seed=seed)


def test_a_peer_without_room_says_so_and_the_others_do_the_work(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network(latency=LAN)) as grid:
            ann, full, other = await crowd(grid, 2)
            await full.stop()
            full.blobs = Blobs.in_memory(quota=CHUNK)
            await full.restart()
            await grid.until(lambda: len(ann.peer.links.open) == 2, within=60)
            job = await ann.submit(looking_up(DATA), range(100))

            assert await job.results() == list(DATA[:100])
            assert at_work([full, other]) == 1
            said = {event.text for _, event in full.happened(Dropped)}
            assert any("wait for a job to end" in text for text in said)
            small = await ann.submit(abs, range(100))
            await small.results()
            assert at_work([full, other]) == 2

    virtual.run(main)


def test_a_peer_that_comes_late_is_served_by_those_who_have_it(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network(latency=LAN)) as grid:
            ann, *others = await crowd(grid, 3)
            for one in others:
                one.slots.cost = lambda _: 1.0
            job = await ann.submit(looking_up(DATA), range(500))
            await grid.until(lambda: at_work(others) == 3, within=60)
            before = sent(ann)
            late = await grid.add("late", slots=1, bootstrap=[ann])
            await grid.until(lambda: at_work([late]) == 1, within=60)

            assert sent(ann) - before < len(DATA) / 2
            job.leave()
            await asyncio.sleep(1)
            assert all(not one.blobs.used for one in [*others, late])

    virtual.run(main)
