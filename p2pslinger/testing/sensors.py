"""A machine whose owner a test plays: it is unplugged, used and loaded on demand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from p2pslinger.rules.hours import WEEK
from p2pslinger.rules.permits import Facts
from p2pslinger.sandbox.sensors.sensor import Question

#: Monday, 0:00 UTC, of some week: what `week` counts from.
MONDAY = 1_704_067_200.0


@dataclass
class Played:
    """Implements `p2pslinger.sandbox.sensors.sensor.Sensors`, for a test to change.

    Attributes:
        on_battery: See `Facts`.
        idle: Likewise.
        load: Likewise.
        program: Who makes the load.
        asked: What was asked last.
        looks: How often anything was.
    """

    on_battery: bool | None = False
    idle: float | None = 3600.0
    load: float | None = 0.0
    program: str = ""
    asked: Question = field(default_factory=Question)
    looks: int = 0
    _last: float = 0.0

    async def look(self, question: Question) -> Facts:
        """Answer what is asked, and nothing else."""
        self.asked = question
        self.looks += 1
        now = asyncio.get_running_loop().time()
        lately, self._last = now - self._last, now
        facts = Facts(
            self.on_battery if question.power else None,
            self.idle if question.input else None,
        )
        if question.load is None or self.load is None:
            return facts
        named = self.program if self.load > question.load else ""
        most = self.load if named else 0.0
        return replace(
            facts,
            load=self.load,
            lately=min(lately, 2.0),
            program=named,
            program_load=most,
        )

    def week(self, wall: float) -> float:
        """Return the minute of the week in UTC."""
        return (wall - MONDAY) / 60 % WEEK

    def sources(self) -> dict[str, str]:
        """Return that a test says it."""
        return {"power": "a test", "input": "a test", "load": "a test"}
