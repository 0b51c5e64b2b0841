"""Outcomes: what came of measuring a contender, once or several times."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Outcome:
    """What one run found.

    Attributes:
        figures: By their keys.
        why: Why there are none.
        version: Of what was measured.
    """

    figures: dict[str, float]
    why: str
    version: str


def values(outcomes: Sequence[Outcome], key: str) -> list[float]:
    """Return the values of one figure in all runs that have it."""
    return [one.figures[key] for one in outcomes if key in one.figures]


def middle(outcomes: Sequence[Outcome], key: str) -> float | None:
    """Return a figure's median, if it was measured."""
    found = values(outcomes, key)
    return statistics.median(found) if found else None


def number(value: float) -> str:
    """Write a number with three digits that mean something."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
