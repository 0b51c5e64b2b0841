"""What a board is told of results, and what it counts of them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from p2pslinger.errors import PeerError
from p2pslinger.ids import PeerId
from p2pslinger.limits import SECONDS
from p2pslinger.rules.spans import Span


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
    #: Tasks that it has computed besides, as others did, whose answer was accepted.
    checks: int = 0

    def add(self, got: Delivery, tasks: int) -> None:
        """Count some of the tasks that were delivered."""
        self.tasks += tasks
        self.failures += min(tasks, got.failures)
        self.spent(got.cpu * tasks / (got.stop - got.start))

    def spent(self, cpu: float) -> None:
        """Count CPU seconds, whatever a peer claims: as many as a receipt can hold."""
        self.cpu = min(SECONDS, self.cpu + cpu)


def check(got: Delivery, granted: Span, mac: bytes) -> None:
    """Check that a delivery is what its grant allows.

    Args:
        got: The range.
        granted: The grant's own [start, stop), as the volunteer repeats it.
        mac: The MAC that goes with that.

    Raises:
        PeerError: nobody granted that, or the range lies outside of its grant.
    """
    start, stop = granted
    if not hmac.compare_digest(mac, got.mac):
        raise PeerError(f"delivered grant {got.grant}, which nobody gave it")
    if not start <= got.start < got.stop <= stop:
        raise PeerError(f"delivered tasks outside of its grant {got.grant}")
    if not got.lost and got.start != start:
        raise PeerError(f"delivered grant {got.grant} without its first tasks")
    if got.lost and got.stop != got.start + 1:
        raise PeerError("reported the death of a slot for more than one task")
    if got.failures > got.stop - got.start or (got.lost and not got.failures):
        raise PeerError(
            f"delivered {got.failures} failures of {got.stop - got.start} tasks"
        )
