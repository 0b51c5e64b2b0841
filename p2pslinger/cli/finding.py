"""Finding a job: among those of this machine's peer, or by its whole id in the grid."""

from __future__ import annotations

from p2pslinger import limits
from p2pslinger.cli.ask import PATIENCE, put
from p2pslinger.client.link import Link
from p2pslinger.errors import UsageError
from p2pslinger.ids import from_text
from p2pslinger.wire.control import Attach, Attached, GetJobs, Jobs
from p2pslinger.wire.facts import JobFacts

#: Seconds in which a job is found in the grid, or is not.
FINDING = limits.FIND_JOB + PATIENCE

#: What this program calls a job that it asks about, and one that it follows.
ASKED, FOLLOWED = 0, 1


def find(link: Link, prefix: str) -> JobFacts:
    """Return what there is to know about the job whose id starts with `prefix`.

    Raises:
        UsageError: there is none, or there are several.
    """
    try:
        found = put(link, GetJobs(prefix), Jobs).facts
    except UsageError:
        if not _is_whole(prefix):
            raise
        return put(link, Attach(ASKED, prefix), Attached, FINDING).facts
    if not found:
        raise UsageError(f"this machine knows no job {prefix!r}")
    return found[0]


def follow(link: Link, job: str) -> JobFacts:
    """Have the peer push a job's results over this link, as those of `FOLLOWED`.

    Raises:
        UsageError: there is no such job.
    """
    return put(link, Attach(FOLLOWED, job), Attached, FINDING).facts


def _is_whole(prefix: str) -> bool:
    try:
        from_text(prefix)
    except UsageError:
        return False
    return True
