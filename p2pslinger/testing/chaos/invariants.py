"""What must hold once a grid has settled, whatever has befallen it.

Each invariant is a function from the evidence to complaints. Those of `SETTLING` may
take a while to hold and are waited for; the others must hold at any time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

from p2pslinger.testing.chaos import keeping
from p2pslinger.testing.chaos.evidence import Evidence
from p2pslinger.testing.chaos.tasks import fails, right_answer, witness
from p2pslinger.testing.chaos.workload import Work
from p2pslinger.testing.programs import ProgramJob

Invariant = Callable[[Evidence], Iterator[str]]

#: Packets that a peer may send in a minute when nothing happens. Measured: 15 to 40.
PACKETS = 200.0

#: Tasks of the event loop that an idle peer may have, and that it has with each link.
TASKS, TASKS_A_LINK = 20, 3


# --- what may take a while ----------------------------------------------------------


def jobs_are_computed(evidence: Evidence) -> Iterator[str]:
    """Complain of programs that are still there, and do not have all they asked for."""
    for work, job in evidence.throw_away():
        if evidence.is_owed(work) and not job.is_done:
            have = len(job.values) + len(job.errors)
            yield f"{work} has {have} outcomes"


def what_is_over_is_left_alone(evidence: Evidence) -> Iterator[str]:
    """Complain of slots that work for nobody, and of notices of what is over."""
    names = evidence.names()
    if any(_is_going_on(evidence, work) for work in evidence.works.values()):
        return
    for peer in evidence.alive():
        if peer.peer.volunteer.busy:
            yield f"{peer.name} still computes"
        for notice in peer.peer.notices.open_notices():
            job = names.get(notice.job, "a job of nobody")
            yield f"{peer.name} takes {job} to be open"


def _is_going_on(evidence: Evidence, work: Work) -> bool:
    """Return whether a job may have open tasks although nobody is owed them."""
    if work.job is None or not work.plan.durable or evidence.is_owed(work):
        return False
    return not (work.confirmed("cancel") or work.confirmed("forget"))


def peers_are_connected(evidence: Evidence) -> Iterator[str]:
    """Complain of peers that nobody would hear of."""
    alive = {peer.id: peer for peer in evidence.alive()}
    first = next(iter(alive))
    found, queue = {first}, [first]
    while queue:
        for other in alive[queue.pop()].peer.links.open:
            if other in alive and other not in found:
                found.add(other)
                queue.append(other)
    for id_, peer in alive.items():
        if id_ not in found:
            yield f"{peer.name} is not connected with {alive[first].name}"


def notices_agree(evidence: Evidence) -> Iterator[str]:
    """Complain of peers that know of other open jobs than the first one."""
    known = {
        peer.name: {notice.job for notice in peer.peer.notices.open_notices()}
        for peer in evidence.alive()
    }
    first = next(iter(known))
    for name, jobs in known.items():
        if jobs != known[first]:
            yield f"{name} knows of {len(jobs)} open jobs, {first} of others"


# --- what has to hold at any time ---------------------------------------------------


def values_are_right(evidence: Evidence) -> Iterator[str]:
    """Complain of values and errors that no honest slot has computed."""
    for work, job in evidence.throw_away():
        for index, (value, number, _) in work.witnessed():
            if value != right_answer(work.plan.number, index):
                yield f"task {index} of {work} is {value}, as {witness(number)} says"
        for index, error in job.errors.items():
            if not fails(index) or not isinstance(error, ValueError):
                yield f"task {index} of {work} has failed: {error!r}"


def every_outcome_comes_once(evidence: Evidence) -> Iterator[str]:
    """Complain of tasks of which a program was told twice."""
    for work, job in evidence.throw_away():
        if job.again:
            yield f"{work} was told twice of {sorted(job.again)}"


def credit_goes_to_who_has_computed(evidence: Evidence) -> Iterator[str]:
    """Complain of ranges that are said to come from somebody else, and of receipts."""
    names = evidence.names()
    for work, job in evidence.throw_away():
        said = {
            index: names[out.peer]
            for _, out in job.ranges
            for index in range(*(out.only or (out.start, out.stop)))
        }
        for index, (_, number, _) in work.witnessed():
            if said[index] != (name := witness(number)):
                yield f"task {index} of {work} is {name}'s, not {said[index]}'s"
        yield from _receipts(evidence, work, job, Counter(said.values()))


def _receipts(
    evidence: Evidence, work: Work, job: ProgramJob, done: Counter[str]
) -> Iterator[str]:
    """Complain of receipts for more than was accepted."""
    names = evidence.names()
    for peer in evidence.alive():
        for share in peer.disk.tally(job.id):
            name = names[share.volunteer]
            if share.tasks > done[name]:
                yield (
                    f"{peer.name} credits {name} with {share.tasks} tasks of {work},"
                    f" and it has done {done[name]}"
                )


# --- bounds -------------------------------------------------------------------------


def quiet_is_quiet(evidence: Evidence) -> Iterator[str]:
    """Complain of peers that talk when there is nothing to say."""
    for name, packets in evidence.quiet.items():
        if packets > PACKETS:
            yield f"{name} sends {packets:.0f} packets a minute for nothing"


def nothing_piles_up(evidence: Evidence) -> Iterator[str]:
    """Complain of tasks of the event loop that nobody has ended."""
    alive = evidence.alive()
    links = sum(len(peer.peer.links.open) for peer in alive)
    most = TASKS * len(alive) + TASKS_A_LINK * links
    tasks = asyncio.all_tasks()
    if len(tasks) > most:
        common = Counter(str(task.get_coro()) for task in tasks).most_common(3)
        yield f"{len(tasks)} tasks run where nothing does: {common}"


def nothing_was_wrong_on_the_way(evidence: Evidence) -> Iterator[str]:
    """Repeat what was noticed while the trial ran."""
    yield from evidence.seen


SETTLING: tuple[Invariant, ...] = (
    jobs_are_computed,
    keeping.durable_jobs_are_computed,
    keeping.checks_are_over,
    keeping.replicas_agree,
    keeping.orders_are_known_everywhere,
    keeping.there_are_keepers_enough_and_not_too_many,
    what_is_over_is_left_alone,
    peers_are_connected,
    notices_agree,
)

ALWAYS: tuple[Invariant, ...] = (
    nothing_was_wrong_on_the_way,
    values_are_right,
    every_outcome_comes_once,
    credit_goes_to_who_has_computed,
    keeping.nobody_ends_a_job_unasked,
    keeping.what_was_acknowledged_is_there,
    keeping.nothing_is_accepted_twice,
    keeping.votes_are_bounded,
    keeping.nobody_honest_is_struck,
    keeping.results_are_right_and_their_signers_own,
    keeping.credit_is_for_what_counts,
    keeping.storage_is_bounded,
    keeping.what_a_program_was_given_stays,
    keeping.all_readers_are_shown_the_same,
    quiet_is_quiet,
    nothing_piles_up,
)


def is_settled(evidence: Evidence) -> bool:
    """Return whether nothing is left to wait for."""
    return not any(True for invariant in SETTLING for _ in invariant(evidence))


def complaints(evidence: Evidence) -> Iterator[str]:
    """Yield everything that does not hold."""
    for invariant in (*ALWAYS, *SETTLING):
        yield from invariant(evidence)
