"""Volunteers of a durable job whose keepers go: nothing that was computed is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from p2pslinger.ids import to_text
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from tests.simulation.durable import at, keepers, people

#: Seconds that each task takes: long beside everything that keepers do.
LONG = 20.0


def same(n: int) -> int:
    return n


class Village:
    """A submitter and keepers without slots, and volunteers that can't keep."""

    def __init__(self, grid: SimulatedGrid) -> None:
        self.grid = grid
        self.submitter: SimulatedPeer
        self.keepers: list[SimulatedPeer] = []
        self.volunteers: list[SimulatedPeer] = []

    async def settle(self, volunteers: int = 3, *, cost: float = LONG) -> None:
        """Start everybody, and wait until they are connected."""
        self.submitter = ann = await self.grid.add("ann")
        for i in range(2):
            self.keepers.append(await self.grid.add(f"k{i}", bootstrap=[ann]))
        everybody = [ann, *self.keepers]
        await self.grid.until(
            lambda: all(len(one.peer.links.open) >= 2 for one in everybody), within=60
        )
        self._cost = cost
        self._count = volunteers

    async def start(self, tasks: int) -> str:
        """Submit a job, and only then let volunteers come; return its id."""
        job = await self.submitter.start_job(same, range(tasks))
        for i in range(self._count):
            peer = await self.grid.add(f"v{i}", slots=1, bootstrap=[self.submitter])
            peer.slots.cost = lambda _: self._cost
            self.volunteers.append(peer)
        return to_text(job.id)

    @property
    def computed(self) -> Counter[int]:
        """How often each task has been computed to its end."""
        return sum((peer.slots.computed for peer in self.volunteers), Counter())

    @property
    def busy(self) -> int:
        """Slots at work."""
        return sum(peer.peer.volunteer.busy for peer in self.volunteers)

    @property
    def copies(self) -> int:
        """Messages of results that volunteers still keep."""
        return sum(len(peer.peer.volunteer.retained) for peer in self.volunteers)

    async def read(self, where: SimulatedPeer, job: str) -> list[object]:
        """Read a job's results on some machine."""
        program = await where.program()
        return await (await program.attach(job)).results()


def test_long_tasks_are_not_begun_anew_when_their_keeper_is_gone(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            village = Village(grid)
            await village.settle()
            job = await village.start(3)
            await grid.until(lambda: village.busy == 3, within=30)
            await village.submitter.crash()
            await asyncio.sleep(2)
            await village.keepers[0].crash()
            assert await village.read(village.keepers[1], job) == [0, 1, 2]
            assert village.computed == {0: 1, 1: 1, 2: 1}
            await grid.until(lambda: village.copies == 0, within=60)

    virtual.run(main)


def test_what_was_computed_without_any_keeper_is_handed_in_later(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            village = Village(grid)
            await village.settle()
            job = await village.start(3)
            await grid.until(lambda: village.busy == 3, within=30)
            here = [peer.host for peer in [village.submitter, *village.keepers]]
            there = [peer.host for peer in village.volunteers]
            grid.network.partition(here, there)
            await grid.until(lambda: village.copies == 3, within=3 * LONG)
            grid.network.heal()
            assert await village.read(village.submitter, job) == [0, 1, 2]
            assert village.computed == {0: 1, 1: 1, 2: 1}
            await grid.until(lambda: village.copies == 0, within=90)

    virtual.run(main)


def test_a_lost_keeper_costs_hardly_any_task_a_second_run(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            village = Village(grid)
            await village.settle(5, cost=0.2)
            job = await village.start(600)
            await grid.until(lambda: len(village.computed) > 100, within=60)
            await village.submitter.crash()
            await grid.until(lambda: len(village.computed) > 300, within=60)
            await village.keepers[0].crash()
            assert await village.read(village.keepers[1], job) == list(range(600))
            assert village.computed.total() <= 600 * 1.02
            await grid.until(lambda: village.copies == 0, within=60)

    virtual.run(main)


def test_a_keeper_that_is_back_at_once_finds_its_volunteers_at_work(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            village = Village(grid)
            await village.settle()
            job = await village.start(3)
            await grid.until(lambda: village.busy == 3, within=30)
            for keeper in [village.submitter, *village.keepers]:
                await keeper.kill()
            await asyncio.sleep(1)
            for keeper in [village.submitter, *village.keepers]:
                await keeper.restart()
            assert await village.read(village.submitter, job) == [0, 1, 2]
            assert village.computed == {0: 1, 1: 1, 2: 1}

    virtual.run(main)


@pytest.mark.parametrize("closed", [True, False])
def test_hardly_a_task_is_computed_twice_because_a_keeper_was_killed(
    virtual: VirtualTime, closed: bool
) -> None:
    tasks = 300  # its streams are closed by the kernel, or just silent

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = everybody = await people(grid, 6, cost=1.0)
            job = (await ann.start_job(same, range(tasks))).id
            await asyncio.sleep(10)
            await ann.stop()
            await asyncio.sleep(10)
            first, *left = keepers(others, job)
            await (first.kill() if closed else first.crash())
            await grid.until(
                lambda: all(at(one, job).job.end for one in left), within=900, every=1.0
            )
            await asyncio.sleep(60)

            batches = at(left[0], job).job.replica.batches.values()
            results = [one.stop - one.start for ranges in batches for one in ranges]
            assert tasks <= sum(results) <= 1.02 * tasks
            assert len(keepers(everybody, job)) >= 2

    virtual.run(main)
