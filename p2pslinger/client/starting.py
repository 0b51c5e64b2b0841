"""Jobs that outlive their program: how one is started, and how it is found again.

A started job is complete before anybody hears of it: it has all its arguments, or it is
cancelled. And it is safe, or the program hears how far it is not: it asks the peer when
so many keepers have it all on disk, and waits a few seconds for that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

from p2pslinger.client.feeding import put_all, with_star
from p2pslinger.client.job import Job
from p2pslinger.client.keeping import KEPT_WITHIN, MARGIN, Keeping
from p2pslinger.client.link import Link
from p2pslinger.client.packing import FunctionPackage
from p2pslinger.client.rows import Rows
from p2pslinger.client.session import Session
from p2pslinger.errors import UnavailableError
from p2pslinger.ids import to_text
from p2pslinger.wire.control import Attached
from p2pslinger.wire.facts import JobFacts
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.needs import Needs
from p2pslinger.wire.owning import AwaitKept, KeptBy, Ticket

#: Seconds to wait for the rest of a job that another program is still sending.
SEALING = 30.0

#: Seconds between two looks at whether it has.
LOOK = 0.05


def start_job(
    link: Link,
    session: Session,
    package: FunctionPackage,
    arguments: Iterable[object],
    *,
    name: str,
    policy: Policy,
    keeping: Keeping,
    needs: Needs,
    require: bool,
) -> Job[object]:
    """Start a job; return when it is safe, or when that takes too long.

    Args:
        link: To this machine's peer.
        session: The program's.
        package: The function.
        arguments: For each task a tuple of arguments, if all are tuples, or one.
        name: What to call the job.
        policy: How it is to be run.
        keeping: How it is to be kept.
        needs: What the peers that compute it must have.
        require: Cancel it rather than have it with fewer keepers.

    Raises:
        PackingError: an argument can't be sent.
        UnavailableError: the peer has not taken all of the job, or too few keepers have
            and they were required.
    """
    arguments, star = with_star(arguments)
    link.check_waiting()
    stream, rows = session.stream(), Rows(keep=True)
    try:
        stream.open(name, package, policy, keeping, needs)
        put_all(stream, rows, package, arguments, star=star)
        stream.seal()
        stream.wait_until_sent()
        ask = AwaitKept(stream.handle, KEPT_WITHIN)
        kept = cast(KeptBy, link.request(ask, timeout=KEPT_WITHIN + MARGIN))
        stream.raise_if_broken()
        if require and kept.have < kept.wanted:
            raise UnavailableError(f"the job was not started: {kept.why}")
    except BaseException:
        stream.abort(UnavailableError("the job was not started: try again"))
        raise
    return Job(link, stream, rows, name, kept)


def warning_of(link: Link, job: Job[object]) -> str:
    """Return what a program is to know of a job that too few keepers have."""
    if not link.brought:
        return job.why_not_kept
    return (
        f"{job.why_not_kept}. No peer was running here, and the one that this program "
        "has brought along ends soon after it: the job goes on with the next one "
        "(`slinger up` has one stay)"
    )


def find_job(link: Link, session: Session, job: str) -> Job[object]:
    """Find a job of this machine, or with its whole id one of the grid.

    Raises:
        UsageError: there is none.
        UnavailableError: its program has not sent all of it for a while.
    """
    link.check_waiting()
    stream, rows = session.stream(), Rows(keep=True)
    facts = stream.attach(job, rows)
    found: Job[object] = Job(link, stream, rows, facts.name)
    try:
        rows.finish(_when_sealed(found, facts).tasks)
    except BaseException as error:
        stream.broke(error)
        raise
    return found


def show_ticket(link: Link, ticket: Ticket) -> str:
    """Show this machine's peer a ticket; return the id of the job that it is for.

    With an owner's ticket the peer becomes an owner of the job.

    Raises:
        UsageError: it is for another grid.
        UnavailableError: nobody in reach knows the job.
    """
    answer = link.request(ticket)
    return answer.facts.job if isinstance(answer, Attached) else to_text(ticket.job)


def _when_sealed(job: Job[object], facts: JobFacts) -> JobFacts:
    """Wait until a job has all its tasks; return what is known of it then."""
    deadline = time.monotonic() + SEALING
    while facts.state in {"open", "paused"} and not facts.sealed:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"job {facts.job} is still being submitted, with {facts.tasks} tasks "
                "so far: try again when its program has sent them all"
            )
        time.sleep(LOOK)
        facts = job.facts()
    return facts
