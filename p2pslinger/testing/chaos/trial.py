"""One trial: a plan is carried out, the weather clears up, and the grid is judged.

1. Peers start, jobs are submitted and faults happen, each at its time.
2. Then everything is mended, and the grid has a while to settle.
3. What it looks like after that, and what it says while nothing happens, is the
   evidence for the invariants.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random

from p2pslinger.errors import SlingerError
from p2pslinger.ids import to_text
from p2pslinger.testing import virtual
from p2pslinger.testing.chaos.evidence import Evidence
from p2pslinger.testing.chaos.faults import Fault
from p2pslinger.testing.chaos.invariants import complaints, is_settled
from p2pslinger.testing.chaos.people import Owners
from p2pslinger.testing.chaos.plans import LENGTH, Plan, plan
from p2pslinger.testing.chaos.replicas import Archive
from p2pslinger.testing.chaos.story import Story, written
from p2pslinger.testing.chaos.tasks import equip
from p2pslinger.testing.chaos.watching import audit, watch
from p2pslinger.testing.chaos.weather import Weather
from p2pslinger.testing.chaos.workload import Work
from p2pslinger.testing.grid import SimulatedGrid
from p2pslinger.testing.network import Network
from p2pslinger.testing.programs import Program
from p2pslinger.testing.signatures import checked_once

#: Seconds that a grid may take to settle: what has died is forgotten after ten minutes,
#: and a few slots may have all the work before them.
SETTLE = 3600.0

#: Seconds that are watched at the end, when there is nothing to say.
QUIET = 120.0

#: Seconds between two looks at whether the grid has settled.
LOOK = 20.0

#: Seconds in which the grid finds together again before people go on.
MEETING = 60.0

#: Machines on which each durable job is read in the end, and seconds that this takes:
#: until it is found, and then until all of it is there.
READERS, READING = 3, 30.0


@dataclass(frozen=True)
class Verdict:
    """What became of a trial.

    Attributes:
        seed: Which one.
        complaints: Invariants that do not hold, each in a sentence; none is good.
        story: What has happened, line by line.
        trace: Digest of all that was sent: the same for the same seed.
        faults: How many faults have really happened.
        tasks: How many tasks have an outcome.
        length: Virtual seconds.
    """

    seed: int
    complaints: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    trace: str = ""
    faults: int = 0
    tasks: int = 0
    length: float = 0.0


def judge(seed: int) -> Verdict:
    """Carry out the trial that follows from a seed."""
    trial, bugs = Trial(plan(seed)), Bugs()
    logger = logging.getLogger("p2pslinger")
    logger.addHandler(bugs)
    try:
        with checked_once():
            verdict = virtual.run(trial.run, seed=seed)
    except Exception as error:  # noqa: BLE001 - whatever breaks, the story is wanted
        shown = "".join(traceback.format_exception(error))
        verdict = Verdict(seed, [f"the trial has broken:\n{shown}"], trial.told())
    finally:
        logger.removeHandler(bugs)
    return replace(verdict, complaints=[*bugs.texts, *verdict.complaints])


class Bugs(logging.Handler):
    """What peers log as errors: bugs of their own that they have survived.

    Attributes:
        texts: Each of them once, with its traceback.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.texts[logging.Formatter().format(record)] = None


class Trial:
    """Carries out a plan.

    Args:
        plan: What is to happen.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._grid: SimulatedGrid
        self._story: Story
        self._works: dict[str, Work] = {}

    async def run(self) -> Verdict:
        """Return what came of it."""
        plan, loop = self._plan, virtual.current()
        self._story = Story(loop)
        async with SimulatedGrid(_network(plan)) as self._grid:
            await self._populate()
            archive = Archive(self._grid)
            people = Owners(self._grid, self._works, archive)
            weather = Weather(self._grid, plan, self._story, people)
            evidence = Evidence(plan, self._grid, self._works, archive, weather.is_gone)
            audit(evidence)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(watch(evidence))]
                tasks += [
                    group.create_task(self._submit(w)) for w in self._works.values()
                ]
                await self._suffer(weather)
                await self._calm_down(evidence)
                for task in tasks:
                    task.cancel()
            return Verdict(
                plan.seed,
                list(complaints(evidence)),
                self.told(),
                self._grid.network.trace,
                weather.happened,
                sum(work.plan.tasks for work in self._works.values() if work.job),
                loop.now,
            )

    def told(self) -> list[str]:
        """Return the story so far."""
        jobs: dict[bytes, str] = {
            work.job.id: name for name, work in self._works.items() if work.job
        }
        return written(self._story.lines, self._grid.peers.values(), jobs)

    async def _populate(self) -> None:
        plan, first = self._plan, self._plan.peers[0].name
        for one in plan.peers:
            boot = [] if one.name == first else [self._grid.peers[first]]
            peer = await self._grid.add(
                one.name,
                slots=one.slots,
                bootstrap=boot,
                skew=one.skew,
                every_id_counts=True,
            )
            equip(peer, plan.seed, plan.task)
        for job in plan.jobs:
            self._works[job.name] = Work(job, self._grid, self._story)

    async def _submit(self, work: Work) -> None:
        await _sleep_until(work.plan.at)
        if work.find_place():
            await work.submit()

    async def _suffer(self, weather: Weather) -> None:
        """Let every fault begin and end at its time, then mend everything."""
        timeline: list[tuple[float, Callable[[Fault], Awaitable[None]], Fault]] = []
        for fault in self._plan.faults:
            if fault.at < LENGTH:
                timeline.append((fault.at, weather.begin, fault))
            if fault.until < LENGTH:
                timeline.append((fault.until, weather.end, fault))
        for when, happen, fault in sorted(timeline, key=lambda one: one[0]):
            await _sleep_until(when)
            await happen(fault)
        await _sleep_until(LENGTH)
        self._story.tell("everything is mended")
        await weather.clear()

    async def _calm_down(self, evidence: Evidence) -> None:
        """Let the grid settle; see what programs are shown, and what is said then."""
        await asyncio.sleep(MEETING)
        for work in self._works.values():
            if "pause" in work.ordered:
                await work.resume()
        try:
            await self._grid.until(
                lambda: is_settled(evidence), within=SETTLE, every=LOOK
            )
            self._story.tell("the grid has settled")
        except TimeoutError:
            self._story.tell("the grid does not settle")
        await self._read(evidence)
        before = evidence.packets()
        await asyncio.sleep(QUIET)
        for name, packets in evidence.packets().items():
            evidence.quiet[name] = (packets - before[name]) * 60 / QUIET

    async def _read(self, evidence: Evidence) -> None:
        """Have programs on some machines read the durable jobs."""
        chance = Random(f"readers of chaos {self._plan.seed}")
        programs: list[Program] = []
        for work, job, _ in evidence.durable():
            if not evidence.is_owed(work):
                continue
            for peer in chance.sample(evidence.alive(), READERS):
                programs.append(await peer.program())
                try:
                    async with asyncio.timeout(READING):
                        shown = await programs[-1].attach(to_text(job))
                except (SlingerError, TimeoutError) as error:
                    said = f"{peer.name} can't read {work}: {error!r}"
                    evidence.seen[said] = None
                else:
                    evidence.readers[work.plan.name, peer.name] = shown
        await asyncio.sleep(READING)
        for program in programs:
            program.close()


def _network(plan: Plan) -> Network:
    return Network(
        virtual.current(),
        Random(f"network of chaos {plan.seed}"),
        latency=plan.latency,
        loss=plan.loss,
        duplication=plan.duplication,
        reordering=plan.reordering,
    )


async def _sleep_until(when: float) -> None:
    await asyncio.sleep(max(0.0, when - virtual.current().now))
