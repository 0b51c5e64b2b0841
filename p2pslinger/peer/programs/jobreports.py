"""What this peer tells its owner about jobs: how far they are, who did what, who waits.

Facts only, in the words of `p2pslinger.wire.facts`; the command line prints them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from p2pslinger.errors import UsageError
from p2pslinger.ids import JobId, PeerId, from_text, starting_with, to_text
from p2pslinger.peer.durable.fellows import Fellow
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.explaining import Explaining
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.programs.ownjob import OwnJob
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.peer.programs.whyjobs import WhyTasks
from p2pslinger.peer.underway import UnderWay
from p2pslinger.rules.board import Board
from p2pslinger.rules.replica import Replica
from p2pslinger.store.state import Share, State
from p2pslinger.wire.facts import JobFacts, KeeperFacts, TallyFacts, TaskFacts, WhyFacts


class JobReports:
    """Answers questions about jobs.

    Args:
        me: This peer.
        submitter: Has the throw-away jobs.
        vault: Has the durable ones.
        keeper: Knows what is handed out.
        state: Has the receipts.
        name: Gives a peer's name, or "" if it is not known here.
        petname: Gives what the owner calls a peer, or "".
        explaining: Knows why jobs wait.
        tasks: Knows why tasks do.
    """

    def __init__(
        self,
        me: PeerId,
        *,
        submitter: Submitter,
        vault: Vault,
        keeper: Keeper,
        state: State,
        name: Callable[[PeerId], str],
        petname: Callable[[PeerId], str] = lambda _: "",
        explaining: Explaining,
        tasks: WhyTasks,
    ) -> None:
        self._me = me
        self._submitter = submitter
        self._vault = vault
        self._keeper = keeper
        self._state = state
        self._name = name
        self._petname = petname
        self._explaining = explaining
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()

    def jobs(self, start: str) -> tuple[JobFacts, ...]:
        """Return this peer's jobs, newest first, or the one whose id starts so.

        Raises:
            UsageError: none, or several, start with that.
        """
        if start:
            return (self._find(start),)
        facts = [self.throw_away(job) for job in self._submitter.jobs.values()]
        facts += [self.durable(held) for held in self._vault.held.values()]
        return tuple(sorted(facts, key=lambda one: one.age))

    def _find(self, start: str) -> JobFacts:
        known: Mapping[JobId, object] = {**self._submitter.jobs, **self._vault.held}
        found = starting_with(start, known)
        if found is None:
            raise UsageError(
                f"this machine knows no job {start!r}: `slinger jobs` lists them"
            )
        held = self._vault.held.get(found)
        if held is not None:
            return self.durable(held)
        return self.throw_away(self._submitter.jobs[found])

    def why(self, start: str, task: int | None) -> WhyFacts:
        """Return what this peer, a job or a task of it is doing, or why it waits.

        Args:
            start: The start of a job's id, or "" for this peer.
            task: Index of a task, or None for the job.

        Raises:
            UsageError: no job, or several, start with that; or it has no such task.
        """
        if not start:
            return self._explaining.state()
        facts = self._find(start)
        job = JobId(from_text(facts.job))
        if task is not None:
            held = self._vault.held.get(job)
            kept = held.job.kept if held else self._submitter.jobs[job].kept
            return self._tasks.explain(kept, facts, task)
        state = facts.state
        if state == "open":
            state = "waiting" if facts.waiting is not None else "computing"
        return WhyFacts(
            state,
            facts.waiting,
            facts.job,
            running=facts.running,
            still=facts.still,
        )

    def throw_away(self, own: OwnJob) -> JobFacts:
        """Return what there is to know about a throw-away job."""
        board = own.kept.board
        state = own.end or "open"
        if state not in {"open", "computed"}:
            state = "cancelled"
        waiting = self._explaining.job(own.kept) if state == "open" else None
        return JobFacts(
            to_text(own.id),
            own.kept.manifest.name,
            state,
            board.total,
            board.sealed,
            board.done.count,
            board.running,
            board.failed,
            board.lost,
            self._loop.time() - own.kept.since,
            waiting,
            self.shares(_shares(board)),
            submitter=to_text(self._me),
            accepted=board.done.count,
            under_way=self._under_way(own.under_way, board),
            still=board.suspended,
        )

    def durable(self, held: Held) -> JobFacts:
        """Return what there is to know about a durable job."""
        job = held.job
        board = job.kept.board
        standing = job.replica.standing
        newest = standing.newest
        state, waiting = held.state, None
        elsewhere = board.running_elsewhere
        if state in {"open", "paused"}:
            waiting = self._explaining.job(job.kept, here=job.is_keeper)
        return JobFacts(
            to_text(job.id),
            job.kept.manifest.name,
            state,
            board.total,
            board.sealed,
            board.done.count,
            board.running + elsewhere,
            board.failed,
            board.lost,
            max(0.0, job.means.wall() - job.kept.manifest.created),
            waiting,
            self.shares([*_shares(board), *_checks(job.replica)]),
            durable=True,
            submitter=to_text(job.kept.submitter),
            owner=job.key is not None,
            accepted=job.deciding.decided,
            priority=newest.priority if newest is not None else 0,
            keep_until=job.replica.keep_until,
            keepers=self._keepers(held),
            wanted=held.wanted + 1,
            under_way=self._under_way(job.under_way, board),
            checks=job.checking.facts(),
            still=board.suspended + board.suspended_elsewhere,
            excluded=tuple(to_text(one) for one in sorted(standing.excluded)),
        )

    def _under_way(self, under_way: UnderWay, board: Board) -> tuple[TaskFacts, ...]:
        return tuple(
            TaskFacts(
                one.index, to_text(one.peer), self._name(one.peer), one.share, one.line
            )
            for one in under_way.running()
            if one.index not in board.done and not board.cancelled
        )

    def _keepers(self, held: Held) -> tuple[KeeperFacts, ...]:
        facts = []
        for peer in held.places.keepers:
            fellow = held.fellows.all.get(peer)
            if peer == self._me:
                facts.append(self._fact(peer, "here", held.job.kept.since, True))
            elif fellow is not None:
                state = _state_of(fellow)
                facts.append(self._fact(peer, state, fellow.since, fellow.holds_all))
        return tuple(facts)

    def _fact(self, peer: PeerId, state: str, since: float, holds: bool) -> KeeperFacts:
        age = self._loop.time() - since
        petname = self._petname(peer)
        return KeeperFacts(to_text(peer), self._name(peer), state, holds, age, petname)

    # --- who did what -----------------------------------------------------------------

    def tally(self, start: str) -> tuple[TallyFacts, ...]:
        """Return who contributed what, to all jobs or to one, open ones included.

        Raises:
            UsageError: no job, or several, start with `start`.
        """
        if start:
            return self._find(start).volunteers
        shares = list(self._state.tally())
        receipted = {
            held.job.id
            for held in self._vault.held.values()
            if held.job.replica.receipts
        }
        for job in self._keeper.jobs.values():
            if job.id not in receipted:
                shares += _shares(job.board)
        return self.shares(shares)

    def shares(self, shares: Iterable[Share]) -> tuple[TallyFacts, ...]:
        """Return contributions, those of one peer put together, greatest first."""
        sums: dict[PeerId, Share] = {}
        for share in shares:
            had = sums.get(share.volunteer, Share(share.volunteer, 0, 0, 0.0))
            sums[share.volunteer] = Share(
                share.volunteer,
                had.tasks + share.tasks,
                had.failures + share.failures,
                had.cpu + share.cpu,
                had.checks + share.checks,
            )
        whole = sum(share.cpu for share in sums.values()) or 1.0
        rows = [
            TallyFacts(
                to_text(share.volunteer),
                self._name(share.volunteer),
                share.tasks,
                share.failures,
                share.cpu,
                share.cpu / whole,
                self._petname(share.volunteer),
                share.checks,
            )
            for share in sums.values()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.cpu, -row.tasks, row.peer)))


def _shares(board: Board) -> list[Share]:
    return [
        Share(peer, credit.tasks, credit.failures, credit.cpu)
        for peer, credit in board.credits.items()
    ]


def _checks(replica: Replica) -> list[Share]:
    receipts = (receipt for _, receipt in replica.receipts.values())
    return [Share(PeerId(one.volunteer), 0, 0, 0.0, one.checks) for one in receipts]


def _state_of(fellow: Fellow) -> str:
    if not fellow.is_there:
        return "away"
    return "connected" if fellow.agrees else "joining"
