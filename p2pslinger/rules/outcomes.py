"""Which result counts, task by task: a function of what is known, in any order.

1. What the job key has accepted; where it contradicts itself, the batch with the lowest
   id.
2. Else, of the results that are no lost tries, the batch with the lowest id.
3. Else, once a task was lost as often as it may be tried, the lowest of those.

Whom the job key has excluded has a part in the first of these only.

So all who know the same records show the same outcomes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from p2pslinger.ids import PeerId
from p2pslinger.limits import ATTEMPTS
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.spans import Spans
from p2pslinger.wire.records import Accepted


@dataclass(frozen=True, slots=True)
class Range:
    """One range of results, without its values.

    Attributes:
        batch: Id of the signed batch that holds it.
        place: Which of the batch's ranges it is.
        volunteer: Who computed and signed it.
        start: First task.
        stop: One after the last.
        failures: Tasks among them that failed.
        lost: A slot died at `start`, its only task.
        final: Another try would end the same way.
        grant: Number of the grant.
        granted: The grant's own first task and one after its last.
        mac: The grant's MAC.
        wall: Seconds that they took.
        cpu: CPU seconds.
        blob: Digest of the values if they are a blob, else empty.
        size: Bytes of the values.
    """

    batch: bytes
    place: int
    volunteer: PeerId
    start: int
    stop: int
    failures: int
    lost: bool
    final: bool
    grant: int
    granted: tuple[int, int]
    mac: bytes
    wall: float
    cpu: float
    blob: bytes
    size: int

    @property
    def delivery(self) -> Delivery:
        """The range in the board's words."""
        return Delivery(
            self.volunteer,
            self.grant,
            self.mac,
            self.start,
            self.stop,
            self.failures,
            self.lost,
            self.final,
            self.wall,
            self.cpu,
        )


class Outcome(NamedTuple):
    """The tasks [start, stop) have the outcome that a range holds."""

    start: int
    stop: int
    range: Range
    accepted: bool


def outcomes(
    batches: Mapping[bytes, Sequence[Range]],
    accepted: Iterable[Accepted],
    *,
    attempts: int = ATTEMPTS,
    excluded: Set[PeerId] = frozenset(),
) -> list[Outcome]:
    """Return the outcome of every task that has one, in the order of tasks.

    Args:
        batches: All results that are known, by the id of their batch.
        accepted: What the job key has accepted. What it has accepted of a batch that
            is not known yet has no outcome here, and no other one either.
        attempts: Tries of a task that kills its process.
        excluded: Volunteers whose results do not count unless they were accepted.
    """
    settled = Spans()
    found: list[Outcome] = []
    for what in sorted(accepted, key=lambda one: (one.batch, one.start, one.stop)):
        for low, high in settled.add(what.start, what.stop):
            found += _within(batches.get(what.batch, ()), low, high)
    count = {
        batch: [one for one in batches[batch] if one.volunteer not in excluded]
        for batch in sorted(batches)
    }
    for ranges in count.values():
        for one in ranges:
            if not one.lost or one.final:
                new = settled.add(one.start, one.stop)
                found += [Outcome(low, high, one, False) for low, high in new]
    for one in _lost_for_good(count, attempts):
        new = settled.add(one.start, one.stop)
        found += [Outcome(low, high, one, False) for low, high in new]
    return sorted(found, key=lambda one: one.start)


def _within(ranges: Iterable[Range], low: int, high: int) -> list[Outcome]:
    return [
        Outcome(max(low, one.start), min(high, one.stop), one, True)
        for one in ranges
        if one.start < high and low < one.stop
    ]


def _lost_for_good(
    batches: Mapping[bytes, Sequence[Range]], attempts: int
) -> list[Range]:
    """Return for every task lost too often the try that stands for it: the first."""
    tries: defaultdict[int, dict[bytes, Range]] = defaultdict(dict)
    for ranges in batches.values():
        for one in ranges:
            if one.lost:
                tries[one.start].setdefault(one.mac, one)
    return [
        next(iter(made.values())) for made in tries.values() if len(made) >= attempts
    ]
