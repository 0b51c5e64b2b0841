"""Why a task is not running: from where it is, and how its job is, to one reason.

A task whose job waits, waits for the same. Else it is its own doing, or its turn has
not come.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pslinger.rules.reasons import Reason, counted, explain
from p2pslinger.rules.where import Where
from p2pslinger.wire.facts import ExcludedFacts, ReasonFacts


@dataclass(frozen=True, slots=True)
class TaskSituation:
    """What there is to know about a task.

    Attributes:
        task: Its index.
        total: Tasks that its job has so far.
        over: Nothing of the job is computed any more, and why: its state, or "".
        where: Where it is, if it is one of those.
        holder: Name of the peer that it was granted to, or of its keeper.
        setback: What became of it the last time, to end a sentence, or "".
        job: Why the job does not run, or None if it does.
        excluded: Who can't compute it, if it is to be computed alone.
        peers: Of how many.
    """

    task: int
    total: int
    over: str
    where: Where
    holder: str
    setback: str
    job: ReasonFacts | None
    excluded: tuple[ExcludedFacts, ...]
    peers: int = 0


def state_of(now: TaskSituation) -> str:
    """Return a task's state: "done", "running", "waiting", or its job's end."""
    if now.task < now.total and now.where.done:
        return "done"
    if now.over:
        return now.over
    held = now.where.held
    if held is not None and held.index == now.task and not held.suspended:
        return "running"
    return "waiting"


def why_not_running(now: TaskSituation) -> ReasonFacts | None:
    """Return why a task waits, or None if it is running, or is over."""
    if state_of(now) != "waiting":
        return None
    if now.task >= now.total:
        text = f"its job has {counted(now.total, 'task')} so far"
        return explain(Reason.NOT_SENT, text)
    if now.where.held is not None:
        return _in_a_range(now, now.where.held.index)
    if now.where.elsewhere is not None:
        text = f"another keeper, {now.holder}, has it computed"
        return explain(Reason.OTHER_KEEPER, text)
    return _open(now)


def _open(now: TaskSituation) -> ReasonFacts:
    """Return why a task that nobody has been granted is not."""
    where = now.where
    if where.alone:
        return _alone(now)
    if now.job is not None:
        return now.job
    if now.setback:
        return explain(Reason.RETRIED, f"{now.setback}, and it waits to be handed out")
    if where.theirs:
        text = "another keeper of its job hands it out"
        return explain(Reason.LEFT_TO_OTHERS, text)
    return explain(
        Reason.ITS_TURN,
        f"{counted(where.before, 'task')} of its job {_are(where.before)} before it"
        if where.before
        else "it is the next of its job that a slot is given",
    )


def _in_a_range(now: TaskSituation, index: int) -> ReasonFacts:
    """Return why a task that somebody has been granted is not running."""
    if index > now.task:
        text = f"{now.holder} has computed it, and is about to send the result"
        return explain(Reason.REPORTING, text)
    if now.where.held is not None and now.where.held.suspended:
        text = f"{now.holder} has it, and stands still, as its owner wishes"
        return explain(Reason.SUSPENDED, text)
    text = f"{now.holder} computes {counted(now.task - index, 'task')} before it"
    return explain(Reason.IN_LINE, text)


def _alone(now: TaskSituation) -> ReasonFacts:
    """Return why a task that has killed its process is not tried again yet."""
    if now.job is not None and now.job.code != Reason.STARTING:
        return now.job
    times = counted(now.where.tries, "try").replace("trys", "tries")
    text = f"{times} ended with the process"
    text += f" ({now.setback})" if now.setback else ""
    return explain(
        Reason.ONE_AT_A_TIME,
        f"{text}: it is computed alone, by a peer that has not lost it if there is one",
        now.excluded,
        now.peers,
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
