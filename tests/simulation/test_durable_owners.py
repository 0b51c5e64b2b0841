"""Owners of durable jobs by a ticket: what they can do, and learn, after a restart."""

from __future__ import annotations

import asyncio

from p2pslinger.ids import to_text
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid
from tests.simulation.durable import (
    TASKS,
    at,
    find,
    keepers,
    others_than,
    people,
    same,
)


def test_an_owner_by_ticket_can_cancel_after_its_restart(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid, cost=9.0)
            ann, *others = everybody
            job = await ann.start_job(same, range(TASKS))
            kept = keepers(others, job.id)
            (bob,) = others_than(kept, others)
            ticket = await (await ann.program()).ticket(to_text(job.id), owner=True)
            await (await bob.program()).own(ticket)
            await bob.crash()
            await bob.restart()
            await grid.until(lambda: len(bob.peer.links.open) == 3, within=60)
            program = await bob.program()
            await program.change(to_text(job.id), "cancel")
            await grid.until(
                lambda: {at(p, job.id).job.end for p in kept} == {"cancelled"},
                within=60,
            )

    virtual.run(main)


def test_an_owner_by_ticket_decides_after_its_restart(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 5)
            job = await ann.start_job(same, range(TASKS))
            ticket = await (await ann.program()).ticket(to_text(job.id), owner=True)
            bob = keepers(others, job.id)[0]
            await (await bob.program()).own(ticket)
            await asyncio.sleep(1)
            await ann.crash()
            await bob.crash()
            await bob.restart()
            await grid.until(
                lambda: at(bob, job.id).job.deciding.decided == TASKS, within=300
            )

    virtual.run(main)


def test_an_owner_by_ticket_that_was_away_learns_that_its_job_is_forgotten(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            job = await ann.start_job(same, range(TASKS))
            (bob,) = others_than(keepers(others, job.id), others)
            ticket = await (await ann.program()).ticket(to_text(job.id), owner=True)
            await (await bob.program()).own(ticket)
            await bob.crash()
            await (await ann.program()).change(to_text(job.id), "forget")
            await grid.until(lambda: not keepers([ann, *others], job.id), within=30)
            await bob.restart()
            assert find(bob, job.id) is not None  # it does not know yet
            await grid.until(lambda: find(bob, job.id) is None, within=60)
            assert bob.peer.custody.vault.tombstones.keys() == {job.id}

    virtual.run(main)


def test_an_owner_by_ticket_looks_less_and_less_for_keepers_that_are_away(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 6)
            job = await ann.start_job(same, range(TASKS))
            kept = [ann, *keepers(others, job.id)]
            bob, *_ = others_than(kept, others)
            ticket = await (await ann.program()).ticket(to_text(job.id), owner=True)
            await (await bob.program()).own(ticket)
            for peer in [bob, *kept]:
                await peer.crash()
            await bob.restart()
            await asyncio.sleep(300)
            before = bob.host.packets
            await asyncio.sleep(300)
            assert bob.host.packets - before < 5 * 100  # a minute
            await kept[-1].restart()
            await grid.until(lambda: bool(at(bob, job.id).fellows.there()), within=60)

    virtual.run(main)
