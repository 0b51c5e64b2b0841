"""How many tasks to grant at once, and for how long.

Guided self-scheduling (Polychronopoulos and Kuck, 1987): each grant takes a part of
what is left, so that ranges are long in the beginning and short in the end, when a long
one would leave the others waiting. A measured task time caps a range at about a second
of work. A slot stops at its time slice in any case and gives back what it has not
begun, so an estimate that is wrong costs one slice and not the job's end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2pslinger.limits import FIRST_SLICE, RANGE_SECONDS

#: A range takes at most this part of what is left, divided by the places that want it.
PART = 0.5

#: Seconds of work below which a range costs more to hand out than to compute.
WORTHWHILE = 0.004

#: Weight of a new measurement of the task time in the running mean.
NEW = 0.3

#: Task time, seconds, above which nothing is queued behind a running range: a queue
#: saves a network hop, and a free slot elsewhere would start the task sooner.
QUEUE_BELOW = 0.25


@dataclass(slots=True)
class Pace:
    """The measured time of one job's tasks.

    Attributes:
        seconds: Running mean of a task's wall time, or None before the first result.
    """

    seconds: float | None = None

    def measured(self, tasks: int, wall: float) -> None:
        """Take in a range: `tasks` tasks took `wall` seconds in one slot."""
        each = wall / tasks
        if self.seconds is None:
            self.seconds = each
        else:
            self.seconds += NEW * (each - self.seconds)

    @property
    def slice(self) -> float:
        """Seconds after which a slot reports."""
        return FIRST_SLICE if self.seconds is None else RANGE_SECONDS

    @property
    def may_queue(self) -> bool:
        """Tell whether a range may wait behind a running one."""
        return self.seconds is not None and self.seconds < QUEUE_BELOW

    def size(self, left: int, places: int) -> int:
        """Return how many of the `left` tasks to grant, `places` slots wanting some."""
        guided = math.ceil(left * PART / max(1, places))
        if self.seconds is None:
            return min(left, guided)
        each = max(self.seconds, 1e-9)
        most = max(1, int(RANGE_SECONDS / each))
        least = max(1, min(most, int(WORTHWHILE / each)))
        return min(left, most, max(least, guided))
