"""How faults are drawn: how often which kind, whom, and how hard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from p2pslinger.testing.chaos.faults import (
    TO_A_JOB,
    TO_A_MACHINE,
    TO_A_PEER,
    Fault,
    Kind,
)

#: How often each kind comes, compared with the others.
WEIGHTS = {
    Kind.POWER_CUT: 4,
    Kind.KILL: 4,
    Kind.LEAVE: 2,
    Kind.SLEEP: 3,
    Kind.CLOCK: 2,
    Kind.FULL_DISK: 2,
    Kind.SLOW_DISK: 2,
    Kind.SPLIT: 4,
    Kind.ONE_WAY: 2,
    Kind.LOSS: 2,
    Kind.REORDERING: 1,
    Kind.DELAY: 2,
    Kind.CANCEL: 1,
    Kind.FORGET: 2,
    Kind.PAUSE: 1,
    Kind.EXTEND: 1,
    Kind.TICKET: 1,
}

#: How many peers never come back, likewise.
GONE = {0: 3, 1: 5, 2: 2}

#: Share of what happens to a machine that happens to one which a job depends on.
AIMED = 0.4

#: Share of splits during which somebody does something to a job.
MEDDLED = 0.5

#: Seconds that a fault lasts: shortest and longest, short ones more often.
LASTS = (3.0, 400.0)

#: Seconds after its start in which people do something to a job.
PEOPLE = 600.0

#: A day, by which one clock may be off: seconds.
DAY = 86_400.0

#: How hard faults may be, in their own units.
AMOUNTS = {
    Kind.LOSS: (0.05, 0.4),
    Kind.REORDERING: (0.1, 0.8),
    Kind.DELAY: (2.0, 20.0),
    Kind.SLOW_DISK: (0.1, 3.0),
}


class Drawing:
    """Draws the faults of one trial, mostly such as can happen.

    Args:
        chance: Where luck comes from.
        names: The peers.
        jobs: When each job is submitted, seconds.
        span: From when until when there are faults, seconds.
    """

    def __init__(
        self,
        chance: Random,
        names: tuple[str, ...],
        jobs: Mapping[str, float],
        span: tuple[float, float],
    ) -> None:
        self._chance = chance
        self._names = names
        self._jobs = jobs
        self._span = span
        self._taken: dict[str, list[tuple[float, float]]] = {n: [] for n in names}

    def faults(self, count: int) -> list[Fault]:
        """Return some faults, in the order in which they begin."""
        chance = self._chance
        kinds = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
        (gone,) = chance.choices(list(GONE), list(GONE.values()))
        made = [self._fault(kind) for kind in kinds + gone * [Kind.GONE]]
        for split in [fault for fault in made if fault.kind is Kind.SPLIT]:
            if chance.random() < MEDDLED:
                kind = chance.choice((Kind.CANCEL, Kind.FORGET, Kind.EXTEND))
                made.append(self._meddling(kind, split))
        return sorted(made, key=lambda fault: fault.at)

    def _fault(self, kind: Kind) -> Fault:
        low, high = LASTS
        lasts = low * math.exp(self._chance.random() * math.log(high / low))
        at = self._chance.uniform(self._span[0], self._span[1] - lasts)
        if kind in TO_A_MACHINE:
            return self._to_a_machine(kind, at, lasts)
        if kind in TO_A_PEER:
            return self._to_a_peer(kind, at, lasts)
        if kind in TO_A_JOB:
            return self._to_a_job(kind, lasts)
        if kind in {Kind.SPLIT, Kind.ONE_WAY}:
            count = self._chance.randint(1, len(self._names) // 2)
            who = tuple(self._chance.sample(self._names, count))
            return Fault(at, kind, who, lasts)
        return Fault(at, kind, (), lasts, self._amount(kind))

    def _to_a_machine(self, kind: Kind, at: float, lasts: float) -> Fault:
        if kind is Kind.GONE:
            lasts = math.inf
        if self._chance.random() < AIMED:
            job = self._chance.choice(list(self._jobs))
            role = self._chance.choice(ROLES).format(job)
            at = max(at, self._jobs[job] + self._chance.uniform(0.0, PEOPLE))
            return Fault(at, kind, (role,), lasts)
        return Fault(at, kind, (self._free(at, at + lasts),), lasts)

    def _to_a_peer(self, kind: Kind, at: float, lasts: float) -> Fault:
        amount = self._amount(kind)
        if kind is Kind.CLOCK:
            amount = self._chance.choice((DAY, -DAY, 60.0, -60.0, 10.0))
        return Fault(at, kind, (self._chance.choice(self._names),), lasts, amount)

    def _to_a_job(self, kind: Kind, lasts: float) -> Fault:
        job = self._chance.choice(list(self._jobs))
        at = self._jobs[job] + self._chance.uniform(0.0, PEOPLE)
        if kind is Kind.TICKET:
            return Fault(at, kind, (job, self._chance.choice(self._names)), math.inf)
        if kind is not Kind.PAUSE:
            lasts = math.inf
        return Fault(at, kind, (job,), lasts, self._chance.randint(0, 9))

    def _meddling(self, kind: Kind, split: Fault) -> Fault:
        """Return what somebody does to a job while the grid is split."""
        job = self._chance.choice(list(self._jobs))
        at = self._chance.uniform(split.at, split.until)
        return Fault(at, kind, (job,), math.inf, self._chance.randint(0, 9))

    def _amount(self, kind: Kind) -> float:
        return self._chance.uniform(*AMOUNTS.get(kind, (0.0, 0.0)))

    def _free(self, at: float, until: float) -> str:
        """Choose a peer to which nothing of the kind happens in that time."""
        free = [
            name
            for name, taken in self._taken.items()
            if all(until < start or stop < at for start, stop in taken)
        ]
        name = self._chance.choice(free or list(self._names))
        self._taken[name].append((at, until))
        return name


#: Machines that a job depends on, by what they are to it.
ROLES = ("the submitter of {}", "keeper 0 of {}", "keeper 1 of {}", "keeper 2 of {}")
