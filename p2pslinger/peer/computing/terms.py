"""On what terms a peer computes."""

from __future__ import annotations

from dataclasses import dataclass

from p2pslinger.ids import GridId
from p2pslinger.wire.needs import Offer


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms this peer computes.

    Attributes:
        grid: Which grid.
        host: This machine's name, for failures.
        offer: What its slots can be, to begin with.
        slots: How many.
        memory: Bytes each may use.
        memory_share: Part of the machine's memory that all of them together may use.
    """

    grid: GridId
    host: str
    offer: Offer
    slots: int
    memory: int
    memory_share: float = 0.5
