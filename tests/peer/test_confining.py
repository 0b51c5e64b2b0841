"""How a submitter's work is confined, and that a change of slots loses none of it."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger import limits
from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.parking import PAUSE
from p2pslinger.peer.computing.staffing import IDLE
from p2pslinger.rules.permits import Permit
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.slots import START
from tests.peer.keeping import (
    ANN,
    BOB,
    ME,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    with_ann_and_bob,
)

STRONG = Finding(Level.STRONG, Confinement.STRONG, ())
GOOD = Finding(Level.GOOD, Confinement.GOOD, ("strong: no bubblewrap",))
WEAK = Finding(Level.WEAK, Confinement.WEAK, (), ("read files",))
NONE = Finding(Level.NONE, None, ("all: no fork",))


def with_(finding: Finding | None, require: Level = Level.GOOD) -> Confining:
    confining = Confining(
        ME.id, require=require, allows=lambda submitter: submitter == BOB.id
    )
    confining.finding = finding
    return confining


# --- who gets what ------------------------------------------------------------------


@pytest.mark.parametrize("finding", [None, NONE, WEAK, GOOD, STRONG])
def test_the_machines_own_work_is_never_kept_from_its_files(
    finding: Finding | None,
) -> None:
    assert with_(finding).of(ME.id) is Confinement.OWN


@pytest.mark.parametrize(
    ("finding", "require", "ann", "bob"),
    [
        (STRONG, Level.GOOD, Confinement.STRONG, Confinement.STRONG),
        (GOOD, Level.GOOD, Confinement.GOOD, Confinement.GOOD),
        (GOOD, Level.STRONG, None, Confinement.GOOD),
        (WEAK, Level.GOOD, None, Confinement.WEAK),
        (WEAK, Level.WEAK, Confinement.WEAK, Confinement.WEAK),
        (NONE, Level.WEAK, None, None),
        (None, Level.WEAK, None, None),
    ],
)
def test_others_get_what_was_found_if_it_is_enough_or_they_are_named(
    finding: Finding | None,
    require: Level,
    ann: Confinement | None,
    bob: Confinement | None,
) -> None:
    confining = with_(finding, require)
    assert confining.of(ANN.id) is ann
    assert confining.of(BOB.id) is bob, "the owner has named Bob"
    assert confining.for_members is (ann is not None)
    assert bool(confining.why_not) is (ann is None)


def test_whom_the_owner_trusts_is_treated_like_the_owner() -> None:
    trusting = Confining(ME.id, require=Level.STRONG, trusts_all=True)
    assert trusting.of(ANN.id) is Confinement.OWN
    assert trusting.for_members


# --- slots ----------------------------------------------------------------------------


def kinds(floor: Floor) -> list[Confinement]:
    return [slot.confinement for slot in floor.slots.live]


def test_work_of_a_stranger_waits_here_for_a_slot_of_its_own(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        assert kinds(floor) == [Confinement.OWN], "ready for its owner"
        job = JobThere.make(ANN)
        ann.hand(job.work((0, 2)))
        await asyncio.sleep(SOON)
        assert kinds(floor) == [Confinement.STRONG]
        ann.hand(job.work((2, 4)))
        await asyncio.sleep(SOON)
        assert ann.computed == [(0, 2), (2, 4)]
        assert ann.given_back == []

        old = floor.slots.live[0]
        bob.hand(JobThere.make(BOB).work((0, 1)))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 1)]
        assert bob.given_back == []
        assert old not in floor.slots.live, "nobody gets the slot of another"

    with_ann_and_bob(virtual, story, confining=with_(STRONG))


def test_work_behind_another_submitters_is_given_back(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 100)))
        await asyncio.sleep(SOON)
        ann.hand(JobThere.make(BOB).work((0, 1)), queued=True)
        assert ann.given_back == [1]

    with_ann_and_bob(virtual, story, confining=with_(GOOD))


def test_work_taken_back_while_its_slot_is_made_leaves_an_idle_slot(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN)
        ann.hand(job.work((0, 2)))
        floor.volunteer.lose(ann)
        await asyncio.sleep(SOON)
        assert ann.computed == []
        assert bob.places == [False, True]
        bob.hand(JobThere.make(BOB).work((0, 1)))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story, confining=with_(STRONG))


def test_work_that_this_machine_can_not_confine_is_given_back(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 2)))
        assert ann.given_back == [1]
        assert ann.places == [], "it is not asked again at once"
        await asyncio.sleep(PAUSE + SOON)
        assert ann.places == [False, True]
        bob.hand(JobThere.make(BOB).work((0, 1)))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 1)]
        assert kinds(floor) == [Confinement.WEAK]

    with_ann_and_bob(virtual, story, confining=with_(WEAK))


def test_a_slot_that_can_not_be_confined_any_more_is_reported_and_own_work_goes_on(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.unconfinable = "bubblewrap is gone"
        ann.hand(JobThere.make(ANN).work((0, 2)))
        await asyncio.sleep(SOON)
        assert ann.given_back == [1]
        assert floor.doubts == ["no slot: bubblewrap is gone"]
        assert kinds(floor) == [Confinement.OWN]
        bob.hand(JobThere.make(ME).work((0, 1)))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 1)]

    with_ann_and_bob(virtual, story, confining=with_(STRONG))


def test_a_strangers_slot_ends_when_it_has_had_nothing_to_do_for_a_while(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        job = JobThere.make(ANN)
        for index in range(5):
            ann.hand(job.work((index, index + 1)))
            await asyncio.sleep(IDLE - 1)
            assert kinds(floor) == [Confinement.STRONG], "more may come"
        (slot,) = floor.slots.live
        await asyncio.sleep(2)
        assert kinds(floor) == [Confinement.OWN]
        assert slot not in floor.slots.live
        await asyncio.sleep(60)
        bob.hand(JobThere.make(ME).work((0, 1)))
        await asyncio.sleep(60)
        assert bob.computed == [(0, 1)]
        assert len(ann.computed) == 5

    with_ann_and_bob(virtual, story, confining=with_(STRONG))


# --- time -----------------------------------------------------------------------------


def test_a_strangers_task_that_never_ends_is_ended_after_a_day(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.hangs = lambda _: True
        ann.hand(JobThere.make(ANN).work((0, 1)))
        await asyncio.sleep(limits.TASK_SECONDS - 60)
        assert ann.results == []
        await asyncio.sleep(120)
        (result,) = ann.results
        assert result.failures[0].kind == "timeout"

    with_ann_and_bob(virtual, story, confining=with_(STRONG))


def test_a_slot_is_what_it_was_made_as_whatever_was_wished_for_meanwhile(
    virtual: VirtualTime,
) -> None:
    """A stranger's idle slot dies, and its time is over while the next one is made."""

    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 1)))
        while not ann.computed:  # noqa: ASYNC110 - time is simulated
            await asyncio.sleep(0.001)
        (slot,) = floor.slots.live
        await asyncio.sleep(IDLE - START / 2)
        slot.die(9)
        await asyncio.sleep(SOON)
        bob.hand(JobThere.make(ME).work((0, 1)))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 1)]
        assert kinds(floor) == [Confinement.OWN]

    with_ann_and_bob(virtual, story, confining=with_(STRONG))


def test_own_work_goes_on_where_a_strangers_is_about_to_begin(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        mine, theirs = JobThere.make(ME), JobThere.make(ANN, nonce=1)
        ann.blobs, ann.slow = mine.blobs | theirs.blobs, 1.0
        ann.hand(mine.work((0, 100), shards=()), queued=False)
        await asyncio.sleep(0.5)
        ann.hand(theirs.work((0, 1), shards=()), queued=True)
        await asyncio.sleep(0.6)
        assert floor.volunteer.busy == 1
        floor.volunteer.halting.apply(Permit(suspended=True))
        await asyncio.sleep(10)
        assert ann.given_back == [1]
        assert ann.computed == [(0, 100)]

    with_ann_and_bob(virtual, story)


def test_work_of_somebody_who_is_denied_is_given_back_though_it_has_begun(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN).work((0, 100)))
        await asyncio.sleep(SOON)
        floor.volunteer.sift(lambda submitter: submitter == ANN.id)
        assert ann.given_back == []
        floor.volunteer.sift(lambda submitter: submitter != ANN.id)
        assert ann.given_back == [1]
        await asyncio.sleep(10)
        assert ann.computed == []
        assert bob.places == [False, True]

    with_ann_and_bob(virtual, story)
