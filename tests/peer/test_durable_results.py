"""Results of durable jobs outlive the keepers that have granted them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.peer.computing import retained
from p2pslinger.peer.computing.retained import AGAIN
from p2pslinger.peer.events import Dropped
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.wire.messages import Delivered, Revoke
from p2pslinger.wire.records import ResultBatch, open_signed
from tests.peer.keeping import (
    ALONE,
    ANN,
    ENOUGH,
    GRID,
    LASTING,
    ME,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    keep,
    lasting,
    with_ann_and_bob,
)


def test_a_result_is_signed_by_its_volunteer_and_kept_until_enough_have_it(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.answer = None
        ann.hand(lasting().work((0, 20)))
        await asyncio.sleep(2)

        (batch,) = ann.offers
        assert batch.key == ME.public
        (result,) = open_signed(ResultBatch, batch, GRID).results
        assert (result.start, result.stop) == (0, 20)
        assert len(floor.volunteer.retained) == 1
        assert floor.volunteer.retained.size >= len(batch.body)

        ann.unanswered.pop()(ENOUGH)
        assert len(floor.volunteer.retained) == floor.volunteer.retained.size == 0

    with_ann_and_bob(virtual, story)


def test_no_copy_is_kept_of_a_throw_away_result(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 1)))
        await asyncio.sleep(SOON)
        assert ann.computed == [(0, 1)]
        assert ann.offers == []
        assert len(floor.volunteer.retained) == 0

    with_ann_and_bob(virtual, story)


def test_a_message_holds_the_results_of_one_job(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.cost = lambda _: 0.0
        ann.hand(lasting().work((0, 1), (1, 2)))
        ann.hand(lasting(1).work((0, 1), (1, 2)))
        await asyncio.sleep(SOON)

        told = [open_signed(ResultBatch, one, GRID).results for one in ann.offers]
        assert sum(map(len, told)) == 4
        assert all(len({one.job for one in batch}) == 1 for batch in told)

    with_ann_and_bob(virtual, story)


def test_what_only_one_keeper_has_is_offered_to_others_in_turn(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.answer = bob.answer = ALONE
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(AGAIN - 1)
        assert (len(ann.offers), len(bob.offers)) == (1, 0)

        await asyncio.sleep(AGAIN)
        assert (len(ann.offers), len(bob.offers)) == (1, 1)

        ann.answer = ENOUGH
        await asyncio.sleep(AGAIN)
        assert (len(ann.offers), len(bob.offers)) == (2, 1)
        assert len(set(ann.offers + bob.offers)) == 1, "the same signature"

        await asyncio.sleep(10 * AGAIN)
        assert (len(ann.offers), len(bob.offers)) == (2, 1)

    with_ann_and_bob(virtual, story)


@pytest.mark.parametrize(
    "answer",
    [UnavailableError("no room"), Delivered(0, (1,), enough=False)],
    ids=["error", "refused"],
)
def test_what_a_keeper_can_not_take_goes_to_another_at_once(
    virtual: VirtualTime, answer: Delivered | UnavailableError
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.answer = answer
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        assert (len(ann.offers), len(bob.offers)) == (1, 1)
        assert len(floor.volunteer.retained) == 0

    with_ann_and_bob(virtual, story)


def test_a_keeper_that_calls_a_result_a_fault_is_not_offered_it_again(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.answer = PeerError("says that this end delivered what nobody gave it")
        ann.hand(lasting().work((0, 1)))
        await asyncio.sleep(10 * AGAIN)
        assert len(ann.offers) == 1
        assert len(floor.volunteer.retained) == 1

    with_ann_and_bob(virtual, story)


def test_what_was_on_its_way_to_a_keeper_that_is_gone_goes_to_another_at_once(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.answer = None
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)
        assert bob.computed == [(0, 1)]
        assert len(floor.volunteer.retained) == 0

        ann.unanswered.pop()(UnavailableError("the connection was lost"))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story)


def test_a_keeper_that_comes_back_is_offered_what_it_may_lack(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        ann.answer = ALONE
        ann.hand(job.work((0, 1), (5, 6)))
        await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)
        await asyncio.sleep(100 * AGAIN)
        assert floor.volunteer.retained.owed() == {job.id: {ANN.id}}

        again = ScriptedKeeper(ANN)
        keep(floor, again, jobs=[job])
        assert sorted(again.computed) == [(0, 1), (5, 6)]
        assert floor.volunteer.retained.owed() == {}

    with_ann_and_bob(virtual, story)


def test_a_keeper_that_has_been_away_is_offered_a_few_at_a_time(
    virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "OFFERS", 2)

    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        ann.answer = ALONE
        for i in range(5):
            ann.hand(job.work((i, i + 1)))
            await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)

        again = ScriptedKeeper(ANN, answer=None)
        keep(floor, again, jobs=[job])
        for count in (2, 3, 4, 5, 5):
            assert len(again.offers) == count
            again.unanswered.pop(0)(ENOUGH)
            await asyncio.sleep(SOON)
        assert len(floor.volunteer.retained) == 0

    with_ann_and_bob(virtual, story)


def test_when_a_job_is_over_its_keepers_say_whether_they_lack_something(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        keep(floor, ann, bob, jobs=[job])
        ann.answer = ALONE
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        floor.volunteer.revoke(ANN.id, Revoke(job.id, ()))
        assert len(ann.offers) + len(bob.offers) >= 2
        ann.answer = ENOUGH
        floor.volunteer.revoke(ANN.id, Revoke(job.id, ()))
        assert len(floor.volunteer.retained) == 0

    with_ann_and_bob(virtual, story)


def test_nobody_keeps_results_that_a_cancelled_job_refuses(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        ann.answer = UnavailableError("the job was forgotten by its owner")
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        assert len(floor.volunteer.retained) == 1
        floor.volunteer.revoke(ANN.id, Revoke(job.id, ()))
        assert len(floor.volunteer.retained) == 0

    with_ann_and_bob(virtual, story)


def test_the_oldest_copies_go_when_there_are_too_many_and_the_owner_hears_of_it(
    virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "COPIES", 3)

    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = lasting()
        ann.answer = ALONE
        for i in range(5):
            ann.hand(job.work((i, i + 1)))
            await asyncio.sleep(SOON)
        assert len(floor.volunteer.retained) == 3
        told = [one for one in floor.events if isinstance(one, Dropped)]
        assert [one.cause for one in told] == ["result", "result"]

        floor.volunteer.lose(ann)
        again = ScriptedKeeper(ANN)
        keep(floor, again, jobs=[job])
        assert sorted(again.computed) == [(2, 3), (3, 4), (4, 5)]

    with_ann_and_bob(virtual, story)


def test_copies_end_with_their_jobs_keep_until(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.answer = ALONE
        ann.hand(JobThere.make(ANN, policy=LASTING, keep_until=5000).work((0, 1)))
        await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)
        await asyncio.sleep(4900)
        assert len(floor.volunteer.retained) == 1
        await asyncio.sleep(200)
        assert len(floor.volunteer.retained) == 0
        assert any(isinstance(one, Dropped) for one in floor.events)

    with_ann_and_bob(virtual, story)


def test_copies_stay_as_long_as_their_extended_job(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.answer = structs.replace(ALONE, until=20_000.0)
        job = JobThere.make(ANN, policy=LASTING, keep_until=5000)
        ann.hand(job.work((0, 1)))
        await asyncio.sleep(SOON)
        floor.volunteer.lose(ann)
        await asyncio.sleep(19_000)
        assert len(floor.volunteer.retained) == 1
        await asyncio.sleep(2000)
        assert len(floor.volunteer.retained) == 0

    with_ann_and_bob(virtual, story)
