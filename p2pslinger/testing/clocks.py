"""Machines' own clocks, which stand still while their machine sleeps.

1. Which machine's code runs is a context variable: tasks, timers and callbacks inherit
   it. What belongs to no machine (the network, a test) never sleeps.
2. While a machine sleeps nothing of it runs. Then it goes on where it was: its loop's
   time has not moved, and the clock on the wall has. So does a suspended Linux.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field

#: A timer in the loop's queue: when, in the world's seconds; a number; the timer.
Entry = tuple[float, int, asyncio.TimerHandle]


@dataclass(eq=False, slots=True)
class Clock:
    """One machine's clock.

    Attributes:
        asleep: Whether it stands still.
        slept: Seconds that it has stood still, all sleeps together.
        since: When the last sleep began, in the world's seconds.
        ready: Callbacks that wait for the machine to wake.
        timers: Its timers, likewise.
    """

    asleep: bool = False
    slept: float = 0.0
    since: float = 0.0
    ready: list[asyncio.Handle] = field(default_factory=list)
    timers: list[Entry] = field(default_factory=list)

    def shown(self, now: float) -> float:
        """Return what it shows when the world's time is `now`."""
        return now - self.slept

    def due(self, when: float) -> float:
        """Return the world's time at which it shows `when`, or just after."""
        due = when + self.slept
        while due - self.slept < when:  # or a timer would fire too early, for ever
            due = math.nextafter(due, math.inf)
        return due

    def stop(self, now: float, timers: Iterable[Entry]) -> None:
        """Fall asleep with these timers."""
        self.asleep, self.since = True, now
        self.timers.extend(timers)

    def go_on(self, now: float) -> tuple[list[asyncio.Handle], list[Entry]]:
        """Wake up; return what is ready and what is timed, for the loop to take."""
        rest = now - self.since
        self.asleep = False
        self.slept += rest
        ready, self.ready = self.ready, []
        timers, self.timers = self.timers, []
        return ready, [(when + rest, number, timer) for when, number, timer in timers]


#: The clock of the machine whose code runs; None outside of machines.
current: ContextVar[Clock | None] = ContextVar("current", default=None)


def clock_of(handle: asyncio.Handle) -> Clock | None:
    """Return the clock of the machine that a callback belongs to."""
    return handle._context.get(current)  # type: ignore[attr-defined, no-any-return]


def on_machine(clock: Clock) -> Context:
    """Return a context for what is to run on a machine."""
    context = copy_context()
    context.run(current.set, clock)
    return context
