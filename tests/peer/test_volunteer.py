"""A volunteer's promises to its keepers, whatever its slots or other keepers do."""

from __future__ import annotations

import asyncio

from p2pslinger.errors import PeerError
from p2pslinger.peer.computing.parking import PAUSE
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.wire.messages import Revoke, Work
from tests.peer.keeping import (
    ANN,
    BOB,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    with_ann_and_bob,
)

#: Bytes of a shard of which a volunteer keeps two at hand, and not three.
BIG = 24 << 20


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
        job = JobThere.make(BOB)
        slot = floor.slots.live[0]
        bob.hand(job.work((0, 1)))
        assert bob.places == [], "there is no slot yet"
        await asyncio.sleep(1)
        assert bob.computed == [(0, 1)]
        assert bob.given_back == []
        assert slot not in floor.slots.live

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
        ann.blobs = dict.fromkeys(job.blobs, b"other")
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
        ann.hand(job.work((0, 2), shards=()), queued=False)  # to the other slot
        await asyncio.sleep(10)

        assert sorted(ann.computed) == [(0, 2), (2, 4)]
        assert len(ann.fetched) == 4

    with_ann_and_bob(virtual, story, slots=2)
