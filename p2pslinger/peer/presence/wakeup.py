"""Waking up: what a machine learns about itself only by looking now and then.

1. The monotonic clock stands still while a machine sleeps, the clock on the wall does
   not. Where it goes on, the look that was due comes late. A process that was stopped
   sees the same, and so does one whose clock was set: who depends on time starts over.
2. A machine that has moved has other addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: Seconds between two looks.
LOOK = 5.0

#: Seconds that the clocks may drift apart between two looks: far more than NTP slews,
#: far less than it takes for others to give a silent peer up.
JUMP = 3.0

#: Seconds that a look may be late: a machine so busy holds no lease any more.
LATE = 30.0


class Wakeup:
    """Watches both clocks, and the addresses.

    Args:
        mono: The monotonic clock, seconds.
        wall: The clock on the wall, seconds since the epoch.
        addresses: Gives this machine's own addresses.
        woke: Called after a jump between the clocks, with its seconds; those are
            negative if the clock on the wall was set back.
        moved: Called when the addresses have changed.
    """

    def __init__(
        self,
        *,
        mono: Callable[[], float],
        wall: Callable[[], float],
        addresses: Callable[[], list[str]],
        woke: Callable[[float], None],
        moved: Callable[[], None],
    ) -> None:
        self._mono = mono
        self._wall = wall
        self._addresses = addresses
        self._woke = woke
        self._moved = moved
        self._seen = self._mono(), self._wall()
        self._here = frozenset(addresses())

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def look(self) -> None:
        """See whether anything has happened since the last look, and tell."""
        jump = self._jump()
        if jump:
            self._woke(jump)
        here = frozenset(self._addresses())
        if here != self._here:
            self._here = here
            self._moved()

    def _jump(self) -> float:
        """Return the seconds that one clock has gone without the other, or 0."""
        (mono, wall), self._seen = self._seen, (self._mono(), self._wall())
        passed = self._seen[0] - mono
        apart = self._seen[1] - wall - passed
        if abs(apart) > JUMP:
            return apart
        return passed - LOOK if passed - LOOK > LATE else 0.0
