"""An owner has preferences: work for others stops, goes on, or goes back."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import replace

import pytest

from p2pslinger.ids import to_text
from p2pslinger.peer.computing.halting import GIVE_BACK
from p2pslinger.rules.permits import BUSY
from p2pslinger.rules.preferences import DEFAULTS, Preferences
from p2pslinger.rules.reasons import Reason
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programjobs import ProgramJob
from p2pslinger.testing.sensors import Played
from p2pslinger.testing.virtual import current
from p2pslinger.wire.manifest import Policy

#: Seconds within which a peer has noticed something, and acted on it.
NOTICED = 2.5


def same(x: int) -> int:
    return x


async def ann_and_bob(
    grid: SimulatedGrid, played: Played, *, slots: int = 1, task: float = 60.0
) -> tuple[SimulatedPeer, SimulatedPeer]:
    """Start Ann, who submits, and Bob, whose machine has an owner."""
    ann = await grid.add("ann")
    bob = await grid.add("bob", slots=slots, bootstrap=[ann], sensors=played)
    bob.slots.cost = lambda _: task
    await grid.until(
        lambda: bool(ann.peer.links.open) and bob.peer.volunteer.ready == slots,
        within=10,
    )
    return ann, bob


async def at_work(
    grid: SimulatedGrid, played: Played
) -> tuple[SimulatedPeer, SimulatedPeer, ProgramJob]:
    """Start both, and a task of Ann's at Bob's; return when it has run for a while."""
    ann, bob = await ann_and_bob(grid, played)
    job = await ann.submit(same, range(1))
    await grid.until(lambda: used(bob) > 5, within=60)
    return ann, bob, job


def wish(peer: SimulatedPeer, wishes: Preferences) -> None:
    peer.wishes.preferences = wishes


def used(peer: SimulatedPeer) -> float:
    return sum(slot.used for slot in peer.slots.live)


def why(peer: SimulatedPeer) -> str:
    reason = peer.peer.explaining.peer()
    return reason.code if reason else ""


def test_work_for_others_stops_on_battery_and_goes_on_where_it_was(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            _, bob, job = await at_work(grid, played)
            assert why(bob) == ""

            played.on_battery = True
            await asyncio.sleep(NOTICED)
            before = used(bob)
            assert why(bob) == Reason.ON_BATTERY
            await asyncio.sleep(GIVE_BACK / 2)
            assert used(bob) == before

            played.on_battery = False
            took = await grid.until(lambda: bool(bob.slots.computed), within=60)
            assert took < 60 - before + NOTICED, "it went on where it was"
            assert await job.results() == [0]
            assert bob.slots.computed.total() == 1

    virtual.run(main)


def test_after_two_minutes_what_stands_still_is_given_back(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, job = await at_work(grid, played)
            wish(bob, replace(DEFAULTS, enabled=False))
            await asyncio.sleep(NOTICED + GIVE_BACK - 10)
            assert bob.peer.volunteer.stations[0].assignments
            await asyncio.sleep(10)
            assert not bob.peer.volunteer.stations[0].assignments
            assert why(bob) == Reason.DISABLED

            eve = await grid.add("eve", slots=1, bootstrap=[ann])
            assert await job.results() == [0]
            assert eve.slots.computed.total() == 1
            assert not bob.slots.computed

    virtual.run(main)


def test_a_jobs_owner_sees_what_stands_still_wherever_it_was_granted(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        bobs, eves = Played(), Played()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, _ = await ann_and_bob(grid, bobs)
            eve = await grid.add("eve", slots=1, bootstrap=[ann], sensors=eves)
            eve.slots.cost = lambda _: 60.0
            await grid.until(lambda: len(eve.peer.links.open) == 2, within=10)
            job = await ann.start_job(same, range(40), keepers=2)
            reports, id = ann.peer.jobreports, to_text(job.id)
            await grid.until(lambda: reports.why(id, None).running >= 2, within=30)

            def still() -> tuple[int, int]:
                facts = reports.jobs(id)[0]
                assert facts.still == reports.why(id, None).still
                return facts.running, facts.still

            running, none = still()
            assert none == 0
            bobs.on_battery = True
            await grid.until(lambda: still()[1] > 0, within=NOTICED + 2)
            assert still()[1] < still()[0] <= running + 1
            eves.on_battery = True
            await grid.until(lambda: still()[1] == still()[0] > 0, within=NOTICED + 2)
            reason = reports.why(id, None).reason
            assert reason is not None
            assert reason.code == Reason.SUSPENDED
            bobs.on_battery = eves.on_battery = False
            await grid.until(lambda: still()[1] == 0, within=NOTICED + 2)
            assert reports.why(id, None).reason is None

    virtual.run(main)


def test_own_work_takes_the_place_of_what_stands_still(virtual: VirtualTime) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            _, bob, theirs = await at_work(grid, played)
            played.on_battery = True
            await asyncio.sleep(NOTICED)
            assert bob.peer.volunteer.stations[0].halted

            bob.slots.cost = lambda _: 0.1
            own = await bob.submit(same, [7])
            began = asyncio.get_running_loop().time()
            assert await own.results() == [7]
            assert asyncio.get_running_loop().time() - began < 1
            await asyncio.sleep(300)
            assert bob.slots.computed.total() == 1, "and nothing of the others'"

            played.on_battery = False
            assert await theirs.results() == [0]

    virtual.run(main)


def test_own_work_is_never_held_back(virtual: VirtualTime) -> None:
    async def main() -> None:
        played = Played(on_battery=True, idle=0.0, load=1.0, program="make")
        async with SimulatedGrid(virtual.network()) as grid:
            _, bob = await ann_and_bob(grid, played, slots=2, task=30.0)
            wish(bob, replace(DEFAULTS, enabled=False, cores=1, core_share=0.1))
            own = await bob.submit(same, range(4))
            began = asyncio.get_running_loop().time()
            assert await own.results() == [0, 1, 2, 3]
            assert asyncio.get_running_loop().time() - began < 62

    virtual.run(main)


def test_others_have_no_more_slots_than_the_owner_says(virtual: VirtualTime) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, played, slots=3, task=10.0)
            wish(bob, replace(DEFAULTS, cores=1))
            await asyncio.sleep(NOTICED)
            await ann.submit(same, range(200))
            most = 0
            for _ in range(100):
                await asyncio.sleep(0.5)
                most = max(most, bob.peer.volunteer.busy)
            assert most == 1
            wish(bob, replace(DEFAULTS, cores=2))
            await grid.until(lambda: bob.peer.volunteer.busy == 2, within=NOTICED + 1)
            wish(bob, DEFAULTS)
            await grid.until(lambda: bob.peer.volunteer.busy == 3, within=NOTICED + 1)
            wish(bob, replace(DEFAULTS, cores=1))
            await grid.until(lambda: bob.peer.volunteer.busy == 1, within=NOTICED + 1)

    virtual.run(main)


def test_a_part_of_a_core_is_a_part_of_a_core(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, Played(), task=1000.0)
            wish(bob, replace(DEFAULTS, core_share=0.25))
            await asyncio.sleep(NOTICED)
            await ann.submit(same, range(1))
            await grid.until(lambda: used(bob) > 0, within=10)
            before = used(bob)
            await asyncio.sleep(100)
            assert 24 < used(bob) - before < 26
            wish(bob, DEFAULTS)
            await asyncio.sleep(NOTICED)
            before = used(bob)
            await asyncio.sleep(100)
            assert used(bob) - before > 99

    virtual.run(main)


def test_a_tasks_time_out_does_not_run_while_it_stands_still(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, played, task=30.0)
            program = await ann.program()
            job = await program.submit(same, range(1), policy=Policy(timeout=40.0))
            await grid.until(lambda: used(bob) > 10, within=60)
            played.on_battery = True
            await asyncio.sleep(100)
            played.on_battery = False
            assert await job.results() == [0]

    virtual.run(main)


def test_sensors_are_asked_only_while_there_is_work_of_others(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, played, task=0.1)
            await asyncio.sleep(60)
            assert played.looks == 0
            job = await ann.submit(same, range(5))
            await job.results()
            await asyncio.sleep(10)
            assert played.looks > 0
            assert not played.asked.input, "nobody needs to know who uses the machine"
            wish(bob, replace(DEFAULTS, when_idle=True, foreign_load=None))
            await ann.submit(same, range(1000))
            await asyncio.sleep(NOTICED)
            assert played.asked.input

    virtual.run(main)


@pytest.mark.parametrize("started", [True, False])
def test_what_stands_still_is_copied_by_whoever_is_free(
    virtual: VirtualTime, started: bool
) -> None:
    async def main() -> None:
        played = Played()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, played)
            if started:
                job = await ann.start_job(same, range(1), keepers=1)
            else:
                job = await ann.submit(same, range(1))
            await grid.until(lambda: used(bob) > 5, within=60)
            eve = await grid.add("eve", slots=1, bootstrap=[ann])
            played.on_battery = True
            await grid.until(lambda: bool(eve.slots.computed), within=GIVE_BACK / 2)
            assert await job.results() == [0]

    virtual.run(main)


def test_others_jobs_come_no_faster_than_the_owner_says(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, Played(), task=0.1)
            wish(bob, replace(DEFAULTS, download=1_000_000.0))
            await asyncio.sleep(NOTICED)
            loop = asyncio.get_running_loop()
            big = [bytes([i]) * 8_000_000 for i in range(2)]
            began = loop.time()
            job = await ann.submit(len, big)
            assert await job.results() == [8_000_000] * 2
            assert 13 < loop.time() - began < 25

            began = loop.time()
            own = await bob.submit(len, big)
            assert await own.results() == [8_000_000] * 2
            assert loop.time() - began < 3

    virtual.run(main)


def test_results_for_others_leave_no_faster_than_the_owner_says(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, Played(), task=0.1)
            wish(bob, replace(DEFAULTS, upload=100_000.0))
            await asyncio.sleep(NOTICED)
            began = asyncio.get_running_loop().time()
            job = await ann.submit(bytes, [200_000] * 10)
            assert await job.results() == [bytes(200_000)] * 10
            assert asyncio.get_running_loop().time() - began > 15

    virtual.run(main)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_nothing_is_computed_against_the_owners_wish_for_long(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        chance, played = random.Random(seed), Played()
        loop = current()
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await ann_and_bob(grid, played, slots=2, task=7.0)
            await ann.submit(same, range(10_000))
            since = {"wish": math.inf, "load": math.inf}
            for _ in range(600):
                if chance.random() < 0.04:
                    shake(chance, played, bob)
                before = used(bob)
                for kind, wrong in against(bob.wishes.preferences, played).items():
                    began = min(since[kind], loop.time())
                    since[kind] = began if wrong else math.inf
                await asyncio.sleep(1.0)
                lasted = {kind: loop.time() - began for kind, began in since.items()}
                if lasted["wish"] > NOTICED + 1 or lasted["load"] > LATEST:
                    assert used(bob) <= before, bob.wishes.preferences
                    assert why(bob)
            assert bob.slots.computed, "there were times when nothing was against it"

    virtual.run(main, seed=seed)


#: Seconds after which nothing is computed any more: other programs get ten before they
#: are made room for, and a look at them covers what was before it.
LATEST = BUSY + 1 + NOTICED


def shake(chance: random.Random, played: Played, peer: SimulatedPeer) -> None:
    """Change something about the machine, or about its owner's mind."""
    played.on_battery = chance.random() < 0.2
    played.idle = chance.choice([0.0, 3600.0, 3600.0])
    played.load = chance.choice([0.0, 0.1, 0.6])
    played.program = "make" if played.load > 0.5 else ""
    wishes = replace(
        DEFAULTS,
        enabled=chance.random() < 0.9,
        when_idle=chance.random() < 0.3,
        foreign_load=chance.choice([0.25, 0.25, None]),
        core_share=chance.choice([0.5, 1.0]),
        cores=chance.choice([None, 1]),
    )
    wish(peer, wishes)


def against(wishes: Preferences, played: Played) -> dict[str, bool]:
    """Tell for what others should get nothing."""
    limit = 2.0 if wishes.foreign_load is None else wishes.foreign_load
    return {
        "wish": not wishes.enabled
        or bool(played.on_battery)
        or (wishes.when_idle and played.idle == 0.0),
        "load": played.load is not None and played.load > limit,
    }
