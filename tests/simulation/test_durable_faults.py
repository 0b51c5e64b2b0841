"""Durable jobs, and everything that goes wrong at the wrong moment."""

from __future__ import annotations

import asyncio

from p2pslinger.ids import JobId, to_text
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.records import Appointment, seal
from tests.simulation.durable import (
    NONE,
    TASKS,
    a_result,
    append,
    at,
    find,
    keepers,
    open_job,
    others_than,
    people,
    same,
)

#: Where it depends on chance who comes first.
SEEDS = range(6)


def test_a_peer_alone_can_forget_a_job(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            job = await ann.start_job(same, range(3), keepers=0)
            program = await ann.program()
            await program.change(to_text(job.id), "forget")
            await asyncio.sleep(20)
            assert find(ann, job.id) is None

    virtual.run(main)


def test_an_owner_that_has_lost_its_last_shards_seals_no_fewer(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid)
            ann, *others = everybody
            deposit = open_job(ann)
            job = deposit.id
            await grid.until(lambda: len(keepers(others, job)) == 2, within=20)
            await asyncio.sleep(1)
            ann.disk.slow = 5.0
            append(deposit, range(TASKS))
            await asyncio.sleep(2)
            await ann.crash()
            ann.disk.slow = 0.0
            await ann.restart()
            await grid.until(
                lambda: (
                    {at(p, job).job.end for p in keepers(everybody, job)}
                    == {"computed"}
                ),
                within=120,
            )

    virtual.run(main)


def test_a_slow_disk_keeps_no_volunteer_waiting(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid)
            ann, *others = everybody
            ann.disk.slow = 0.3
            job = await ann.start_job(same, range(TASKS))
            await grid.until(
                lambda: all(at(p, job.id).job.end for p in keepers(everybody, job.id)),
                within=100,
            )
            await grid.until(
                lambda: not any(len(p.peer.volunteer.retained) for p in others),
                within=45,
            )

    virtual.run(main)


def test_a_keeper_with_a_full_disk_does_not_count(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 3, slots=0)
            job = await ann.start_job(same, range(TASKS))
            custody, held = ann.peer.custody, at(ann, job.id)
            assert custody.deposits.is_kept(held)
            others[0].disk.full = True
            program = await ann.program()
            await program.change(to_text(job.id), "priority", 3)
            for _ in range(70):
                await asyncio.sleep(1)
                assert not custody.deposits.is_kept(held)

    virtual.run(main)


def test_what_a_full_disk_could_not_drop_is_dropped_when_there_is_room(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2, slots=0)
            job = (await ann.start_job(same, range(TASKS), keepers=1)).id
            bob.disk.full = True
            bob.say(lambda said: said.ban(ann.id, "2027-01-15"))
            assert not bob.peer.custody.vault.held
            await asyncio.sleep(60)
            assert [stored.job for stored in bob.disk.jobs.jobs()] == [job]

            bob.disk.full = False
            await grid.until(lambda: not bob.disk.jobs.jobs(), within=60)

    virtual.run(main)


def test_what_a_full_disk_has_refused_is_written_before_what_came_later(
    virtual: VirtualTime,
) -> None:
    """A restart reads in this order, and some items need the ones before them."""

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2, slots=0)
            job = (await ann.start_job(same, range(TASKS), keepers=1)).id
            held, journal = at(bob, job), at(bob, job).job.means.journal
            program = await ann.program()
            bob.disk.full = True
            await program.change(to_text(job), "priority", 3)
            await grid.until(lambda: held.job.file.refused, within=10)

            bob.disk.full = False
            await grid.until(lambda: not journal.trouble, within=60, every=0.01)
            assert held.job.file.refused
            held.job.take(a_result(held, Identity(b"v" * 32), NONE))
            await journal.flush()
            kinds = [kind for _, kind, _ in bob.disk.jobs.items(job)]
            assert kinds[-2:] == [Kind.CONTROL, Kind.RESULTS]

    virtual.run(main)


def test_a_job_that_pauses_between_appends_is_not_computed_twice(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid, 7)
            ann, *others = everybody
            deposit = open_job(ann)
            board = deposit.held.job.kept.board
            for _ in range(5):
                append(deposit, range(40))
                await grid.until(lambda: board.done.count == board.total, within=60)
                await asyncio.sleep(20)
            computed = sum(peer.peer.volunteer.computed for peer in others)
            assert computed <= 200 * 1.02

    for seed in SEEDS:
        virtual.run(main, seed=seed)


def test_a_submitter_that_returns_accepts_nothing_twice(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid, 5)
            ann, *others = everybody
            job = await ann.start_job(same, range(TASKS))
            ticket = await (await ann.program()).ticket(to_text(job.id), owner=True)
            bob = keepers(others, job.id)[0]
            await (await bob.program()).own(ticket)
            await ann.crash()
            await grid.until(
                lambda: at(bob, job.id).job.deciding.decided == TASKS, within=200
            )
            await asyncio.sleep(20)
            await ann.restart()
            await asyncio.sleep(100)
            replica = at(bob, job.id).job.replica
            accepted = sum(one.stop - one.start for one in replica.accepted)
            credited = sum(one.tasks for _, one in replica.receipts.values())
            deciding = [
                p.name for p in (ann, bob) if at(p, job.id).job.deciding.decides
            ]
            assert (accepted, credited, len(deciding)) == (TASKS, TASKS, 1)

    for seed in SEEDS:
        virtual.run(main, seed=seed)


def test_an_owner_whose_control_records_are_lost_goes_on(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            everybody = await people(grid)
            ann, *others = everybody
            job = await ann.start_job(same, range(TASKS))
            records = list(at(ann, job.id).job.replica.standing.records)
            kept = keepers(others, job.id)
            for peer in (ann, *kept):
                await peer.crash()
            ann.disk.jobs.remove_items(job.id, records)
            await ann.restart()
            await asyncio.sleep(20)
            for peer in kept:
                await peer.restart()
            await asyncio.sleep(60)
            assert at(ann, job.id).job.replica.standing.sealed == TASKS

    virtual.run(main)


def test_a_job_may_be_forgotten_while_a_keeper_makes_up_its_mind(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2, slots=0)
            bob.disk.slow = 3.0
            deposit = open_job(ann)
            await asyncio.sleep(1)
            program = await ann.program()
            await program.change(to_text(deposit.id), "forget")
            deposit.seal()
            await asyncio.sleep(30)
            assert deposit.id in ann.peer.custody.vault.tombstones
            await grid.until(lambda: find(bob, deposit.id) is None, within=120)

    virtual.run(main)


def test_a_keeper_that_has_lost_its_disk_gets_the_job_again(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 3)
            job = await ann.start_job(same, range(TASKS))
            one, two = others
            await ann.crash()
            await one.crash()
            one.disk.jobs.drop(job.id)
            await one.restart()
            await grid.until(lambda: one in keepers(others, job.id), within=120)
            await grid.until(
                lambda: not any(len(p.peer.volunteer.retained) for p in others),
                within=120,
            )
            replicas = [at(peer, job.id).job.replica for peer in (one, two)]
            await grid.until(lambda: replicas[0].sums == replicas[1].sums, within=60)

    virtual.run(main)


def test_a_disk_that_takes_its_time_ends_nobody(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid)
            job = await ann.start_job(same, range(TASKS))
            ann.disk.slow = 6.0
            assert await job.results() == list(range(TASKS))
            ann.disk.slow = 0.0
            await grid.until(
                lambda: not any(len(p.peer.volunteer.retained) for p in others),
                within=90,
            )

    virtual.run(main)


def test_the_work_of_a_keeper_that_has_crashed_goes_on_soon(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 8)
            job = await ann.start_job(same, range(5 * TASKS), keepers=3)
            await ann.crash()
            boards = [at(p, job.id).job.kept.board for p in keepers(others, job.id)]
            await grid.until(
                lambda: all(board.done.count == 5 * TASKS for board in boards),
                within=25,
            )

    for seed in SEEDS:
        virtual.run(main, seed=seed)


def test_all_who_were_replaced_resign(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, *others = await people(grid, 6, cost=3.0)
            job = await ann.start_job(same, range(TASKS), keepers=3)
            one, *replaced = keepers(others, job.id)
            new = others_than([one, *replaced], others)
            for old, peer in zip(replaced, new, strict=True):
                made = Appointment(
                    job.id,
                    at(one, job.id).job.replica.standing.sequence,
                    peer.id,
                    old.id,
                    1,
                    0.0,
                )
                signed = seal(made, one.identity, one.peer.custody.vault.grid)
                at(one, job.id).job.take(Item(Kind.APPOINTMENT, signed))
            everybody = [ann, *others]
            await grid.until(lambda: len(keepers(everybody, job.id)) == 5, within=300)
            held = at(one, job.id)
            held.job.take(a_result(held, Identity(b"v" * 32), NONE))  # some news
            await grid.until(
                lambda: set(keepers(everybody, job.id)) == {ann, one, *new},
                within=300,
            )

    virtual.run(main)


def test_whoever_stood_in_resigns_from_a_cancelled_job_though_a_keeper_is_gone(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        async with SimulatedGrid(network) as grid:
            ann, *others = everybody = await people(grid, 4, cost=3.0)
            job = (await ann.start_job(same, range(TASKS))).id
            stays, goes = keepers(others, job)
            network.partition([ann.host])
            await goes.crash()
            await grid.until(lambda: len(keepers(others, job)) == 2, within=120)
            (stands_in,) = others_than([stays, goes], others)
            await (await ann.program()).change(to_text(job), "cancel")
            network.heal()
            await grid.until(
                lambda: set(keepers(everybody, job)) == {ann, stays}, within=300
            )
            assert find(stands_in, job) is None

    virtual.run(main)


def test_a_keeper_that_goes_while_replicas_are_compared_is_told_nothing_for_ever(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        async with SimulatedGrid(network) as grid:
            ann, bob = everybody = await people(grid, 2, slots=0)
            job = (await ann.start_job(same, range(TASKS), keepers=1)).id
            network.partition([ann.host])
            await grid.until(lambda: not at(ann, job).fellows.there(), within=60)
            for keeper in everybody:  # each of them has what the other lacks
                by = Identity(keeper.id[:16] * 2)
                at(keeper, job).job.take(a_result(at(keeper, job), by, NONE))
            await asyncio.sleep(1)
            ann.disk.slow = 40.0
            network.heal()
            await grid.until(lambda: compares(ann, job), within=60)
            await asyncio.sleep(2)
            network.partition([ann.host])
            await grid.until(lambda: not at(ann, job).fellows.there(), within=60)
            assert compares(ann, job)
            await grid.until(lambda: not compares(ann, job), within=200)

            ann.disk.slow = 0.0
            network.heal()
            await grid.until(
                lambda: (
                    set(at(ann, job).job.replica.ids())
                    == set(at(bob, job).job.replica.ids())
                ),
                within=120,
            )

    virtual.run(main)


def compares(peer: SimulatedPeer, job: JobId) -> bool:
    return any(one.comparing for one in at(peer, job).fellows.all.values())
