"""A volunteer's promises to its keepers, whatever its slots or other keepers do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from p2pslinger.errors import PeerError
from p2pslinger.peer.parking import PAUSE
from p2pslinger.sandbox.slot import Exit, Outcome, Slot
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.slots import InlineSlots
from p2pslinger.testing.virtual import current
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.messages import Revoke, Work
from tests.peer.keeping import SOON, Floor, JobThere, ScriptedKeeper, volunteering

ANN, BOB = Identity(bytes([1] * 32)), Identity(bytes([2] * 32))

#: Bytes of a shard of which a volunteer keeps two at hand, and not three.
BIG = 24 << 20

Story = Callable[
    [Floor, ScriptedKeeper, ScriptedKeeper], Coroutine[object, object, None]
]


def with_ann_and_bob(virtual: VirtualTime, story: Story, *, slots: int = 1) -> None:
    """Play a story of a volunteer and two submitters."""

    async def main() -> None:
        async with volunteering(slots) as floor:
            ann, bob = ScriptedKeeper(ANN), ScriptedKeeper(BOB)
            floor.volunteer.serve([ann, bob])
            await story(floor, ann, bob)

    virtual.run(main)


# --- whom it asks -------------------------------------------------------------------


def test_an_idle_slot_asks_everybody_and_a_busy_one_whoever_it_works_for(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        assert ann.places == bob.places == [False, True]

        ann.hand(JobThere.make(ANN).work((0, 20)))
        assert ann.places == [True]
        assert bob.places == []

        await asyncio.sleep(20)
        assert ann.computed == [(0, 20)]
        assert ann.places == bob.places == [False, True]

    with_ann_and_bob(virtual, story)


def test_a_slot_that_has_worked_for_another_is_changed_once(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 1)))
        await asyncio.sleep(1)
        job, asked = JobThere.make(BOB), bob.asked
        bob.hand(job.work((0, 1)))
        assert bob.given_back == [1]
        assert bob.asked == asked, "there is no slot for it yet"

        await asyncio.sleep(1)
        assert bob.asked == asked + 2
        bob.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story)


def test_a_keeper_that_does_not_answer_a_request_is_asked_again_later(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.refuse()
        assert ann.places == []
        assert bob.places == [False, True]

        await asyncio.sleep(PAUSE + SOON)
        assert ann.places == [False, True]

    with_ann_and_bob(virtual, story)


def test_a_keeper_without_its_own_arguments_is_asked_again_later(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 1), shards=()))
        await asyncio.sleep(SOON)
        assert ann.given_back == [1]
        assert len(ann.fetched) == 1
        assert ann.places == []
        assert floor.faults == []

        await asyncio.sleep(PAUSE)
        assert ann.places == [False, True]

    with_ann_and_bob(virtual, story)


# --- what it believes ---------------------------------------------------------------


def test_a_function_that_its_submitter_has_not_signed_is_a_fault_of_the_keeper(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN, inline=False)
        ann.blobs = {digest: b"#" * len(job.code) for digest in job.blobs}
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)

        ((peer, error),) = floor.faults
        assert peer == ANN.id
        assert "another function" in str(error)
        assert ann.given_back == [1]
        assert ann.results == []

    with_ann_and_bob(virtual, story)


def test_other_arguments_than_those_signed_are_a_fault_of_the_keeper(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN)
        ann.blobs = {digest: b"other" for digest in job.blobs}
        ann.hand(job.work((0, 1), shards=()))
        await asyncio.sleep(SOON)

        assert [peer for peer, _ in floor.faults] == [ANN.id]
        assert ann.results == []

    with_ann_and_bob(virtual, story)


def test_a_manifest_that_comes_without_work_is_a_fault(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        work, other = JobThere.make(ANN).work((0, 1)), JobThere.make(ANN, nonce=5)
        ann.hand(Work(work.grants, (*work.manifests, other.manifest)))

        ((_, error),) = floor.faults
        assert isinstance(error, PeerError)

    with_ann_and_bob(virtual, story)


def test_grants_of_several_jobs_at_once_are_a_fault(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        work, other = JobThere.make(ANN).work((0, 1)), JobThere.make(ANN, nonce=5)
        ann.hand(Work((*work.grants, other.grant(0, 1)), work.manifests))

        assert len(floor.faults) == 1

    with_ann_and_bob(virtual, story)


# --- what it forgets ----------------------------------------------------------------


def without_manifest(work: Work) -> Work:
    return Work(work.grants, (), work.batches, work.shards)


def test_the_jobs_of_a_keeper_that_is_gone_are_forgotten(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN)
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)

        again = ScriptedKeeper(ANN)
        floor.volunteer.serve([again])
        again.hand(without_manifest(job.work((1, 2))))
        assert [back.forgot for back in again.backs] == [True]

    with_ann_and_bob(virtual, story)


def test_only_a_keeper_that_gave_work_of_a_job_can_end_it(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN)
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        floor.volunteer.revoke(BOB.id, Revoke(job.id, ()))
        ann.hand(without_manifest(job.work((1, 2))))
        await asyncio.sleep(SOON)
        assert ann.computed == [(0, 1), (1, 2)]

        floor.volunteer.revoke(ANN.id, Revoke(job.id, ()))
        ann.hand(without_manifest(job.work((2, 3))))
        assert [back.forgot for back in ann.backs] == [True]

    with_ann_and_bob(virtual, story)


def test_big_arguments_stay_until_every_slot_that_waits_for_them_has_begun(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN, [[bytes([i]) * BIG] for i in range(4)], function=len)
        ann.blobs, ann.slow = job.blobs, 1.0
        ann.hand(job.work((2, 4), shards=()))
        await asyncio.sleep(0.5)
        two = next(n for n, (want, _) in ann.wants.items() if not want.queued)
        ann.wants = {two: ann.wants.pop(two), **ann.wants}
        ann.hand(job.work((0, 2), shards=()))  # has its first when the others are done
        await asyncio.sleep(10)

        assert sorted(ann.computed) == [(0, 2), (2, 4)]
        assert len(ann.fetched) == 4

    with_ann_and_bob(virtual, story, slots=2)


# --- what it ends -------------------------------------------------------------------


def made(floor: Floor) -> int:
    """Return how many slots there have been: they are numbered."""
    return floor.slots.live[-1].pid


@pytest.mark.parametrize("orders", [1, 2])
def test_what_is_taken_back_before_it_has_begun_costs_the_running_task_nothing(
    virtual: VirtualTime, orders: int
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job, other = JobThere.make(ANN), JobThere.make(ANN, nonce=1)
        ann.hand(job.work((0, 1)))
        ann.hand(other.work(*[(10 + i, 11 + i) for i in range(orders)]))
        await asyncio.sleep(1)
        floor.volunteer.revoke(ANN.id, Revoke(other.id, (1,)))
        await asyncio.sleep(20)

        assert ann.computed == [(0, 1)]
        assert ann.given_back == list(range(1, orders + 1))
        assert floor.slots.computed.total() == 1
        assert made(floor) == orders, "one order is skipped; a slot of more is changed"

        ann.hand(job.work((1, 2)))
        await asyncio.sleep(10)
        assert ann.computed == [(0, 1), (1, 2)]

    with_ann_and_bob(virtual, story)


def test_what_is_taken_back_while_it_runs_is_ended_at_once(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.hangs = lambda index: index == 0
        job = JobThere.make(ANN)
        ann.hand(job.work((0, 1)))
        ann.hand(job.work((1, 2)))
        await asyncio.sleep(1)
        floor.volunteer.revoke(ANN.id, Revoke(job.id, (1,)))
        await asyncio.sleep(SOON)

        assert sorted(ann.given_back) == [1, 2]
        assert ann.places == [False, True]
        assert ann.results == []

    with_ann_and_bob(virtual, story)


def test_work_for_a_keeper_that_is_gone_does_not_stop_the_work_before_it(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        other = ScriptedKeeper(ANN)
        floor.volunteer.serve([ann, other])
        ann.hand(JobThere.make(ANN).work((0, 1)))
        other.hand(JobThere.make(ANN, nonce=1).work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(other)
        await asyncio.sleep(10)

        assert ann.computed == [(0, 1)]
        assert made(floor) == 1

    with_ann_and_bob(virtual, story)


# --- time-outs ----------------------------------------------------------------------


def test_a_task_that_has_waited_behind_another_has_a_time_out_too(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        floor.slots.hangs = lambda index: index == 7
        ann.hand(JobThere.make(ANN).work((0, 1)))
        hurried = JobThere.make(ANN, nonce=1, policy=Policy(timeout=2.0))
        ann.hand(hurried.work((7, 8)))
        await asyncio.sleep(8)

        assert [result.lost for result in ann.results] == [False, True]
        (failure,) = ann.results[1].failures
        assert failure.kind == "timeout"

    with_ann_and_bob(virtual, story)


def test_a_short_time_out_is_not_late_because_of_a_long_one(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.hangs = lambda _: True
        began = current().time()
        for nonce, timeout in enumerate([1000.0, 0.1]):
            job = JobThere.make(ANN, nonce=nonce, policy=Policy(timeout=timeout))
            ann.hand(job.work((0, 1)))
        while not ann.results:
            await asyncio.sleep(0.001)
        assert current().time() - began < 0.15

    with_ann_and_bob(virtual, story, slots=2)


def test_tasks_of_the_same_number_do_not_share_their_time(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 1.5
        hurried = Policy(timeout=2.0)
        for nonce in range(2):
            ann.hand(JobThere.make(ANN, nonce=nonce, policy=hurried).work((3, 4)))
        await asyncio.sleep(10)

        assert [result.failures for result in ann.results] == [(), ()]
        assert made(floor) == 1

    with_ann_and_bob(virtual, story)


# --- slots that come and go ---------------------------------------------------------


class Frail(InlineSlots):
    """Slots that end early.

    Attributes:
        made: How many there have been.
        unborn: How many end before they are handed over.
        age: Seconds after which each other one ends; None for never.
    """

    made = 0
    unborn = 0
    age: float | None = None

    async def slot(
        self,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
    ) -> Slot:
        await super().slot(on_done, on_exit, memory)
        slot = self.live[-1]
        self.made += 1
        if self.unborn:
            self.unborn -= 1
            slot.end()
            on_exit(Exit(1, None, 0, None, b""))
        elif self.age is not None:
            self.loop.call_later(self.age, slot.die, 9)
        return slot


def test_a_slot_that_ends_before_it_is_there_is_made_again_after_a_pause(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        source = Frail(current())
        source.unborn = 2
        ann, job = ScriptedKeeper(ANN), JobThere.make(ANN)
        async with volunteering(source=source) as floor:
            floor.volunteer.serve([ann])
            assert source.made == 1
            assert floor.volunteer.ready == 0
            assert floor.volunteer.broken
            await asyncio.sleep(5)
            assert source.made == 3
            assert floor.volunteer.ready == 1
            assert floor.volunteer.broken == ""

            assert ann.places == [False, True]
            ann.hand(job.work((0, 1)))
            ann.hand(job.work((1, 2)))
            await asyncio.sleep(SOON)
            assert [(r.grant, r.start) for r in ann.results] == [(1, 0), (2, 1)]

    virtual.run(main)


def test_a_machine_on_which_slots_do_not_live_makes_fewer_and_fewer(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        source = Frail(current())
        source.age = 0.05
        async with volunteering(source=source):
            await asyncio.sleep(60)
            assert source.made < 8

    virtual.run(main)


def test_a_slot_that_a_task_has_killed_is_replaced_at_once(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.kills = lambda _: True
        job, began = JobThere.make(ANN), current().time()
        for index in range(5):
            ann.hand(job.work((index, index + 1)))
            while len(ann.results) <= index or not ann.wants:
                await asyncio.sleep(0.01)
        assert current().time() - began < 1.0
        assert all(result.lost for result in ann.results)

    with_ann_and_bob(virtual, story)
