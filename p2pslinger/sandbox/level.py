"""How well a machine can confine slots: levels, and what a probe has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from p2pslinger.sandbox.confine.confinement import Confinement

#: What has never been run, wherever it may be.
UNTESTED = (
    "the seccomp filter on aarch64",
    "macOS and Windows",
    "kernels with Landlock older than version 7",
    "bubblewrap other than 0.8",
    "control groups of version 2",
    "on a real desktop, the sensors for battery, GNOME and logind",
)


class Level(StrEnum):
    """How well a machine confines slots, as peers tell each other."""

    NONE = "none"
    WEAK = "weak"
    GOOD = "good"
    STRONG = "strong"

    def reaches(self, required: Level) -> bool:
        """Tell whether this level is as good as another."""
        order = list(Level)
        return order.index(self) >= order.index(required)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the probe has found.

    Attributes:
        level: The level.
        confinement: How to confine slots for others, or None if there can't be any.
        missing: For each stronger level, what it lacks here.
        possible: At level weak, what a task can do all the same.
    """

    level: Level
    confinement: Confinement | None
    missing: tuple[str, ...]
    possible: tuple[str, ...] = ()
