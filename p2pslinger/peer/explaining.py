"""Why this peer and its jobs wait, and since when.

What is known here becomes facts for the pure functions in `p2pslinger.rules`. Every few
seconds all of it is looked at, asked or not: so a reason has a beginning, and the
neighbours learn what keeps this peer from their work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.offering import Offering
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.links import Links
from p2pslinger.peer.presence.owncard import OwnCard
from p2pslinger.peer.seats import UNKNOWN, KeptJob
from p2pslinger.rules.fitting import lacks
from p2pslinger.rules.whyjob import JobSituation, Prospect, why_waiting
from p2pslinger.rules.whypeer import PeerSituation, why_idle, why_not_for_others
from p2pslinger.wire.acquainting import NewCard
from p2pslinger.wire.facts import ReasonFacts, WhyFacts
from p2pslinger.wire.needs import Needs
from p2pslinger.wire.records import Notice

#: Seconds between two looks: how exact a beginning is, and what neighbours know of us.
LOOK = 2.0

#: Jobs that are looked at each time. Of the others a wait begins when somebody asks.
JOBS = 256

#: Why a peer gets nothing of a job, if the job's owner has said so. No reason of the
#: peer's: for each job another.
EXCLUDED = "excluded-by-its-owner"


@dataclass(frozen=True)
class Known:
    """What there is to explain from.

    Attributes:
        me: This peer.
        keeper: Has the jobs and who asks for their work.
        volunteer: Has the slots.
        notices: Has the jobs of others.
        offering: Knows what the slots can be.
        links: Gives the neighbours.
        confining: Knows whose work this peer computes.
        wall: Gives the wall time, seconds.
        card: Our card.
        withheld: Gives why the owner's preferences keep us from others' work, or None.
    """

    me: PeerId
    keeper: Keeper
    volunteer: Volunteer
    notices: Notices
    offering: Offering
    links: Callable[[], Links]
    confining: Confining
    wall: Callable[[], float]
    card: OwnCard
    withheld: Callable[[], ReasonFacts | None]


class Explaining:
    """Explains, and remembers since when.

    Args:
        known: What it explains from.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._since: dict[PeerId | JobId, tuple[str, float]] = {}
        self._computed = 0

    async def keep_looking(self) -> None:
        """Look at everything now and then."""
        while True:
            self._look()
            await asyncio.sleep(LOOK)

    # --- this peer ------------------------------------------------------------------

    def peer(self) -> ReasonFacts | None:
        """Return why this peer is not computing, or None if it is."""
        return self._idle(self._situation())

    def _idle(self, now: PeerSituation) -> ReasonFacts | None:
        if self._known.volunteer.computed != self._computed:  # it has worked meanwhile
            self._computed = self._known.volunteer.computed
            self._since.pop(self._known.me, None)
        return self._dated(self._known.me, why_idle(now))

    def state(self) -> WhyFacts:
        """Return what this peer is doing, or why it waits."""
        reason, busy = self.peer(), self._known.volunteer.busy
        return WhyFacts("computing" if busy else "waiting", reason, running=busy)

    def for_others(self) -> str:
        """Return the code of what keeps this peer from others' work, or ""."""
        return _code(why_not_for_others(self._situation()))

    def _situation(self) -> PeerSituation:
        known, volunteer = self._known, self._known.volunteer
        linked = known.links().open
        own, others = self._own(), self._others()
        offer = known.offering.offer
        missing = [
            lacks(job.python, job.needs, offer, own=True)
            for job in own
            if not job.board.paused
        ]
        if known.confining.for_members:
            each = others.values()
            missing += [lacks(python, needs, offer) for python, needs, _ in each]
        return PeerSituation(
            wanted=len(volunteer.stations),
            ready=volunteer.ready,
            busy=volunteer.busy,
            broken=volunteer.broken,
            neighbours=len(linked),
            own=len(own),
            others=len(others),
            unconfined=known.confining.why_not,
            misfits=tuple(one for one in missing if one is not None),
            withheld=known.withheld(),
            unreachable=sum(1 for _, __, near in others.values() if not near),
            fetching=sum(1 for s in volunteer.stations if s.assignments and not s.line),
            paused=sum(1 for job in own if job.board.paused),
            probing=known.confining.finding is None and not known.confining.doubt,
        )

    def _own(self) -> list[KeptJob]:
        """Return the open jobs of this machine."""
        known = self._known
        return [job for job in known.keeper.jobs.values() if job.submitter == known.me]

    def _others(self) -> dict[JobId, tuple[str | None, Needs, bool]]:
        """Return others' open jobs: what each needs, and if a keeper is in reach."""
        known = self._known
        found = {
            job.id: (job.python, job.needs, True)
            for job in known.keeper.jobs.values()
            if job.submitter != known.me and not job.board.paused
        }
        linked = known.links().open
        for one in self.heard():
            job, near = JobId(one.job), PeerId(one.keeper) in linked
            if job not in known.keeper.jobs:
                near = near or (job in found and found[job][2])
                found[job] = (one.python, one.needs, near)
        return found

    def heard(self) -> list[Notice]:
        """Return others' notices of open jobs."""
        known = self._known
        return [n for n in known.notices.open_notices() if n.keeper != known.me]

    # --- jobs -----------------------------------------------------------------------

    def job(self, job: KeptJob, *, here: bool = True) -> ReasonFacts | None:
        """Return why nothing of a job runs, or None if something does, or it is over.

        Args:
            job: The job.
            here: This peer keeps it.
        """
        return self._job(job, here=here, mine=self.for_others)

    def _job(
        self, job: KeptJob, *, here: bool, mine: Callable[[], str]
    ) -> ReasonFacts | None:
        board = job.board
        running = board.running + board.running_elsewhere
        suspended = board.suspended + board.suspended_elsewhere
        if running > suspended:  # as most do, and then nobody needs to know who could
            return self._dated(job.id, None)
        now = JobSituation(
            open=board.open,
            running=running,
            suspended=suspended,
            left=board.left_to_others,
            sealed=board.sealed,
            paused=board.paused,
            here=here,
            learning=board.waits,
            python=job.python,
            needs=job.needs,
            prospects=tuple(self.prospects(job, mine()).values()),
        )
        return self._dated(job.id, why_waiting(now))

    def prospects(self, job: KeptJob, mine: str) -> dict[PeerId, Prospect]:
        """Return the peers that are known here, as they are to a job.

        Args:
            job: The job.
            mine: What keeps this peer from others' work, see `for_others`.
        """
        known = self._known
        slots = len(known.volunteer.stations)
        found = {known.me: self._prospect(job, known.me, slots, mine)}
        for link in known.links().open.values():
            card = link.card
            found[link.peer] = self._prospect(job, link.peer, card.slots, card.why)
        return found

    def _prospect(self, job: KeptJob, peer: PeerId, slots: int, why: str) -> Prospect:
        seat = self._known.keeper.seats.get(peer)
        offer = seat.offer if seat is not None else UNKNOWN
        idle = seat is not None and any(
            not one.want.queued and (not one.want.mine or peer == job.submitter)
            for one in seat.parked.values()
        )
        barred = seat is not None and not seat.may_have(job)
        own = peer == job.submitter
        why = "" if own else why
        if peer in job.board.excluded:
            why = EXCLUDED
        return Prospect(slots, why, offer, idle, barred=barred, own=own)

    # --- since when -----------------------------------------------------------------

    def _dated(
        self, what: PeerId | JobId, reason: ReasonFacts | None
    ) -> ReasonFacts | None:
        """Return a reason with its beginning."""
        if reason is None:
            self._since.pop(what, None)
            return None
        code, since = self._since.get(what, ("", 0.0))
        if code != reason.code:
            since = self._known.wall()
            self._since[what] = (reason.code, since)
        return msgspec.structs.replace(reason, since=since)

    def _look(self) -> None:
        known = self._known
        now = self._situation()
        self._idle(now)
        why = _code(why_not_for_others(now))
        for job in list(known.keeper.jobs.values())[:JOBS]:
            self._job(job, here=True, mine=lambda: why)
        for gone in [one for one in self._since if self._is_over(one)]:
            del self._since[gone]
        if why != known.card.why:
            known.card.why = why
            card = known.card.sign()
            for link in known.links().open.values():
                link.connection.push(NewCard(card))

    def _is_over(self, what: PeerId | JobId) -> bool:
        return what != self._known.me and what not in self._known.keeper.jobs


def _code(reason: ReasonFacts | None) -> str:
    return "" if reason is None else reason.code
