"""Why a job or a task waits, as its owner asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId, short, to_text
from p2pslinger.peer.explaining import Explaining
from p2pslinger.peer.seats import KeptJob
from p2pslinger.rules.where import Where
from p2pslinger.rules.whyjob import excluded_by
from p2pslinger.rules.whytask import TaskSituation, state_of, why_not_running
from p2pslinger.wire.facts import ExcludedFacts, JobFacts, WhyFacts


class WhyTasks:
    """Explains tasks.

    Args:
        explaining: Knows why jobs wait, and who could compute them.
        name: Gives a peer's name, or "" if it is not known here.
        wall: Gives the wall time, seconds.
        now: Gives the time of the loop's clock.
    """

    def __init__(
        self,
        explaining: Explaining,
        *,
        name: Callable[[PeerId], str],
        wall: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._explaining = explaining
        self._name = name
        self._wall = wall
        self._now = now

    def explain(self, job: KeptJob, facts: JobFacts, task: int) -> WhyFacts:
        """Return what a task is doing, or why it waits.

        Raises:
            UsageError: its job has not so many.
        """
        board = job.board
        if board.sealed and task >= board.total:
            raise UsageError(
                f"job {short(job.id)} has {board.total} tasks, from 0 to "
                f"{board.total - 1}"
            )
        where = board.where(task)
        over = "" if facts.state in {"open", "paused"} else facts.state
        setback = self._setback(job, task)
        now = TaskSituation(
            task,
            board.total,
            over,
            where,
            self._holder(where),
            setback[0],
            facts.waiting,
            *self._excluded(job, where),
        )
        reason = why_not_running(now)
        held = where.held
        if reason is not None and not reason.since:
            since = setback[1] or self._wall_of(job.since)
            if held is not None and held.since:
                since = self._wall_of(held.since)
            reason = msgspec.structs.replace(reason, since=since)
        return WhyFacts(
            state_of(now),
            reason,
            facts.job,
            task,
            facts.running,
            to_text(held.volunteer) if held else "",
            self._name(held.volunteer) if held else "",
            self._wall_of(held.since) if held and held.since else 0.0,
        )

    def _excluded(
        self, job: KeptJob, where: Where
    ) -> tuple[tuple[ExcludedFacts, ...], int]:
        """Return who can't compute a task that is to be computed alone, of how many."""
        if not where.alone:
            return (), 0
        mine = self._explaining.for_others()
        found = self._explaining.prospects(job, mine).items()
        prospects = [replace(one, lost=peer in where.losers) for peer, one in found]
        return excluded_by(job.python, job.needs, prospects), len(prospects)

    def _setback(self, job: KeptJob, task: int) -> tuple[str, float]:
        """Return what last became of a task, and the wall time of that."""
        for one in reversed(job.setbacks):
            if one.start <= task < one.stop:
                who = self._name(one.peer) or short(one.peer)
                return f"{who} had it, but {one.why}", self._wall_of(one.when)
        return "", 0.0

    def _holder(self, where: Where) -> str:
        peer = where.held.volunteer if where.held else where.elsewhere
        return "" if peer is None else self._name(peer) or short(peer)

    def _wall_of(self, when: float) -> float:
        """Return the wall time of a time of the loop's clock."""
        return self._wall() - (self._now() - when)
