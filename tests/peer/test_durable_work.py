"""Work on durable jobs outlives its keeper, and a job's keepers are worth the same."""

from __future__ import annotations

import asyncio

from p2pslinger.errors import UnavailableError
from p2pslinger.peer.computing import orphans
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.wire.messages import Revoke
from tests.peer.keeping import (
    ANN,
    BOB,
    LASTING,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    keep,
    lasting,
    with_ann_and_bob,
)


def test_another_keeper_adopts_the_work_of_one_that_is_gone(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.hand(job.work((0, 1)))
        ann.hand(job.work((1, 2)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        grants = [one for adopt in bob.adopted for one in adopt.grants]
        assert [(one.number, one.start, one.stop) for one in grants] == [
            (1, 0, 1),
            (2, 1, 2),
        ]
        assert {one.mac for one in grants} == {bytes(16)}

        await asyncio.sleep(3)
        assert bob.held == [1, 2], "heartbeats go to the one that has adopted them"

        await asyncio.sleep(10)
        assert bob.computed == [(0, 1), (1, 2)]
        assert ann.results == []
        assert ann.backs == bob.backs == []
        assert floor.slots.computed.total() == 2

    with_ann_and_bob(virtual, story)


def test_work_of_a_throw_away_job_ends_with_its_keeper(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job = JobThere.make(ANN)
        keep(floor, ann, bob, jobs=[job])
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        await asyncio.sleep(10)
        assert bob.adopted == []
        assert bob.results == []

    with_ann_and_bob(virtual, story)


def test_what_its_new_keeper_calls_void_is_stopped(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.hangs = lambda _: True
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        bob.void = (1,)
        floor.volunteer.lose(ann)
        await asyncio.sleep(SOON)
        assert floor.volunteer.busy == 0
        assert bob.places == [False, True]

    with_ann_and_bob(virtual, story)


def test_work_without_a_keeper_goes_on_and_its_result_waits_for_one(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job = lasting()
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        await asyncio.sleep(10)
        assert floor.volunteer.busy == 0
        assert floor.volunteer.computed == 1
        assert len(floor.volunteer.retained) == 1

        keep(floor, bob, jobs=[job])
        assert bob.adopted == []
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story)


def test_a_keeper_that_comes_later_adopts_what_still_runs(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 50.0
        job = lasting()
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        await asyncio.sleep(10)
        again = ScriptedKeeper(ANN)
        keep(floor, again, jobs=[job])
        assert [len(one.grants) for one in again.adopted] == [1]
        assert again.places == [True]

        await asyncio.sleep(100)
        assert again.computed == [(0, 1)]
        assert len(again.adopted) == 1

    with_ann_and_bob(virtual, story)


def test_when_one_keeper_will_not_adopt_the_next_one_is_asked(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job = lasting()
        others = [ScriptedKeeper(ANN), bob]
        keep(floor, ann, *others, jobs=[job])
        for other in others:
            other.void = UnavailableError("it does not keep that job")
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        assert [len(other.adopted) for other in others] == [1, 1]
        assert floor.volunteer.busy == 1

        await asyncio.sleep(10)
        assert floor.volunteer.computed == 1

    with_ann_and_bob(virtual, story)


def test_a_keeper_that_goes_while_it_adopts_leaves_the_work_to_the_next(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job = lasting()
        other = ScriptedKeeper(BOB, void=None)
        keep(floor, ann, other, jobs=[job])
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        keep(floor, other, bob, jobs=[job])
        assert bob.adopted == []
        floor.volunteer.lose(other)
        assert len(bob.adopted) == 1

        await asyncio.sleep(10)
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story)


def test_work_that_nobody_takes_over_is_given_up_at_last(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.hangs = lambda _: True
        ann.hand(lasting().work((0, 1)))
        await asyncio.sleep(1)
        floor.volunteer.lose(ann)
        await asyncio.sleep(orphans.LONG - 1)
        assert floor.volunteer.busy == 1

        await asyncio.sleep(2)
        assert floor.volunteer.busy == 0
        assert bob.places == [False, True]

    with_ann_and_bob(virtual, story)


def test_a_job_that_one_keeper_says_is_over_is_over_for_its_other_keepers(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.hangs = lambda _: True
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(1)
        bob.hand(job.work((1, 2)))
        await asyncio.sleep(1)
        assert floor.volunteer.busy == 1
        floor.volunteer.revoke(BOB.id, Revoke(job.id, ()))
        await asyncio.sleep(SOON)
        assert floor.volunteer.busy == 0
        assert ann.given_back == [1]
        assert bob.given_back == [2]

    with_ann_and_bob(virtual, story)


def test_arguments_that_a_lost_keeper_was_sending_come_from_the_next(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.slow, bob.blobs = 1.0, job.blobs
        ann.hand(job.work((0, 1), shards=()))
        await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)
        await asyncio.sleep(2)
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story)


# --- several keepers ----------------------------------------------------------------


def test_a_busy_slot_asks_every_keeper_of_its_submitters_jobs(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.hand(job.work((0, 1)))
        assert ann.places == [True]
        assert bob.places == [], "for a moment, only who has just had work is asked"
        await asyncio.sleep(SOON)
        assert ann.places == bob.places == [True]
        bob.hand(job.work((1, 2)))
        await asyncio.sleep(20)
        assert ann.computed == [(0, 1)]
        assert bob.computed == [(1, 2)]

    with_ann_and_bob(virtual, story)


def test_a_keeper_of_two_submitters_jobs_is_not_asked_again_and_again_for_the_wrong(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 5.0
        ann.hand(lasting().work((0, 1)))
        foreign = JobThere.make(BOB, policy=LASTING, nonce=1)
        ann.hand(foreign.work((0, 1)))
        assert ann.given_back == [1]
        assert ann.places == []

        await asyncio.sleep(6)
        assert ann.computed == [(0, 1)]
        assert ann.places == [False, True]

    with_ann_and_bob(virtual, story)
