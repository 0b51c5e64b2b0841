"""Plans: what a seed chooses before anything runs. The same seed, the same plan.

Sizes follow what has to be shown: at least 12 peers, 3 jobs, 200 tasks, 10 faults and
30 minutes of the grid's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from p2pslinger.testing.chaos.drawing import Drawing
from p2pslinger.testing.chaos.faults import Fault

#: Who may be in a grid. The first is whom the others join by.
NAMES = (
    *("ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hana"),
    *("ivo", "jun", "kim", "lea", "max", "nora", "otto", "pia"),
)

#: Seconds of a trial before the weather clears up.
LENGTH = 1800.0

#: Seconds in which the grid finds together, before the first job and the first fault.
CALM = 30.0

PEERS, JOBS, FAULTS = (12, 13), 3, (18, 28)

#: Tasks of one job.
TASKS = (70, 96)

#: Keepers that a durable job asks for, besides its submitter's peer; two most often.
KEEPERS = (1, 2, 2, 2, 3)

#: Share of jobs that are durable.
DURABLE = 0.75

#: How durable jobs have their results checked: never, by reputation, each by two.
REPLICATE = (0, 0, 1, 1, 2)

#: Slots of a peer, and seconds that its clock may be wrong.
SLOTS, SKEW = (0, 1, 1, 1, 2), 60.0

#: Seconds that a task takes, least and most: so that jobs outlast several faults.
TASK_TIMES = ((0.5, 20.0), (5.0, 60.0), (20.0, 80.0))

#: One-way delays, lowest and highest, seconds: of a LAN, of a country, of the world.
LATENCIES = ((0.0002, 0.002), (0.005, 0.03), (0.01, 0.15))


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """One peer: how many slots it has, and how far its clock is ahead, seconds."""

    name: str
    slots: int
    skew: float


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job.

    Attributes:
        number: Which one.
        at: When it is submitted, seconds after the start.
        submitter: Where.
        tasks: How many.
        durable: Whether it outlives its program.
        keepers: Keepers that it asks for if so.
        replicate: How many peers compute each task (`Policy.replicate`).
    """

    number: int
    at: float
    submitter: str
    tasks: int
    durable: bool
    keepers: int
    replicate: int

    @property
    def name(self) -> str:
        """What people call it."""
        return f"job {self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One trial.

    Attributes:
        seed: What it follows from.
        peers: Who takes part; the others join by the first.
        jobs: What there is to do.
        faults: What happens, in order.
        latency: One-way delays of the network, seconds.
        loss: Share of packets that get lost all the time.
        duplication: Share of datagrams that come twice.
        reordering: Share of datagrams that are overtaken.
        task: Seconds that a task takes: least and most.
    """

    seed: int
    peers: tuple[PeerPlan, ...]
    jobs: tuple[JobPlan, ...]
    faults: tuple[Fault, ...]
    latency: tuple[float, float]
    loss: float
    duplication: float
    reordering: float
    task: tuple[float, float]


def plan(seed: int) -> Plan:
    """Choose a trial."""
    chance = Random(f"chaos {seed}")
    names = NAMES[: chance.randint(*PEERS)]
    checks = Random(f"checks of chaos {seed}")  # a source of its own: it came later
    jobs = tuple(_job(chance, number, names, checks) for number in range(1, JOBS + 1))
    drawing = Drawing(chance, names, {job.name: job.at for job in jobs}, (CALM, LENGTH))
    return Plan(
        seed,
        tuple(_peer(chance, name) for name in names),
        jobs,
        tuple(drawing.faults(chance.randint(*FAULTS))),
        chance.choice(LATENCIES),
        chance.choice((0.0, 0.0, 0.01, 0.05)),
        chance.choice((0.0, 0.02)),
        chance.choice((0.0, 0.1)),
        chance.choice(TASK_TIMES),
    )


def _peer(chance: Random, name: str) -> PeerPlan:
    return PeerPlan(name, chance.choice(SLOTS), chance.uniform(-SKEW, SKEW))


def _job(
    chance: Random, number: int, names: tuple[str, ...], checks: Random
) -> JobPlan:
    at = chance.uniform(CALM, LENGTH / 3)
    submitter, tasks = chance.choice(names), chance.randint(*TASKS)
    durable, keepers = chance.random() < DURABLE, chance.choice(KEEPERS)
    replicate = checks.choice(REPLICATE) if durable else 0
    return JobPlan(number, at, submitter, tasks, durable, keepers, replicate)
