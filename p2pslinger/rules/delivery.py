"""What a board is told of results, and what it counts of them."""

from __future__ import annotations

from dataclasses import dataclass

from p2pslinger.ids import PeerId


@dataclass(frozen=True, slots=True)
class Delivery:
    """One range of results, without its values.

    Attributes:
        volunteer: Who computed and signed it.
        grant: Number of the grant.
        mac: Its MAC, over the grant's own [granted_start, granted_stop).
        start: First task.
        stop: One after the last that was computed.
        failures: How many of them failed.
        lost: The slot died at `start`, the only task of this range, and its failure.
        final: Another try would end the same way (a time-out): do not retry.
        wall: Seconds they took.
        cpu: CPU seconds they took.
    """

    volunteer: PeerId
    grant: int
    mac: bytes
    start: int
    stop: int
    failures: int = 0
    lost: bool = False
    final: bool = False
    wall: float = 0.0
    cpu: float = 0.0


@dataclass(slots=True)
class Credit:
    """What one volunteer has done for the job."""

    tasks: int = 0
    failures: int = 0
    cpu: float = 0.0
