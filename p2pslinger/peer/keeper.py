"""The keeper: hands out the work of the jobs that it keeps, and takes the results.

Volunteers sit at a keeper, this machine's own one among them, and park requests for
work. Whenever something has changed, the keeper goes once over them and answers those
that it has work for; empty slots come before queues behind running ranges. Everything
here happens without waiting. What decides is in `p2pslinger.rules`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count

from p2pslinger import limits
from p2pslinger.errors import UnavailableError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.events import Events, TakenBack
from p2pslinger.peer.granting import Granting
from p2pslinger.peer.seats import (
    Company,
    KeptJob,
    Parked,
    Seat,
    Setback,
    Strangers,
    delivery_of,
)
from p2pslinger.peer.shelf import Shard
from p2pslinger.rules.grants import Held
from p2pslinger.rules.spans import Span
from p2pslinger.wire.messages import (
    Delivered,
    GiveBack,
    Renew,
    Revoke,
    Want,
    Work,
)
from p2pslinger.wire.needs import Offer
from p2pslinger.wire.records import RangeResult

#: Requests taken back that may lie in the queues while there is no work.
DEAD = 256

#: Seconds between two looks at whether something takes too long.
HASTE = 1.0


class Keeper:
    """The jobs that this peer keeps, and the volunteers that compute them.

    Args:
        loop: Gives the time.
        events: Where to report.
        first: The number of its first grant, chosen by chance: two keepers of a job,
            or one before and after a restart, must not use the same.
        company: What is known of the volunteers.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        events: Events,
        first: int = 1,
        company: Company | None = None,
    ) -> None:
        self._loop = loop
        self._events = events
        #: Numbers for grants: one source, so that a number means one job only.
        self.numbers = count(first)
        self.jobs: dict[JobId, KeptJob] = {}
        self.seats: dict[PeerId, Seat] = {}
        self._stocked: dict[JobId, KeptJob] = {}  # those that may have open tasks
        self._empty: deque[Parked] = deque()  # requests of slots that do nothing
        self._behind: deque[Parked] = deque()  # places behind a running range
        self._dead = 0  # requests in the queues that were taken back
        self.company: Company = Strangers() if company is None else company
        self._granting = Granting(loop, events, self.company, self.seats)
        self._pumping = False
        self._lapse: asyncio.TimerHandle | None = None

    # --- jobs ---------------------------------------------------------------------

    def keep(self, job: KeptJob) -> None:
        """Take up a job."""
        self.jobs[job.id] = job

    def appended(self, job: KeptJob, shards: Iterable[Shard]) -> None:
        """Hand out new arguments."""
        for shard in shards:
            job.shelf.add(shard)
        self._restock(job)
        self._pump()  # at once: a parked slot may be waiting for just this

    def drop(self, job: KeptJob, *, over: bool = True) -> None:
        """Forget a job; if it is over, whoever computes it stops and forgets it too."""
        job.board.cancel()
        if self.jobs.get(job.id) is not job:
            return  # we have only read it
        del self.jobs[job.id]
        self._stocked.pop(job.id, None)
        for seat in self.seats.values():
            if seat.sent.pop(job.id, None) is not None and over:
                seat.revoke(Revoke(job.id, ()))
        self.wake()

    def settle(self, job: KeptJob) -> None:
        """Look again at a job whose board has changed."""
        self.revoke(job, job.board.surplus())
        self._restock(job)
        self._over(job)
        self.wake()

    def withdraw(self, job: KeptJob, start: int, stop: int) -> None:
        """Stop what computes only tasks that nobody wants any more."""
        self.revoke(job, job.board.withdraw(start, stop))
        self._over(job)

    # --- volunteers ---------------------------------------------------------------

    def sit(
        self,
        peer: PeerId,
        *,
        mine: bool,
        revoke: Callable[[Revoke], None],
        own: bool = False,
        takes: Callable[[PeerId], bool] = lambda _: True,
    ) -> Seat:
        """Let a volunteer ask for work."""
        seat = self.seats[peer] = Seat(peer, mine, own, revoke, takes)
        self._granting.begin_anew()
        return seat

    def seat(self, peer: PeerId | None) -> Seat:
        """Return a volunteer's seat.

        Raises:
            UnavailableError: it has none: its connection is being replaced.
        """
        seat = self.seats.get(peer) if peer is not None else None
        if seat is None:
            raise UnavailableError("this connection is being replaced")
        return seat

    def leave(self, seat: Seat, why: str) -> None:
        """A volunteer is gone: what it had goes to others at once."""
        if self.seats.get(seat.peer) is seat:
            del self.seats[seat.peer]
        for parked in seat.parked.values():
            parked.live = False
        self._dead += len(seat.parked)
        seat.parked.clear()
        self._granting.begin_anew()
        for job in self.jobs.values():
            self._report(job, job.board.leave(seat.peer), why)
            self._restock(job)
        self.wake()

    def want(self, seat: Seat, want: Want, answer: Callable[[Work], None]) -> None:
        """Park a request; `answer` is called when there is work for it."""
        seat.heard = self._loop.time()
        parked = Parked(seat, want, answer, seat.heard)
        seat.parked[want.number] = parked
        self._granting.begin_anew()
        (self._behind if want.queued else self._empty).append(parked)
        self.wake()

    def offered(self, seat: Seat, offer: Offer) -> None:
        """Hear what a volunteer's slots can be."""
        seat.offer = offer
        self._granting.begin_anew()
        self.wake()

    def unwant(self, seat: Seat, number: int) -> None:
        """Take a request back, unless it has been answered."""
        parked = seat.parked.pop(number, None)
        if parked is not None:
            self._granting.begin_anew()
            parked.live = False
            self._dead += 1
            parked.answer(Work(()))

    def renew(self, seat: Seat, renew: Renew) -> list[int]:
        """Take a heartbeat; return the grants that are void."""
        now = self._loop.time()
        void = []
        for held in renew.holdings:
            job = self.jobs.get(JobId(held.job))
            at = held.grant, held.index, now
            stands = held.suspended
            if job is None or not job.board.renew(seat.peer, *at, suspended=stands):
                void.append(held.grant)
        return void

    def give_back(self, seat: Seat, back: GiveBack) -> None:
        """Take back what a volunteer will not compute."""
        job = self.jobs.get(JobId(back.job))
        if job is not None:
            if back.forgot:
                seat.sent.pop(job.id, None)
            for grant in back.grants:
                job.board.give_back(seat.peer, grant)
            self._restock(job)
            self.wake()

    def deliver(
        self,
        seat: Seat,
        results: Iterable[RangeResult],
        blobs: dict[bytes, bytes] | None = None,
    ) -> Delivered:
        """Take in results.

        Args:
            seat: Who computed them.
            results: The ranges.
            blobs: Values that were too big for the message, by their digest.

        Raises:
            PeerError: a result that no grant of ours allows.
        """
        refused = []
        touched, now = dict[JobId, KeptJob](), self._loop.time()
        try:
            for result in results:
                job = self.jobs.get(JobId(result.job))
                if job is None:
                    refused.append(result.grant)
                    continue
                touched[job.id] = job
                got = delivery_of(seat.peer, result)
                new = job.board.deliver(got, result.granted, now)
                if result.lost:
                    self.note_loss(job, seat.peer, result)
                if new:
                    blob = blobs.get(result.digest) if blobs else None
                    job.sink.accepted(seat, result, blob, new)
        finally:  # one that is refused leaves those before it accepted
            for job in touched.values():
                job.sink.delivered()
                self.settle(job)
        return Delivered(1, tuple(refused), enough=not refused)

    # --- handing out --------------------------------------------------------------

    def wake(self) -> None:
        """Go over the parked requests once, at the end of this turn of the loop."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        self._granting.begin_anew()  # whom a volunteer takes may have changed
        self._stocked = {
            k: job for k, job in self._stocked.items() if job.board.stocked
        }
        if self._stocked or self._dead > DEAD:
            self._dead = 0
            self._serve(self._empty)
            self._serve(self._behind)
        self._watch()

    def _serve(self, queue: deque[Parked]) -> None:
        for _ in range(len(queue)):
            parked = queue.popleft()
            if not parked.live:
                continue
            work = self._granting.work_for(parked, self._stocked)
            if work is None:
                queue.append(parked)
            else:
                parked.live = False
                del parked.seat.parked[parked.want.number]
                parked.answer(work)

    def _restock(self, job: KeptJob) -> None:
        """Note that a job may have something to grant again."""
        if job.board.stocked and job.id in self.jobs:
            self._stocked.setdefault(job.id, job)

    def idle(self, job: KeptJob, since: float) -> int:
        """Count the slots that have waited for a job since then, doing nothing."""
        waiting = (one for one in self._empty if one.live and one.since <= since)
        barred = self.company.is_barred
        return sum(
            one.fits(job) and not barred(one.seat.peer, job.submitter)
            for one in waiting
        )

    def places(self, job: KeptJob) -> int:
        """Count the places for ranges that may want a part of this job."""
        return self._granting.places(job)

    # --- leases -------------------------------------------------------------------

    def _watch(self) -> None:
        """Look again when the next lease runs out."""
        if self._lapse is not None:
            return
        times = [job.board.next_lapse() for job in self.jobs.values()]
        first = min((time for time in times if time is not None), default=None)
        if first is not None:
            soon = self._loop.time() + HASTE
            hurry = any(job.hurries and job.board.grants for job in self.jobs.values())
            when = min(first, soon) if hurry else first
            self._lapse = self._loop.call_at(when, self._lapsed)

    def _lapsed(self) -> None:
        self._lapse = None
        now = self._loop.time()
        for job in self.jobs.values():
            self._report(job, job.board.lapse(now), "it has been silent")
            job.board.hasten(now, still=not job.hurries)
            self._restock(job)
        self.wake()

    def close(self) -> None:
        """Stop looking."""
        if self._lapse is not None:
            self._lapse.cancel()

    def _report(self, job: KeptJob, helds: list[Held], why: str) -> None:
        for held in helds:
            tasks = held.stop - held.start
            self._events.emit(TakenBack(job.id, held.volunteer, tasks, why))
            self.note(job, held.volunteer, (held.start, held.stop), why)

    def note(self, job: KeptJob, peer: PeerId, tasks: Span, why: str) -> None:
        """Remember why tasks came back, for whoever asks."""
        job.remember(Setback(*tasks, peer, why, self._loop.time()))

    def note_loss(self, job: KeptJob, peer: PeerId, result: RangeResult) -> None:
        """Remember how a task was lost with its process."""
        how = result.failures[0].message if result.failures else "it died"
        self.note(job, peer, (result.start, result.stop), how)

    def revoke(self, job: KeptJob, helds: list[Held]) -> None:
        """Tell whoever holds them that these grants are void."""
        by_seat: dict[PeerId, list[int]] = {}
        for held in helds:
            by_seat.setdefault(held.volunteer, []).append(held.number)
        for peer, numbers in by_seat.items():
            seat = self.seats.get(peer)
            if seat is not None:
                seat.revoke(Revoke(job.id, tuple(numbers[: limits.BATCH])))

    def _over(self, job: KeptJob) -> None:
        if job.board.finished and job.id in self.jobs:
            job.sink.finished()
