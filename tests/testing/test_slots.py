"""Slots without processes keep the promises of slots with one, in virtual time."""

from __future__ import annotations

import asyncio
import pickle
import random
from dataclasses import dataclass, field

from p2pslinger.client.packing import pack_function, pack_source
from p2pslinger.client.values import unpack_values
from p2pslinger.sandbox.packed import PLAIN, STAR
from p2pslinger.sandbox.slot import Exit, Order, Outcome, Piece, Slot
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.slots import KILL, SEGV, InlineSlots
from p2pslinger.testing.virtual import current

JOB, SHARD = 1, 0

#: Tasks of the shard.
COUNT = 10


def half(x: float) -> float:
    return x / 2


@dataclass
class Desk:
    """A slot, and what came out of it and when."""

    source: InlineSlots
    slot: Slot
    outcomes: list[tuple[float, Outcome]] = field(default_factory=list)
    exits: list[tuple[float, Exit]] = field(default_factory=list)

    @classmethod
    async def make(cls, code: bytes = b"", seed: bytes | None = None) -> Desk:
        """Make a slot that has one job of ten tasks: half of 0 to 9."""
        loop = current()
        source = InlineSlots(loop)
        desk: Desk
        slot = await source.slot(
            lambda outcome: desk.outcomes.append((loop.time(), outcome)),
            lambda exit: desk.exits.append((loop.time(), exit)),
            1 << 20,
        )
        desk = cls(source, slot)
        slot.load(JOB, code or pack_function(half).code, seed)
        slot.shard(JOB, SHARD, PLAIN, pickle.dumps(list(range(COUNT))))
        return desk

    def run(self, start: int, stop: int, *, slice: float = 60.0) -> None:
        self.slot.run(Order(JOB, start, (Piece(SHARD, start, stop),), slice))

    def values(self) -> list[list[object]]:
        return [list(unpack_values(o.form, o.values, "mine")) for _, o in self.outcomes]


def test_orders_are_computed_in_order_and_take_virtual_time(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        desk = await Desk.make()
        desk.source.cost = lambda index: 1.0 if index < 5 else 2.0
        began = current().time()
        desk.run(0, 5)
        desk.run(5, 10)
        await asyncio.sleep(2.5)
        assert desk.slot.index == 2
        await asyncio.sleep(60)

        assert desk.values() == [[0, 0.5, 1, 1.5, 2], [2.5, 3, 3.5, 4, 4.5]]
        assert [round(when - began, 6) for when, _ in desk.outcomes] == [5, 15]
        assert [outcome.wall for _, outcome in desk.outcomes] == [5, 10]
        assert desk.slot.index is None

    virtual.run(main)


def test_a_slice_ends_a_run_early_but_never_before_its_first_task(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        desk = await Desk.make()
        desk.source.cost = lambda _: 1.0
        desk.run(0, 10, slice=2.5)
        desk.run(3, 10, slice=0.1)
        await asyncio.sleep(60)
        assert [(o.start, o.stop) for _, o in desk.outcomes] == [(0, 3), (3, 4)]

    virtual.run(main)


def test_an_order_that_has_not_begun_can_be_withdrawn(virtual: VirtualTime) -> None:
    async def main() -> None:
        desk = await Desk.make()
        desk.run(0, 1)
        desk.run(1, 2)
        desk.slot.withdraw()
        await asyncio.sleep(60)
        assert [(o.start, o.stop) for _, o in desk.outcomes] == [(0, 1), (1, 1)]

    virtual.run(main)


def test_a_task_that_raises_fails_alone(virtual: VirtualTime) -> None:
    async def main() -> None:
        source = "def f(x):\n    return 6 / (x - 3)\n"
        desk = await Desk.make(pack_source(source, "f").code)
        desk.run(0, 10)
        await asyncio.sleep(60)
        ((_, outcome),) = desk.outcomes
        (failure,) = outcome.failures
        assert (failure.index, failure.type) == (3, "ZeroDivisionError")
        assert desk.values()[0][4] == 6

    virtual.run(main)


def test_a_package_that_does_not_load_makes_every_task_fail(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        desk = await Desk.make(b"nonsense")
        desk.run(0, 2)
        await asyncio.sleep(60)
        ((_, outcome),) = desk.outcomes
        assert [failure.index for failure in outcome.failures] == [0, 1]

    virtual.run(main)


def test_slots_die_hang_and_lie_as_they_are_told(virtual: VirtualTime) -> None:
    async def main() -> None:
        desk = await Desk.make()
        desk.source.lie = lambda index, value: "a lie" if index == 1 else value
        desk.source.kills = lambda index: index == 4
        desk.source.hangs = lambda index: index == 6
        desk.run(0, 3)
        desk.run(3, 5)
        await asyncio.sleep(60)
        assert desk.values() == [[0, "a lie", 1]]
        assert [(e.signal, e.index) for _, e in desk.exits] == [(SEGV, 4)]
        assert desk.source.live == []

        other = await Desk.make()
        other.source.hangs = lambda index: index == 6
        other.run(6, 8)
        await asyncio.sleep(3600)
        assert other.slot.index == 6
        other.slot.kill()
        assert other.exits == [], "never from inside a method"
        await asyncio.sleep(0)
        assert [(e.signal, e.index) for _, e in other.exits] == [(KILL, 6)]
        assert other.outcomes == []

    virtual.run(main)


def test_chance_is_seeded_by_job_and_task_and_the_simulations_own_is_not_disturbed(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        code = pack_function(random.gauss).code
        drawn = []
        for ranges in ([(0, 4)], [(0, 2), (2, 4)]):
            desk = await Desk.make(code, seed=b"job")
            desk.slot.shard(JOB, SHARD, STAR, pickle.dumps([(0.0, 1.0)] * 4))
            state = random.getstate()
            for start, stop in ranges:
                desk.run(start, stop)
            await asyncio.sleep(60)
            assert random.getstate() == state
            drawn.append([value for values in desk.values() for value in values])
        assert drawn[0] == drawn[1]
        assert len(set(drawn[0])) == 4

    virtual.run(main)


def test_a_suspended_slot_stands_still_and_goes_on_where_it_was(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        desk = await Desk.make()
        began = current().time()
        desk.run(0, 4)  # 0.2 s
        desk.run(4, 6)
        await asyncio.sleep(0.12)
        desk.slot.suspend()
        assert (desk.slot.index, round(desk.slot.used, 6)) == (2, 0.12)
        await asyncio.sleep(100)
        assert (desk.slot.index, round(desk.slot.used, 6)) == (2, 0.12)
        assert not desk.outcomes
        desk.slot.resume()
        await asyncio.sleep(1)
        times = [round(when - began, 6) for when, _ in desk.outcomes]
        assert times == [100.2, 100.3]
        assert desk.values() == [[0.0, 0.5, 1.0, 1.5], [2.0, 2.5]]

        desk.slot.suspend()
        desk.run(6, 7)
        await asyncio.sleep(10)
        assert len(desk.outcomes) == 2
        desk.slot.resume()
        await asyncio.sleep(1)
        assert len(desk.outcomes) == 3
        assert round(desk.slot.used, 6) == 0.35

    virtual.run(main)
