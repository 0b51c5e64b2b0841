"""What slots can be is told, looked up, and kept to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

from p2pslinger.errors import UnavailableError
from p2pslinger.peer.computing.offering import (
    AGAIN,
    LEISURE,
    LOOK,
    PAUSE,
    Offering,
)
from p2pslinger.peer.owner import Owner
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.interpreters import Interpreters
from p2pslinger.wire.needs import NOTHING, Needs
from tests.peer.keeping import (
    ANN,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    with_ann_and_bob,
)

HERE = "{}.{}".format(*sys.version_info)
OTHER = Interpreter("/opt/python3.99", "3.99")


class Fussy(Interpreters):
    """An interpreter that does not always say what is installed."""

    silent = False

    async def versions(self, interpreter: Interpreter) -> Mapping[str, str]:
        if self.silent:
            raise UnavailableError("it does not answer")
        return await super().versions(interpreter)


# --- looking up ---------------------------------------------------------------------


def test_requirements_are_looked_up_as_they_come_and_packages_as_they_go(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        interpreters, wanted, told = Fussy(), list[Needs](), list[Offering]()
        interpreters.packages = {"NumPy": "2.1"}
        async with Owner() as owner:
            offering = Offering(
                interpreters,
                owner,
                wanted=lambda: wanted,
                changed=lambda: told.append(offering),
            )
            assert offering.pythons == (HERE,)
            assert not offering.fits(None, Needs(("numpy>=2",)))

            wanted.append(Needs(("numpy>=2", "scipy")))
            offering.heard(wanted[0])
            await asyncio.sleep(SOON)
            assert offering.fits(None, Needs(("numpy>=2",)))
            assert not offering.fits(HERE, wanted[0])
            assert len(told) == 1

            interpreters.packages["scipy"] = "1.15"
            await asyncio.sleep(LOOK)
            assert offering.fits(HERE, wanted[0])
            interpreters.silent = True
            await asyncio.sleep(LOOK)
            assert not offering.fits(HERE, wanted[0])
            assert len(told) == 3

            wanted.clear()
            await asyncio.sleep(LOOK)
            assert offering.offer.slots[0].has == ()

    virtual.run(main)


def test_many_jobs_at_once_are_looked_up_together(virtual: VirtualTime) -> None:
    """Who announces a thousand jobs must not keep us busy with them."""

    async def main() -> None:
        looks, wanted = list[str](), list[Needs]()

        class Counting(Interpreters):
            async def versions(self, interpreter: Interpreter) -> Mapping[str, str]:
                looks.append(interpreter.path)
                return await super().versions(interpreter)

        interpreters = Counting()
        interpreters.packages = {"last": "1.0"}
        async with Owner() as owner:
            offering = Offering(
                interpreters, owner, wanted=lambda: wanted, changed=lambda: None
            )
            for n in range(1000):
                wanted[:] = [Needs((f"package{n}",))]
                offering.heard(wanted[0])
                await asyncio.sleep(0.001)
            wanted.append(Needs(("last",)))
            offering.heard(wanted[-1])
            await asyncio.sleep(PAUSE + SOON)
            assert offering.fits(HERE, Needs(("last",)))
            assert len(looks) <= 4
            wanted.clear()
            await asyncio.sleep(LOOK + SOON)

    virtual.run(main)


def test_other_interpreters_are_found_after_a_while_and_dropped_when_they_fail(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        interpreters, told = Interpreters(), list[str]()
        interpreters.others = (OTHER,)
        async with Owner() as owner:
            offering = Offering(
                interpreters, owner, wanted=list, changed=lambda: told.append("changed")
            )
            owner.spawn(offering.find())
            await asyncio.sleep(LEISURE / 2)
            assert offering.pythons == (HERE,)
            await asyncio.sleep(LEISURE)
            assert list(offering.pythons) == [HERE, "3.99"]
            assert "3.99 (/opt/python3.99)" in offering.describe()

            offering.doubt(OTHER, "it does not start")
            await asyncio.sleep(SOON)
            assert offering.pythons == (HERE,)
            assert not offering.fits("3.99", NOTHING)
            assert offering.notes() == [
                "no slots of /opt/python3.99 for now: it does not start"
            ]
            await asyncio.sleep(AGAIN)
            assert offering.fits("3.99", NOTHING), "it may do better now"
            assert offering.notes() == []
            assert told == ["changed"] * 3

    virtual.run(main)


# --- slots --------------------------------------------------------------------------


def of(floor: Floor) -> list[Interpreter | None]:
    """Return what the slots are of."""
    return [slot.interpreter for slot in floor.slots.live]


def test_a_slot_of_another_interpreter_comes_and_stays_while_it_will_do(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        newer = JobThere.make(ANN, python="3.99", nonce=1)
        assert of(floor) == [None]
        ann.hand(newer.work((0, 2)))
        await asyncio.sleep(SOON)
        assert of(floor) == [OTHER]
        ann.hand(JobThere.make(ANN, nonce=2).work((0, 2)))
        await asyncio.sleep(SOON)
        assert of(floor) == [OTHER], "any Python will do"
        ann.hand(JobThere.make(ANN, python=HERE, nonce=3).work((0, 2)))
        await asyncio.sleep(SOON)
        assert of(floor) == [None]
        assert len(ann.results) == 3
        assert ann.given_back == []

    with_ann_and_bob(virtual, story, others=(OTHER,))


def test_work_that_no_interpreter_can_run_goes_back(virtual: VirtualTime) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        ann.hand(JobThere.make(ANN, python="3.98").work((0, 2)))
        await asyncio.sleep(SOON)
        assert ann.given_back == [1]
        assert ann.results == []

    with_ann_and_bob(virtual, story, others=(OTHER,))


def test_an_interpreter_that_does_not_start_takes_nothing_with_it(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        floor.slots.unusable.add(OTHER.path)
        ann.hand(JobThere.make(ANN, python="3.99", nonce=1).work((0, 2)))
        await asyncio.sleep(SOON)
        assert ann.given_back == [1]
        assert floor.doubts == [], "that says nothing about the sandbox"
        bob.hand(JobThere.make(ANN, python=HERE, nonce=2).work((0, 2)))
        await asyncio.sleep(SOON)
        assert bob.computed == [(0, 2)]

    with_ann_and_bob(virtual, story, others=(OTHER,))


def test_a_keeper_hears_what_the_slots_are_before_it_is_asked(
    virtual: VirtualTime,
) -> None:
    async def story(floor: Floor, ann: ScriptedKeeper, bob: ScriptedKeeper) -> None:
        assert [len(ann.told), len(bob.told)] == [1, 1]
        floor.volunteer.tell(ann)
        assert len(ann.told) == 1
        floor.volunteer.offer(ann.told[0])
        assert [len(ann.told), len(bob.told)] == [2, 2]

    with_ann_and_bob(virtual, story)
