"""Whoever the owner of a job has banned, or found to lie, counts nowhere for it."""

from __future__ import annotations

import asyncio

from p2pslinger.ids import PeerId, to_text
from p2pslinger.rules.replica import Replica
from p2pslinger.rules.whyjob import excluded_by
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.manifest import ADAPTIVE, Policy
from tests.simulation.durable import at, keepers, people, same

TASKS = 120
RIGHT = list(range(TASKS))
DAY = "2026-11-23"
CHECKED = Policy(durable=True, replicate=ADAPTIVE)


def is_computed(peer: SimulatedPeer, job: bytes) -> bool:
    held = [one for id, one in peer.peer.custody.vault.held.items() if id == job]
    return bool(held) and held[0].job.kept.board.done.count == TASKS


def accepted_of(peer: SimulatedPeer, replica: Replica) -> set[int]:
    """Return the tasks of which this peer's answers were accepted, which is final."""
    return {
        task
        for one in replica.outcomes()
        if one.accepted and one.range.volunteer == peer.id
        for task in range(one.start, one.stop)
    }


def test_who_is_banned_gets_none_of_a_job_from_any_of_its_keepers(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 5)
            eve = others[-1]
            ann.say(lambda said: said.ban(eve.id, DAY))
            job = await ann.start_job(same, range(TASKS), keepers=2)
            await ann.stop()
            left = [one for one in others if one is not eve]
            keeper = keepers(left, job.id)[0]
            kept = at(keeper, job.id).job.kept
            prospects = keeper.peer.explaining.prospects(kept, "")
            why = excluded_by(kept.python, kept.needs, [prospects[eve.id]])
            assert [one.code for one in why] == ["excluded-by-its-owner"]
            await grid.until(
                lambda: all(is_computed(one, job.id) for one in keepers(left, job.id)),
                within=200,
            )
            assert eve.slots.computed.total() == 0
            assert eve.peer.links.open  # the others go on with it

    virtual.run(main)


def test_what_somebody_computed_who_is_banned_before_it_was_accepted_is_done_again(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 5)
            eve = others[-1]
            eve.slots.lie = lambda n, value: -1
            job = await ann.start_job(same, range(TASKS), keepers=2)
            final = accepted_of(eve, at(ann, job.id).job.replica)
            await ann.kill()
            left = [one for one in others if one is not eve]
            await grid.until(
                lambda: all(is_computed(one, job.id) for one in keepers(left, job.id)),
                within=200,
            )
            assert eve.slots.computed.total() > len(final)
            ann.say(lambda said: said.ban(eve.id, DAY))
            await ann.restart()

            program = await ann.program()
            read = await program.attach(to_text(job.id))
            found = await read.results()
            held = at(ann, job.id)
            before = accepted_of(eve, held.job.replica)
            assert before <= final
            assert all(one.accepted for one in held.job.replica.outcomes())
            assert [found[n] for n in RIGHT if n not in before] == [
                n for n in RIGHT if n not in before
            ]
            notes = held.job.kept.setbacks
            assert any("excluded" in one.why for one in notes if one.peer == eve.id)
            (facts,) = ann.peer.jobreports.jobs(to_text(job.id))
            assert facts.excluded == (to_text(eve.id),)

    virtual.run(main)


def test_a_ban_while_a_job_runs_ends_what_the_banned_one_is_at_elsewhere(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 5)
            eve = others[-1]
            job = await ann.start_job(same, range(TASKS), keepers=2)
            await asyncio.sleep(1)
            ann.say(lambda said: said.ban(eve.id, DAY))
            await asyncio.sleep(1.5)
            so_far = eve.slots.computed.total()
            assert await job.results() == RIGHT
            assert eve.slots.computed.total() <= so_far + 1
            for keeper in keepers([ann, *others], job.id):
                assert at(keeper, job.id).job.kept.board.excluded == {eve.id}

    virtual.run(main)


def test_who_is_struck_gets_no_more_of_the_job_from_its_other_keepers(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", every_id_counts=True)
            others = [
                await grid.add(f"p{n}", slots=1, bootstrap=[ann], every_id_counts=True)
                for n in range(6)
            ]
            for peer in others:
                peer.slots.cost = lambda _: 0.2
            await grid.until(lambda: len(ann.peer.links.open) >= 6, within=60)
            eve = others[-1]
            eve.slots.lie = lambda n, value: -1
            job = await ann.start_job(same, range(TASKS), policy=CHECKED)
            records = ann.peer.company.reputation.records

            def is_struck() -> bool:
                return bool(records.get(PeerId(eve.id)) and records[eve.id].strikes)

            await grid.until(is_struck, within=60, every=0.1)
            await asyncio.sleep(0.5)  # what was granted just before
            so_far = eve.slots.computed.total()
            assert await job.results() == RIGHT
            assert eve.slots.computed.total() <= so_far + 1
            assert at(ann, job.id).job.replica.standing.excluded == {eve.id}

    virtual.run(main)
