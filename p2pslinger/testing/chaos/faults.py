"""What may befall a grid: a fault is a value that says what, whom, when, how long."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens."""

    POWER_CUT = "loses power"
    KILL = "is killed with -9"
    LEAVE = "leaves politely"
    GONE = "is gone for good"
    SLEEP = "falls asleep"
    CLOCK = "has its clock moved"
    FULL_DISK = "has a full disk"
    SLOW_DISK = "has a slow disk"
    SPLIT = "can't reach the others"
    ONE_WAY = "can't be heard by the others"
    LOSS = "packets get lost"
    REORDERING = "datagrams overtake each other and come twice"
    DELAY = "packets are slow"
    CANCEL = "is cancelled"
    FORGET = "is to be forgotten"
    PAUSE = "is paused"
    EXTEND = "is to be kept for longer"
    TICKET = "gets an owner more"


#: What ends a peer's process or freezes it: one at a time on each peer.
TO_A_MACHINE = frozenset({Kind.POWER_CUT, Kind.KILL, Kind.LEAVE, Kind.GONE, Kind.SLEEP})

#: What happens to one peer that goes on running.
TO_A_PEER = frozenset({Kind.CLOCK, Kind.FULL_DISK, Kind.SLOW_DISK})

#: What happens between peers, to `who` or to all.
TO_THE_NETWORK = frozenset(
    {Kind.SPLIT, Kind.ONE_WAY, Kind.LOSS, Kind.REORDERING, Kind.DELAY}
)

#: What people do to a job; what they do to durable ones alone.
TO_A_JOB = frozenset({Kind.CANCEL, Kind.FORGET, Kind.PAUSE, Kind.EXTEND, Kind.TICKET})
TO_A_DURABLE_JOB = TO_A_JOB - {Kind.CANCEL}

_UNITS = {
    Kind.CLOCK: " by {:+,.0f} s",
    Kind.LOSS: ": {:.0%}",
    Kind.REORDERING: ": {:.0%}",
    Kind.DELAY: ": {:.1f} times as long",
    Kind.SLOW_DISK: ": {:.1f} s a write",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: Seconds after the start of the trial.
        kind: What happens.
        who: Names of peers, or of a job; nobody for what happens to all. A role like
            "keeper 1 of job 2" is whoever has it when the time comes.
        lasts: Seconds until it is undone; infinite for what never is.
        amount: How much of it, in the kind's own unit; of what people do to a job,
            which of its owners does it.
    """

    at: float
    kind: Kind
    who: tuple[str, ...] = ()
    lasts: float = 0.0
    amount: float = 0.0

    @property
    def until(self) -> float:
        """When it is undone."""
        return self.at + self.lasts

    def __str__(self) -> str:
        if self.kind is Kind.TICKET:
            return f"{self.who[0]} {self.kind}: {self.who[1]}"
        text = f"{', '.join(self.who)} {self.kind}".strip()
        return text + _UNITS.get(self.kind, "").format(self.amount)
