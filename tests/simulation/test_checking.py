"""Results are compared: who lies is found, and nobody waits for a check in vain."""

from __future__ import annotations

import asyncio
import math
import random

import pytest

from p2pslinger.ids import to_text
from p2pslinger.peer.durable.held import Held
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programjobs import ProgramJob
from p2pslinger.wire.manifest import ADAPTIVE, Policy
from tests.simulation.durable import at, find, keepers

TASKS = 200
RIGHT = [math.factorial(n % 50) for n in range(TASKS)]
CHECKED = Policy(durable=True, replicate=ADAPTIVE)


def work(n: int) -> int:
    return math.factorial(n % 50)


def roll(n: int) -> float:
    return random.SystemRandom().random() + n


async def people(
    grid: SimulatedGrid, count: int = 6, *, known: bool = True
) -> list[SimulatedPeer]:
    """Start a submitter without slots and volunteers with one each; all connected."""
    ann = await grid.add("ann", every_id_counts=known)
    others = [
        await grid.add(f"p{i}", slots=1, bootstrap=[ann], every_id_counts=known)
        for i in range(count - 1)
    ]
    for peer in others:
        peer.slots.cost = lambda _: 0.2
    await grid.until(lambda: len(ann.peer.links.open) >= count - 1, within=60)
    return [ann, *others]


def struck(peer: SimulatedPeer) -> set[bytes]:
    """Return whom a peer has struck."""
    records = peer.peer.company.reputation.records
    return {volunteer for volunteer, record in records.items() if record.strikes}


def answers(held: Held) -> list[int]:
    """Return of each task how many have answered."""
    found = held.job.replica.answers
    tasks = range(held.job.kept.board.total)
    return [len({one.volunteer for one in found.at(n, n + 1)}) for n in tasks]


async def done(grid: SimulatedGrid, peer: SimulatedPeer, job: ProgramJob) -> Held:
    """Wait for a job's end at a peer."""
    held = at(peer, job.id)
    await grid.until(lambda: bool(held.job.end), within=300)
    assert held.job.end == "computed"
    return held


def counted(held: Held) -> tuple[int, int]:
    """Return how many tasks several peers have answered, and how many one."""
    facts = held.job.checking.facts()
    assert facts is not None
    return facts.checked, facts.unchecked


def test_a_new_peers_results_are_checked_by_another(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            job = await ann.start_job(work, range(TASKS), policy=CHECKED)
            assert await job.results() == RIGHT
            held = await done(grid, ann, job)
            verdicts = held.job.checking.verdicts
            assert verdicts.agreed.count == verdicts.checked > TASKS / 4
            assert not verdicts.disagreed.count
            assert not struck(ann)
            assert max(answers(held)) == 2
            assert held.job.deciding.decided == TASKS

            keeper = await done(grid, keepers(others, job.id)[0], job)
            await grid.until(lambda: counted(keeper) == counted(held), within=10)
            facts, told = held.job.checking.facts(), keeper.job.checking.facts()
            assert facts is not None
            assert told is not None
            assert (facts.judged, told.judged) == (True, False)

    virtual.run(main)


def test_whoever_checked_others_and_agreed_is_credited_for_it_and_for_good(
    virtual: VirtualTime,
) -> None:
    def earned(ann: SimulatedPeer) -> dict[bytes, tuple[int, int]]:
        return {one.volunteer: (one.tasks, one.checks) for one in ann.disk.tally()}

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            eve = others[-1]
            eve.slots.lie = lambda n, value: -1
            job = await ann.start_job(work, range(TASKS), policy=CHECKED)
            assert await job.results() == RIGHT
            held = await done(grid, ann, job)
            agreed = held.job.checking.verdicts.agreed.count
            await asyncio.sleep(5)
            found = earned(ann)
            assert sum(tasks for tasks, _ in found.values()) == TASKS
            assert sum(checks for _, checks in found.values()) == agreed > 0
            assert found.get(eve.id, (0, 0)) == (0, 0)

            await ann.kill()
            await ann.restart()
            await asyncio.sleep(30)
            assert earned(ann) == found

    virtual.run(main)


def test_a_liar_is_struck_and_its_values_are_not_accepted(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            eve = others[-1]
            eve.slots.lie = lambda n, value: -1
            job = await ann.start_job(work, range(TASKS), policy=CHECKED)
            assert await job.results() == RIGHT
            assert struck(ann) == {eve.id}
            await done(grid, ann, job)

    virtual.run(main)


def test_whoever_was_struck_gets_no_more_work_for_a_while(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            eve = others[-1]
            eve.slots.lie = lambda n, value: -1
            job = await ann.start_job(work, range(TASKS), keepers=0, policy=CHECKED)
            await job.results()
            assert struck(ann) == {eve.id}
            before = eve.slots.computed.total()
            await ann.kill()
            await ann.restart()
            again = await ann.start_job(work, range(TASKS), keepers=0, policy=CHECKED)
            assert await again.results() == RIGHT
            assert eve.slots.computed.total() == before

    virtual.run(main)


def test_a_function_that_comes_out_by_chance_strikes_nobody(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *_ = await people(grid)
            job = await ann.start_job(roll, range(TASKS), policy=CHECKED)
            await job.results()
            held = await done(grid, ann, job)
            assert not struck(ann)
            assert held.job.checking.verdicts.irreproducible.count > TASKS / 4
            assert max(answers(held)) <= 3

    virtual.run(main)


def test_without_a_second_peer_nobody_waits(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2)
            loop = grid.network.loop
            began = loop.time()
            job = await ann.start_job(work, range(20), keepers=1, policy=CHECKED)
            assert await job.results() == RIGHT[:20]
            held = await done(grid, ann, job)
            assert loop.time() - began < 20 * 0.2 + 3
            assert held.job.checking.verdicts.checked == 0
            assert bob.slots.computed.total() == 20

    virtual.run(main)


def test_peers_that_nobody_knows_check_nobody(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, known=False)
            job = await ann.start_job(work, range(TASKS), policy=CHECKED)
            assert await job.results() == RIGHT
            held = await done(grid, ann, job)
            assert held.job.checking.verdicts.checked <= 0.02 * TASKS
            assert sum(p.slots.computed.total() for p in others) <= 1.02 * TASKS

    virtual.run(main)


def test_a_submitter_with_a_slot_checks_a_single_volunteer(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", slots=1)
            bob = await grid.add("bob", slots=2, bootstrap=[ann])
            await grid.until(lambda: len(ann.peer.links.open) == 1, within=60)
            job = await ann.start_job(work, range(TASKS), keepers=1, policy=CHECKED)
            assert await job.results() == RIGHT
            held = await done(grid, ann, job)
            verdicts = held.job.checking.verdicts
            assert verdicts.agreed.count > 10
            assert bob.id in ann.peer.company.reputation.records
            assert ann.id not in ann.peer.company.reputation.records

    virtual.run(main)


@pytest.mark.parametrize("votes", [2, 3])
def test_every_task_is_computed_as_often_as_asked(
    virtual: VirtualTime, votes: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *_ = await people(grid)
            policy = Policy(durable=True, replicate=votes)
            job = await ann.start_job(work, range(60), policy=policy)
            assert await job.results() == RIGHT[:60]
            held = await done(grid, ann, job)
            assert answers(held) == [votes] * 60
            assert held.job.checking.verdicts.agreed.count == 60

    virtual.run(main)


def test_keepers_have_results_checked_while_the_submitter_is_away(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 8)
            for peer in others:
                peer.slots.cost = lambda _: 4.0
            others[-1].slots.lie = lambda n, value: -1
            policy = Policy(durable=True, replicate=2)
            job = await ann.start_job(work, range(80), policy=policy)
            await ann.kill()

            def is_over() -> bool:
                held = [find(peer, job.id) for peer in others]
                return all(one.job.end for one in held if one is not None)

            await grid.until(is_over, within=600)
            await ann.restart()
            program = await ann.program()
            read = await program.attach(to_text(job.id))
            assert await read.results() == RIGHT[:80]
            held = at(ann, job.id)
            counts = answers(held)
            assert max(counts) <= 3
            assert sum(n >= 2 for n in counts) > 0.8 * 80

    virtual.run(main)


def test_a_straggler_near_the_end_does_not_hold_the_job(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            slow = others[-1]
            slow.slots.cost = lambda _: 600.0
            loop = grid.network.loop
            began = loop.time()
            job = await ann.start_job(work, range(TASKS))
            assert await job.results() == RIGHT
            await done(grid, ann, job)
            assert loop.time() - began < 60
            await grid.until(lambda: not slow.peer.volunteer.busy, within=10)

    virtual.run(main)


def test_a_straggler_of_a_throw_away_job_is_waited_for(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 3)
            others[-1].slots.cost = lambda _: 100.0
            job = await ann.submit(work, range(40))
            assert await job.results() == RIGHT[:40]
            computed = sum(peer.slots.computed.total() for peer in others)
            assert computed == 40

    virtual.run(main)


@pytest.mark.parametrize("seed", range(3))
def test_a_liar_that_lies_now_and_then_is_struck_and_nobody_else(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 7)
            eve = others[seed % 5]
            eve.slots.lie = lambda n, value: value if n % 3 else -7
            job = await ann.start_job(work, range(3 * TASKS), policy=CHECKED)
            values = await job.results()
            assert struck(ann) == {eve.id}
            wrong = [n for n, value in enumerate(values) if value == -7]
            assert len(wrong) < 0.02 * len(values)
            for task in wrong:  # in time there was nobody to check it
                found = at(ann, job.id).job.replica.answers.at(task, task + 1)
                assert {one.volunteer for one in found} == {eve.id}

    virtual.run(main, seed=seed)


def test_checks_aside_three_keepers_hardly_ever_have_a_task_computed_twice(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 8)
            for peer in others:
                peer.slots.cost = lambda _: 0.8
            job = await ann.start_job(work, range(300), keepers=3, policy=CHECKED)
            await ann.stop()

            def keeping() -> list[Held]:
                return [one for peer in others if (one := find(peer, job.id))]

            await grid.until(lambda: all(one.job.end for one in keeping()), within=300)
            computed = sum(peer.slots.computed.total() for peer in others)
            copies = [one.job.kept.board.copies for one in keeping()]
            checks = sum(one.compared for one in copies)
            assert 20 < checks < 300
            assert computed <= 300 * 1.02 + checks

    virtual.run(main)


def test_where_no_third_can_decide_our_own_machine_is_believed(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", slots=1)
            eve = await grid.add("eve", slots=1, bootstrap=[ann])
            eve.slots.lie = lambda n, value: -1
            await grid.until(lambda: len(ann.peer.links.open) == 1, within=60)
            job = await ann.start_job(work, range(40), keepers=0, policy=CHECKED)
            assert await job.results() == RIGHT[:40]
            assert eve.slots.computed.total() > 5
            assert not struck(ann)

    virtual.run(main)


def test_two_ids_of_one_person_do_not_agree_against_a_known_peer(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            dan, eve, mal = [
                await grid.add(name, slots=1, bootstrap=[ann])
                for name in ("dan", "eve", "mal")
            ]
            await grid.until(lambda: len(ann.peer.links.open) == 3, within=60)
            ann.say(lambda people: people.with_name(dan.id, "dan"))
            for one, seconds in ((dan, 1.0), (eve, 20.0), (mal, 0.2)):
                one.slots.cost = lambda _, seconds=seconds: seconds  # type: ignore[misc]
            for one in (eve, mal):
                one.slots.lie = lambda n, value: -1
            job = await ann.start_job(work, range(6), keepers=0, policy=CHECKED)
            assert await job.results() == RIGHT[:6]
            assert mal.slots.computed.total() > 1
            assert not struck(ann)

    virtual.run(main)
