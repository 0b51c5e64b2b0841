"""What must hold of durable jobs once a grid has settled.

Complaints come from what is on disks and from what programs are shown; nobody is asked
whether he is right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from p2pslinger.ids import PeerId
from p2pslinger.limits import KEEPERS
from p2pslinger.peer.events import Acknowledged
from p2pslinger.rules.keeping import DEPTH
from p2pslinger.rules.outcomes import Range
from p2pslinger.rules.spans import Span
from p2pslinger.testing.chaos.evidence import Evidence
from p2pslinger.testing.chaos.replicas import Copy, told
from p2pslinger.testing.chaos.tasks import fails, right_answer, witness
from p2pslinger.testing.chaos.workload import Work

#: Bytes that a peer may need for one task of a durable job, all its tries together, and
#: for the job itself. Measured: 700.
BYTES_A_TASK, BYTES_A_JOB = 4_000, 100_000


# --- what may take a while ----------------------------------------------------------


def durable_jobs_are_computed(evidence: Evidence) -> Iterator[str]:
    """Complain of jobs that somebody still keeps, and that have tasks left to do."""
    for work, _, copies in evidence.durable():
        if evidence.is_owed(work):
            have = max((len(copy.outcomes) for copy in copies), default=0)
            if have < work.plan.tasks:
                yield f"{work} has {have} outcomes at {len(copies)} keepers"


def checks_are_over(evidence: Evidence) -> Iterator[str]:
    """Complain of keepers that wait for further answers: another may count then."""
    for work, job, copies in evidence.durable():
        for copy in copies if evidence.is_owed(work) else ():
            held = copy.peer.peer.custody.vault.held.get(job)
            if held is not None and held.job.checking.is_waiting:
                yield f"{copy.peer.name} still has results of {work} checked"


def replicas_agree(evidence: Evidence) -> Iterator[str]:
    """Complain of live keepers that do not hold the same of a job."""
    for work, _, copies in evidence.durable():
        if len({copy.ids for copy in copies}) > 1:
            each = ", ".join(f"{copy.peer.name} {len(copy.ids)}" for copy in copies)
            yield f"the copies of {work} differ; items: {each}"


def orders_are_known_everywhere(evidence: Evidence) -> Iterator[str]:
    """Complain of keepers that do not know what an owner was told that all know."""
    for work, job, copies in evidence.durable():
        for said, owner in work.obeyed:
            if said == "forget" and owner.is_up and job not in owner.disk.jobs.buried():
                yield f"{owner.name} has forgotten {work} without a tombstone"
        for copy in copies:
            standing = copy.replica.standing
            if work.confirmed("forget"):
                yield f"{work} is forgotten, and {copy.peer.name} keeps it"
            elif work.confirmed("cancel") and not standing.cancelled:
                yield f"{work} is cancelled, and {copy.peer.name} does not know"


def there_are_keepers_enough_and_not_too_many(evidence: Evidence) -> Iterator[str]:
    """Complain of places that nobody fills, and of copies without a place."""
    names = evidence.names()
    for work, _, copies in evidence.durable():
        having = {copy.peer.id for copy in copies}
        owners = {owner.id for owner in work.owners}
        for copy in copies:
            if evidence.is_owed(work):
                for keeper in _to_be_filled(copy) - having:
                    yield f"{names[keeper]} has a place of {work}, and no copy"
            if _is_spare(copy, having) and copy.peer.id not in owners:
                yield f"{copy.peer.name} keeps {work}, and has no place"


def _is_spare(copy: Copy, having: set[PeerId]) -> bool:
    """Tell whether a keeper is not needed, since every place is filled, or will be."""
    keepers = copy.places.keepers
    lost = set(keepers) - having - _to_be_filled(copy)
    return copy.peer.id not in keepers and not lost


def _to_be_filled(copy: Copy) -> set[PeerId]:
    """Return the keepers that are replaced when they are gone.

    Who was appointed by way of too many others is replaced by an owner only.
    """
    return {one for one in copy.places.keepers if copy.places.depth[one] < DEPTH}


# --- what has to hold at any time ---------------------------------------------------


def nobody_ends_a_job_unasked(evidence: Evidence) -> Iterator[str]:
    """Complain of jobs that are cancelled or forgotten without an order."""
    for work, job, copies in evidence.durable():
        for copy in copies:
            standing = copy.replica.standing
            if standing.cancelled and not work.ordered & {"cancel", "forget"}:
                yield f"{copy.peer.name} takes {work} to be cancelled"
        for peer in evidence.alive():
            if job in peer.disk.jobs.buried() and "forget" not in work.ordered:
                yield f"{peer.name} has forgotten {work}, and nobody has asked it to"


def what_was_acknowledged_is_there(evidence: Evidence) -> Iterator[str]:
    """Complain of results that keepers have confirmed, and that nobody has any more.

    Not of those that fewer have confirmed than are gone for good, nor of those that say
    nothing new: of each of their tasks there are as many other answers as there may be.
    """
    for work, job, copies in evidence.durable():
        if "forget" in work.ordered:
            continue
        there = frozenset[bytes]().union(*(copy.ids for copy in copies))
        for volunteer in evidence.grid.peers.values():
            for when, event in volunteer.happened(Acknowledged):
                lost = event.job == job and event.batch not in there
                if lost and event.keepers > evidence.gone and copies:
                    if is_surplus(copies[0], event.ranges, volunteer.id):
                        continue
                    yield (
                        f"a result of {volunteer.name} for {work} is lost, which"
                        f" {event.keepers} had confirmed at {when:.3f} s"
                    )


def is_surplus(copy: Copy, ranges: tuple[Span, ...], volunteer: PeerId) -> bool:
    """Tell whether enough others, or the volunteer itself, have answered the same."""
    most = copy.replica.manifest.policy.most_answers
    for task in (task for span in ranges for task in range(*span)):
        who = {one.volunteer for one in copy.replica.answers.at(task, task + 1)}
        if volunteer not in who and len(who) < most:
            return False
    return True


def votes_are_bounded(evidence: Evidence) -> Iterator[str]:
    """Complain of tasks with more answers than may be, or two of one volunteer."""
    names = evidence.names()
    for work, _, copies in evidence.durable():
        for copy in copies:
            most = copy.replica.manifest.policy.most_answers
            for task in range(work.plan.tasks):
                found = copy.replica.answers.at(task, task + 1)
                alone = [one.volunteer for one in found if _stands_alone(copy, one)]
                who = ", ".join(names[volunteer] for volunteer in alone)
                if len(alone) > min(most, len(set(alone))):
                    yield f"{copy.peer.name} has answers of {who} for {task} of {work}"


def _stands_alone(copy: Copy, one: Range) -> bool:
    """Tell whether an answer is here for the sake of no other task, nor accepted."""
    if any(what.batch == one.batch for what in copy.replica.accepted):
        return False
    return one.stop == one.start + 1 and len(copy.replica.batches[one.batch]) == 1


def nobody_honest_is_struck(evidence: Evidence) -> Iterator[str]:
    """Complain of volunteers that are said to lie: here nobody does."""
    names = evidence.names()
    for peer in evidence.alive():
        for volunteer, record in peer.peer.company.reputation.records.items():
            if record.strikes:
                yield f"{peer.name} has struck {names[volunteer]}, who has not lied"


def nothing_is_accepted_twice(evidence: Evidence) -> Iterator[str]:
    """Complain of tasks of which one owner has accepted two results."""
    for work, _, copies in evidence.durable():
        for copy in copies if len(work.owners) == 1 else ():
            accepted = defaultdict[int, set[bytes]](set)
            for what in copy.replica.accepted:
                for index in range(what.start, what.stop):
                    accepted[index].add(what.batch)
            twice = sorted(index for index, some in accepted.items() if len(some) > 1)
            if twice:
                yield f"{copy.peer.name} has two acceptances of {twice} of {work}"


def results_are_right_and_their_signers_own(evidence: Evidence) -> Iterator[str]:
    """Complain of results that somebody else has computed, or nobody could have."""
    names = evidence.names()
    for work, _, copies in evidence.durable():
        for copy in copies:
            for index, by, what in _results(copy):
                wrong = _wrong(work, index, names[by], what)
                if wrong:
                    yield f"at {copy.peer.name}: task {index} of {work} {wrong}"


def _results(copy: Copy) -> Iterator[tuple[int, bytes, object]]:
    for volunteer, result in copy.results():
        for index, (value, failure) in enumerate(told(result), result.start):
            yield index, volunteer, value if failure is None else failure


def _wrong(work: Work, index: int, by: str, what: object) -> str:
    """Return what is wrong with an outcome, or ""."""
    if fails(index):
        return "" if what == ("raised", "ValueError") else f"is {what}, not an error"
    if not isinstance(what, tuple) or len(what) != 3:
        return f"is {what}"
    value, number, _ = what
    if witness(number) != by:
        return f"is signed by {by} and was computed by {witness(number)}"
    return "" if value == right_answer(work.plan.number, index) else f"is {value}"


def credit_is_for_what_counts(evidence: Evidence) -> Iterator[str]:
    """Complain of receipts for more tasks than count as somebody's."""
    names = evidence.names()
    for work, job, copies in evidence.durable():
        for copy in copies:
            done = Counter(names[one.volunteer] for one in copy.outcomes.values())
            for share in copy.peer.disk.tally(job):
                name = names[share.volunteer]
                if share.tasks > done[name]:
                    yield (
                        f"{copy.peer.name} credits {name} with {share.tasks} tasks of"
                        f" {work}, and {done[name]} count"
                    )


def storage_is_bounded(evidence: Evidence) -> Iterator[str]:
    """Complain of jobs that take more room than they may, or have too many keepers."""
    for work, job, copies in evidence.durable():
        for copy in copies:
            size = copy.peer.disk.jobs.size(job)
            if size > BYTES_A_JOB + BYTES_A_TASK * work.plan.tasks:
                yield f"{work} takes {size:,} bytes at {copy.peer.name}"
        if len(copies) > KEEPERS:
            yield f"{work} has {len(copies)} keepers"


# --- what programs are shown ----------------------------------------------------------


def all_readers_are_shown_the_same(evidence: Evidence) -> Iterator[str]:
    """Complain of programs that are shown something else than what counts."""
    for work, _, copies in evidence.durable():
        if not copies or not evidence.is_owed(work):
            continue
        counts = copies[0].outcomes
        for (name, reader), job in evidence.readers.items():
            if name == work.plan.name:
                for index, value in job.values.items():
                    if index not in counts or counts[index].value != value:
                        what = counts[index].value if index in counts else "nothing"
                        yield f"{reader} is shown {value} for {index} of {work}: {what}"
                if not job.is_done:
                    have = len(job.values) + len(job.errors)
                    yield f"{reader} is shown {have} outcomes of {work}"


def what_a_program_was_given_stays(evidence: Evidence) -> Iterator[str]:
    """Complain of values that the submitting program had, and that do not count now."""
    for work, _, copies in evidence.durable():
        if work.job is not None and work.job.again:
            yield f"{work} was told twice of {sorted(work.job.again)}"
        if len(work.owners) > 1 or evidence.is_gone(work.peer.name):
            continue
        for copy in copies:
            for index, value in work.witnessed():
                count = copy.outcomes.get(index)
                if count is None or count.value != value:
                    yield (
                        f"task {index} of {work} was {value} for its program, and is"
                        f" {count} at {copy.peer.name}"
                    )
