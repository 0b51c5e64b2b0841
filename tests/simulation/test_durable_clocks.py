"""Durable jobs on machines whose clocks are wrong."""

from __future__ import annotations

import asyncio

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid
from tests.simulation.durable import TASKS, append, at, find, open_job, people, same


def test_a_clock_that_was_ahead_takes_no_credit_away(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *_ = await people(grid, cost=1.0)
            ann.skew = 60.0
            job = await ann.start_job(same, range(TASKS))
            await asyncio.sleep(12)
            ann.skew = 0.0
            await grid.until(
                lambda: at(ann, job.id).job.deciding.decided == TASKS, within=100
            )
            await asyncio.sleep(10)
            receipts = at(ann, job.id).job.replica.receipts.values()
            assert sum(one.tasks for _, one in receipts) == TASKS

    virtual.run(main)


def test_a_clock_far_ahead_at_the_start_deletes_nothing(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2, slots=0)
            deposit = open_job(ann, keepers=0)
            append(deposit, range(3))
            deposit.seal()
            await asyncio.sleep(1)
            await ann.crash()
            await bob.crash()
            ann.skew = 90 * 86_400.0
            await ann.restart()
            await asyncio.sleep(20)
            await bob.restart()
            await asyncio.sleep(60)
            assert find(ann, deposit.id) is not None

    virtual.run(main)


def test_a_peer_whose_clock_is_off_keeps_its_unsealed_job(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *_ = await people(grid)
            deposit = open_job(ann)
            append(deposit, range(TASKS))
            await asyncio.sleep(3)
            await ann.crash()
            ann.skew = 86_400.0
            await ann.restart()
            await asyncio.sleep(90)
            assert find(ann, deposit.id) is not None

    virtual.run(main)
