"""On what terms a peer computes."""

from __future__ import annotations

from dataclasses import dataclass

from p2pslinger.ids import GridId


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms this peer computes.

    Attributes:
        grid: Which grid.
        host: This machine's name, for failures.
        pythons: Minor versions that its slots are.
        slots: How many.
        memory: Bytes each may use.
    """

    grid: GridId
    host: str
    pythons: tuple[str, ...]
    slots: int
    memory: int
