"""How peers come to wait, told on simulated machines; and what such stories need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from p2pslinger.client.packing import FunctionPackage, pack_function
from p2pslinger.errors import UnavailableError
from p2pslinger.ids import JobId, to_text
from p2pslinger.limits import MOST_MEMORY
from p2pslinger.rules.hours import read_hours
from p2pslinger.rules.preferences import DEFAULTS, UNTIL_RESUMED, Preferences
from p2pslinger.rules.reasons import Reason
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programs import ProgramJob
from p2pslinger.testing.sensors import Played
from p2pslinger.testing.slots import InlineSlots
from p2pslinger.wire.facts import ReasonFacts, WhyFacts
from p2pslinger.wire.needs import Needs

#: Virtual seconds within which a story's wait begins.
SOON = 60.0

#: A task that lasts.
LONG = 1000.0

Ask = Callable[[], ReasonFacts | None]
Story = Callable[[SimulatedGrid], Awaitable[Ask]]

STORIES: dict[Reason, Story] = {}


def shows(reason: Reason) -> Callable[[Story], Story]:
    """Note which reason a story ends with."""

    def noted(story: Story) -> Story:
        STORIES[reason] = story
        return story

    return noted


def same(x: int) -> int:
    return x


# --- what stories ask ---------------------------------------------------------------


def of_peer(peer: SimulatedPeer) -> Ask:
    return lambda: peer.peer.explaining.state().reason


def of_job(peer: SimulatedPeer, job: JobId, task: int | None = None) -> Ask:
    return lambda: why(peer, job, task).reason


def why(peer: SimulatedPeer, job: JobId, task: int | None = None) -> WhyFacts:
    return peer.peer.jobreports.why(to_text(job), task)


def of_granted(peer: SimulatedPeer, job: JobId, reason: Reason) -> Ask:
    """Ask for all tasks that somebody has; return the one that waits for this."""

    def ask() -> ReasonFacts | None:
        kept = peer.peer.keeper.jobs.get(job)
        live = kept.board.live() if kept is not None else []
        tasks = [task for held in live for task in range(held.start, held.stop)]
        found = [why(peer, job, task).reason for task in tasks]
        return next((one for one in found if one and one.code == reason), None)

    return ask


# --- who takes part -----------------------------------------------------------------


async def ann_and(
    grid: SimulatedGrid, *names: str, slots: int = 1, task: float = LONG
) -> list[SimulatedPeer]:
    """Start Ann, who has no slots, and others, whose tasks last."""
    ann = await grid.add("ann")
    others = [await grid.add(name, slots=slots, bootstrap=[ann]) for name in names]
    for peer in others:
        peer.slots.cost = lambda _: task
    await grid.until(lambda: len(ann.peer.links.open) == len(names), within=SOON)
    await grid.until(
        lambda: all(one.peer.volunteer.ready == slots for one in others), within=SOON
    )
    return [ann, *others]


async def running(grid: SimulatedGrid, peer: SimulatedPeer, tasks: int = 1) -> None:
    """Wait until tasks of a peer's jobs are computed."""
    jobs = peer.peer.keeper.jobs
    await grid.until(
        lambda: sum(job.board.running for job in jobs.values()) >= tasks, within=SOON
    )


def newer() -> FunctionPackage:
    """Return a function that was packed with a Python that nobody has."""
    return replace(pack_function(same), python=(3, 99))


# --- peers --------------------------------------------------------------------------


@shows(Reason.NO_SLOTS)
async def no_slots(grid: SimulatedGrid) -> Ask:
    return of_peer(await grid.add("ann"))


@shows(Reason.SLOTS_STARTING)
async def slots_starting(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", slots=1)
    for slot in list(ann.slots.live):
        slot.die(9)
    return of_peer(ann)


class NoSlots(InlineSlots):
    """A machine that is out of processes."""

    async def slot(self, *_: object, **__: object) -> InlineSlots:  # type: ignore[override]
        raise UnavailableError("no slot: this machine is out of processes")


@shows(Reason.SLOTS_BROKEN)
async def slots_broken(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", slots=1)
    await ann.kill()
    ann.slots = NoSlots(grid.network.loop)
    await ann.restart()
    return of_peer(ann)


@shows(Reason.FETCHING)
async def fetching(grid: SimulatedGrid) -> Ask:
    ann, bob = await ann_and(grid, "bob")
    big = "x" * 4_000_000
    program = await ann.program()
    await program.submit(same, [big])
    return of_peer(bob)


@shows(Reason.ALONE)
async def alone(grid: SimulatedGrid) -> Ask:
    return of_peer(await grid.add("ann", slots=1))


@shows(Reason.NO_WORK)
async def no_work(grid: SimulatedGrid) -> Ask:
    _, bob = await ann_and(grid, "bob")
    return of_peer(bob)


@shows(Reason.ALL_TAKEN)
async def all_taken(grid: SimulatedGrid) -> Ask:
    ann, bob, eve = await ann_and(grid, "bob", "eve")
    await ann.submit(same, [1])
    await running(grid, ann)
    idle = eve if bob.peer.volunteer.busy else bob
    return of_peer(idle)


@shows(Reason.JOBS_PAUSED)
async def jobs_paused(grid: SimulatedGrid) -> Ask:
    ann = await grid.add("ann", slots=1)
    await paused_job(ann)
    return of_peer(ann)


async def paused_job(ann: SimulatedPeer) -> ProgramJob:
    program = await ann.program()
    job = await program.start(newer(), [1], keepers=0)
    await program.change(to_text(job.id), "pause")
    return job


class Slow(InlineSlots):
    """A machine that takes its time to find out how well it confines tasks."""

    async def probe(self) -> Finding:
        await asyncio.sleep(LONG)
        return self.finding


class Weak(InlineSlots):
    """A machine that confines nothing."""

    async def probe(self) -> Finding:
        return Finding(Level.NONE, None, ())


async def unconfined(grid: SimulatedGrid, kind: type[InlineSlots]) -> Ask:
    ann = await grid.add("ann")
    bob = await grid.add("bob", slots=1, bootstrap=[ann], trust_members=False)
    await bob.kill()
    bob.slots = kind(grid.network.loop)
    await bob.restart()
    await ann.submit(same, [1])
    return of_peer(bob)


@shows(Reason.SANDBOX_TOO_WEAK)
async def too_weak(grid: SimulatedGrid) -> Ask:
    return await unconfined(grid, Weak)


@shows(Reason.PROBING)
async def probing(grid: SimulatedGrid) -> Ask:
    return await unconfined(grid, Slow)


@shows(Reason.OTHER_PYTHON)
async def other_python(grid: SimulatedGrid) -> Ask:
    ann, bob = await ann_and(grid, "bob")
    await (await ann.program()).submit(newer(), [1])
    return of_peer(bob)


@shows(Reason.OTHER_PLATFORM)
async def other_platform(grid: SimulatedGrid) -> Ask:
    ann, bob = await ann_and(grid, "bob")
    await (await ann.program()).submit(same, [1], needs=Needs(platform="darwin"))
    return of_peer(bob)


@shows(Reason.LACKS_PACKAGE)
async def lacks_package(grid: SimulatedGrid) -> Ask:
    ann, bob = await ann_and(grid, "bob")
    bob.interpreters.packages = {"numpy": "1.26"}
    await (await ann.program()).submit(same, [1], needs=Needs(("numpy>=2",)))
    return of_peer(bob)


@shows(Reason.LESS_MEMORY)
async def less_memory(grid: SimulatedGrid) -> Ask:
    ann, bob = await ann_and(grid, "bob")
    needs = Needs(memory=MOST_MEMORY)
    await (await ann.program()).submit(same, [1], needs=needs)
    return of_peer(bob)


@shows(Reason.KEEPER_AWAY)
async def keeper_away(grid: SimulatedGrid) -> Ask:
    ann, bob = await ann_and(grid, "bob")
    await ann.submit(same, [1, 2])
    await running(grid, ann)
    await ann.crash()
    return of_peer(bob)


# --- preferences --------------------------------------------------------------------


async def with_wishes(
    grid: SimulatedGrid, wishes: Preferences, played: Played | None = None
) -> Ask:
    """Return how to ask Bob, who has an owner, while Ann has work for others."""
    ann = await grid.add("ann")
    sensors = played or Played()
    bob = await grid.add("bob", slots=1, bootstrap=[ann], sensors=sensors)
    bob.slots.cost = lambda _: LONG
    bob.wishes.preferences = wishes
    await ann.submit(same, [1, 2])
    return of_peer(bob)


@shows(Reason.DISABLED)
async def disabled(grid: SimulatedGrid) -> Ask:
    return await with_wishes(grid, replace(DEFAULTS, enabled=False))


@shows(Reason.PAUSED)
async def paused(grid: SimulatedGrid) -> Ask:
    return await with_wishes(grid, replace(DEFAULTS, paused_until=UNTIL_RESUMED))


@shows(Reason.OUT_OF_HOURS)
async def out_of_hours(grid: SimulatedGrid) -> Ask:
    week = Played().week(grid.network.loop.wall())
    hours = read_hours("Mon 3:00-3:01" if week > 1000 else "Sat 3:00-3:01")
    return await with_wishes(grid, replace(DEFAULTS, hours=hours), Played())


@shows(Reason.ON_BATTERY)
async def on_battery(grid: SimulatedGrid) -> Ask:
    return await with_wishes(grid, DEFAULTS, Played(on_battery=True))


@shows(Reason.IN_USE)
async def in_use(grid: SimulatedGrid) -> Ask:
    return await with_wishes(grid, replace(DEFAULTS, when_idle=True), Played(idle=1.0))


@shows(Reason.FOREIGN_LOAD)
async def foreign_load(grid: SimulatedGrid) -> Ask:
    return await with_wishes(grid, DEFAULTS, Played(load=0.9, program="make"))
