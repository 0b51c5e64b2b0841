"""Which job a free slot is given: fair between submitters, then priority, then age.

Fair share counts what each submitter has running at this keeper, so that one who
submits a thousand jobs gets no more than one who submits a single one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2pslinger.ids import JobId, PeerId


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job with open tasks.

    Attributes:
        job: Its id.
        submitter: Whose it is.
        running: Its grants that are live now.
        priority: Higher first, among one submitter's jobs.
        since: When it was opened; earlier first.
    """

    job: JobId
    submitter: PeerId
    running: int
    priority: int
    since: float


def in_turn(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return jobs in the order in which a free slot should try them."""
    candidates = list(candidates)
    if len(candidates) < 2:  # the common case, on the path of every task
        return candidates
    share: dict[PeerId, int] = {}
    oldest: dict[PeerId, float] = {}
    for one in candidates:
        share[one.submitter] = share.get(one.submitter, 0) + one.running
        oldest[one.submitter] = min(oldest.get(one.submitter, one.since), one.since)
    return sorted(
        candidates,
        key=lambda one: (
            share[one.submitter],
            oldest[one.submitter],
            one.submitter,  # so that a priority counts among its own jobs only
            -one.priority,
            one.since,
            one.job,
        ),
    )
