"""Orders end in order: skipped, charged or in time, and never at another's expense."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.messages import Revoke
from tests.peer.keeping import (
    ANN,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    with_ann_and_bob,
)


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
        await asyncio.sleep(SOON)
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
        for nonce, timeout in enumerate([1000.0, 0.1]):
            job = JobThere.make(ANN, nonce=nonce, policy=Policy(timeout=timeout))
            ann.hand(job.work((0, 1)), queued=False)
        await asyncio.sleep(0.15)
        assert len(ann.results) == 1

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
