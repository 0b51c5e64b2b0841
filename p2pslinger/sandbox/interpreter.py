"""One interpreter that slots can be of."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One CPython.

    Attributes:
        path: What to run.
        python: Its minor version, as "3.12".
        places: The folders and files that it needs to read.
    """

    path: str
    python: str
    places: tuple[str, ...] = field(default=(), compare=False)
