"""A station gets a slot again and again, but a machine that can't have one rests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.slot import Exit, Outcome, Slot
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.slots import InlineSlots
from p2pslinger.testing.virtual import current
from tests.peer.keeping import (
    ANN,
    SOON,
    Floor,
    JobThere,
    ScriptedKeeper,
    volunteering,
    with_ann_and_bob,
)


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
        confinement: Confinement = Confinement.OWN,
        interpreter: Interpreter | None = None,
    ) -> Slot:
        await super().slot(on_done, on_exit, memory, confinement, interpreter)
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
        job = JobThere.make(ANN)
        for index in range(5):
            ann.hand(job.work((index, index + 1)))
            await asyncio.sleep(0.1)
            assert [result.lost for result in ann.results] == [True] * (index + 1)
            assert ann.places == [False, True], "there is another slot"

    with_ann_and_bob(virtual, story)
