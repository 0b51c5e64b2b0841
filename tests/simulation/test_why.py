"""Every reason for waiting occurs: each has a story here, on simulated machines.

A reason without a story fails the test, so whoever adds one adds how it comes about.
"""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.ids import JobId, PeerId, to_text
from p2pslinger.limits import MOST_MEMORY
from p2pslinger.peer.events import TakenBack
from p2pslinger.rules.reasons import Reason
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.sensors import Played
from p2pslinger.wire.facts import ReasonFacts
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.needs import Needs
from tests.simulation.durable import append, open_job
from tests.simulation.waits import (
    LONG,
    SOON,
    STORIES,
    Ask,
    ann_and,
    newer,
    of_granted,
    of_job,
    paused_job,
    running,
    same,
    shows,
    why,
)

# --- jobs ---------------------------------------------------------------------------


@shows(Reason.KEPT_ELSEWHERE)
async def kept_elsewhere(grid: SimulatedGrid) -> Ask:
    ann, *others = await ann_and(grid, "bob", "eve", "dan", slots=0)
    job = await ann.start_job(same, range(3))
    await ann.stop()
    reader = next(one for one in others if job.id not in one.peer.custody.vault.held)
    await (await reader.program()).attach(to_text(job.id))
    return of_job(reader, job.id)


@shows(Reason.JOB_PAUSED)
async def job_paused(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", slots=1)
    return of_job(ann, (await paused_job(ann)).id)


@shows(Reason.LEARNING)
async def learning(grid: SimulatedGrid) -> Ask:
    """A new keeper does not hand out anything before it knows what others have."""
    ann, *others = await ann_and(grid, "bob", "eve", slots=0)
    program = await ann.program()
    asyncio.get_running_loop().create_task(program.start(same, range(9)))

    def ask() -> ReasonFacts | None:
        for peer in others:
            for job in peer.peer.custody.vault.held:
                reason = why(peer, job).reason
                if reason is not None and reason.code == Reason.LEARNING:
                    return reason
        return None

    return ask


@shows(Reason.LEFT_TO_OTHERS)
async def left_to_others(grid: SimulatedGrid) -> Ask:
    ask, _ = await divided(grid)
    return ask


async def divided(grid: SimulatedGrid) -> tuple[Ask, Ask]:
    """Return how to ask for a job of three keepers, and for its tasks, at any."""
    ann, *others = await ann_and(grid, "bob", "eve", task=3.0)
    job = await ann.start_job(same, range(12))
    peers = [ann, *others]

    def first(found: list[ReasonFacts | None], reason: Reason) -> ReasonFacts | None:
        return next((one for one in found if one and one.code == reason), None)

    def tasks(reason: Reason) -> ReasonFacts | None:
        held = [why(peer, job.id, task).reason for peer in peers for task in range(12)]
        return first(held, reason)

    return (
        lambda: tasks(Reason.LEFT_TO_OTHERS),
        lambda: tasks(Reason.OTHER_KEEPER),
    )


@shows(Reason.OTHER_KEEPER)
async def other_keeper(grid: SimulatedGrid) -> Ask:
    _, ask = await divided(grid)
    return ask


@shows(Reason.NO_ARGUMENTS)
async def no_arguments(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", slots=1)
    return of_job(ann, open_job(ann, keepers=0).id)


@shows(Reason.NO_VOLUNTEER)
async def no_volunteer(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann")
    return of_job(ann, (await ann.submit(same, [1])).id)


@shows(Reason.NOT_TRUSTED)
async def not_trusted(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", trust_members=False)
    bob = await grid.add("bob", slots=1, bootstrap=[ann])
    await grid.until(lambda: bob.peer.volunteer.ready == 1, within=SOON)
    program = await ann.program()
    job = await program.submit(same, [1], policy=Policy(trusted=True))
    return of_job(ann, job.id)


@shows(Reason.NO_PYTHON)
async def no_python(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob")
    return of_job(ann, (await (await ann.program()).submit(newer(), [1])).id)


@shows(Reason.NO_PLATFORM)
async def no_platform(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob")
    program = await ann.program()
    job = await program.submit(same, [1], needs=Needs(platform="darwin"))
    return of_job(ann, job.id)


@shows(Reason.NO_PACKAGE)
async def no_package(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob")
    program = await ann.program()
    job = await program.submit(same, [1], needs=Needs(("numpy>=2",)))
    return of_job(ann, job.id)


@shows(Reason.NO_MEMORY)
async def no_memory(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob")
    program = await ann.program()
    job = await program.submit(same, [1], needs=Needs(memory=MOST_MEMORY))
    return of_job(ann, job.id)


@shows(Reason.NO_SANDBOX)
async def no_sandbox(grid: SimulatedGrid) -> Ask:
    """Even where every member is trusted, and so none is confined."""
    ann = await grid.add("ann", slots=1)
    ann.slots.finding = Finding(Level.WEAK, Confinement.WEAK, ())
    program = await ann.program()
    job = await program.submit(same, [1], needs=Needs(sandbox=True))
    return of_job(ann, job.id)


@shows(Reason.ALL_BUSY)
async def all_busy(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob")
    await ann.submit(same, [1])
    await running(grid, ann)
    return of_job(ann, (await ann.submit(same, [2])).id)


@shows(Reason.SUSPENDED)
async def suspended(grid: SimulatedGrid) -> Ask:
    played = Played()
    ann = await grid.add("ann")
    bob = await grid.add("bob", slots=1, bootstrap=[ann], sensors=played)
    bob.slots.cost = lambda _: LONG
    job = await ann.submit(same, [1])
    await running(grid, ann)
    played.on_battery = True
    await grid.until(
        lambda: (
            (found := why(ann, job.id).reason) is not None
            and found.code == Reason.SUSPENDED
        ),
        within=SOON,
    )
    return of_job(ann, job.id, 0)


@shows(Reason.STARTING)
async def starting(grid: SimulatedGrid) -> Ask:
    """Work has just come back, and somebody is free: it goes there in a moment."""
    ann, bob, eve = await ann_and(grid, "bob", "eve")
    job = await ann.submit(same, [1])
    await running(grid, ann)
    holder = bob if bob.peer.volunteer.busy else eve
    seen: list[ReasonFacts | None] = []

    def listen(event: object) -> None:
        if isinstance(event, TakenBack):
            seen.append(why(ann, job.id).reason)

    ann.listeners.append(listen)
    await holder.kill()
    return lambda: seen[0] if seen else None


# --- tasks --------------------------------------------------------------------------


@shows(Reason.NOT_SENT)
async def not_sent(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", slots=1)
    deposit = open_job(ann, keepers=0)
    append(deposit, range(5))
    return of_job(ann, deposit.id, 7)


@shows(Reason.ITS_TURN)
async def its_turn(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob")
    job = await ann.submit(same, range(99))
    await running(grid, ann)
    return of_job(ann, job.id, 98)


@shows(Reason.IN_LINE)
async def in_line(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob", task=0.2)
    job = await ann.submit(same, range(200))
    return of_granted(ann, job.id, Reason.IN_LINE)


@shows(Reason.REPORTING)
async def reporting(grid: SimulatedGrid) -> Ask:
    ann, _ = await ann_and(grid, "bob", task=0.4)
    job = await ann.submit(same, range(200))
    return of_granted(ann, job.id, Reason.REPORTING)


async def two_halves(
    grid: SimulatedGrid,
) -> tuple[SimulatedPeer, SimulatedPeer, PeerId, JobId]:
    """Return Ann, who has the first of two tasks, who has it, and the job."""
    ann, bob, eve = await ann_and(grid, "bob", "eve")
    job = await ann.submit(same, [0, 1])
    await running(grid, ann, 2)
    held = ann.peer.keeper.jobs[job.id].board.where(0).held
    assert held is not None
    holder = bob if held.volunteer == bob.id else eve
    return ann, holder, held.volunteer, job.id


@shows(Reason.RETRIED)
async def retried(grid: SimulatedGrid) -> Ask:
    ann, holder, _, job = await two_halves(grid)
    await holder.kill()
    return of_job(ann, job, 0)


@shows(Reason.ONE_AT_A_TIME)
async def one_at_a_time(grid: SimulatedGrid) -> Ask:
    ann, holder, _, job = await two_halves(grid)
    for slot in list(holder.slots.live):
        slot.die(9)
    return of_job(ann, job, 0)


# --- the test -----------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_occurs_and_says_since_when(
    virtual: VirtualTime, reason: Reason
) -> None:
    assert reason in STORIES, "tell a story in which this happens"

    async def main() -> None:
        async with SimulatedGrid(virtual.network(latency=(0.001, 0.01))) as grid:
            ask = await STORIES[reason](grid)

            def seen() -> bool:
                found = ask()
                return found is not None and found.code == reason

            await grid.until(seen, within=SOON)
            found = ask()
            if found is not None and found.code == reason:  # some last for a moment
                check(found, grid)

    virtual.run(main)


def check(reason: ReasonFacts, grid: SimulatedGrid) -> None:
    """Check that all is said that there is to say."""
    assert all((reason.text, reason.advice, reason.ends))
    assert 0 < reason.since <= grid.network.loop.wall() + 1
    assert sum(one.peers for one in reason.excluded) <= reason.peers


def test_no_story_is_told_in_vain() -> None:
    assert set(STORIES) == set(Reason)
