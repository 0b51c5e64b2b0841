"""The figures: what is measured of every contender, and in which order it is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        key: What a contestant calls it.
        title: What a reader is told.
        unit: Of its values.
        more_is_better: Or less.
    """

    key: str
    title: str
    unit: str
    more_is_better: bool = False

    def is_better(self, one: float, other: float) -> bool:
        """Return whether a value is better than another."""
        return one > other if self.more_is_better else one < other


FIGURES = (
    Figure("cold", "cold start: import to first result", "s"),
    Figure("p50", "one task, submit to result, p50", "ms"),
    Figure("p99", "one task, submit to result, p99", "ms"),
    Figure("submits", "5,000 single submits", "tasks/s", more_is_better=True),
    Figure("map", "map of 100,000 tasks that do nothing", "tasks/s", True),
    Figure("fractal", "fractal, against one process", "times", more_is_better=True),
    Figure("send", "64 MiB as an argument", "GB/s", more_is_better=True),
    Figure("fetch", "64 MiB as a result", "GB/s", more_is_better=True),
    Figure("memory", "memory of all processes (PSS)", "MB"),
    Figure("idle", "CPU of all processes when idle", "% of a core"),
)
