"""The one interface behind which all sensors are."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

from p2pslinger.rules.permits import Facts


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be looked at: nothing is measured that nobody asks for.

    Attributes:
        power: Whether the machine runs on battery.
        input: When a key or a mouse was last touched.
        load: Above which part of all processors' time other programs are looked at
            one by one; None: load does not matter.
        own: Processor seconds that our processes have used so far, as far as known.
        programs: Processes whose use is not "other programs'", with their children.
    """

    power: bool = False
    input: bool = False
    load: float | None = None
    own: float = 0.0
    programs: Set[int] = frozenset()


class Sensors(Protocol):
    """What a machine can say about itself."""

    async def look(self, question: Question) -> Facts:
        """Answer a question; what can't be known is None."""

    def week(self, wall: float) -> float:
        """Return the local minute of the week, Monday 0:00 being 0."""

    def sources(self) -> dict[str, str]:
        """Return by what each thing was last measured, or why it could not be."""
