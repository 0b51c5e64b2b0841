"""How a started job is to be kept: by how many, for how long, before which others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from p2pslinger import limits
from p2pslinger.errors import UsageError

#: Keepers besides the submitter's peer, if the program does not say: with them, two of
#: three machines may be lost.
KEEPERS = 2

#: Seconds in which so many should have taken a new job.
KEPT_WITHIN = 10.0

#: Seconds that the peer may be late with its answer to that.
MARGIN = 30.0

#: Priorities that a job may have, lowest and highest.
PRIORITIES = (-100, 100)

#: Longest time that a job may be kept, seconds: 30 years.
LONGEST = 1e9


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a program wants of its job's keepers.

    Attributes:
        keepers: How many, besides this machine's peer.
        seconds: How long the job is kept, or None for the default.
        priority: Higher first among this machine's jobs.

    Raises:
        UsageError: one of them is out of bounds.
    """

    keepers: int = KEEPERS
    seconds: float | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.keepers < limits.KEEPERS:
            raise UsageError(
                f"a job can't have {self.keepers} keepers besides this machine's peer: "
                f"ask for 0 to {limits.KEEPERS - 1}"
            )
        if self.seconds is not None:
            seconds_of(self.seconds)
        check_priority(self.priority)


def seconds_of(span: float | timedelta) -> float:
    """Return how long a job is to be kept, in seconds.

    Raises:
        UsageError: it is no time, or more than 30 years.
    """
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if not 0 < seconds <= LONGEST:
        raise UsageError(
            f"a job can't be kept for {seconds:g} s: ask for more than 0 s, and at "
            "most 30 years"
        )
    return seconds


def check_priority(priority: int) -> int:
    """Return a priority that a job may have.

    Raises:
        UsageError: it is out of bounds.
    """
    low, high = PRIORITIES
    if not low <= priority <= high:
        raise UsageError(f"priority {priority} is not in the range {low} to {high}")
    return priority
