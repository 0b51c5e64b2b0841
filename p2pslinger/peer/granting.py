"""Which work a request gets: whose job is next, and how many of its tasks.

The order of jobs is `p2pslinger.rules.schedule`'s to say, the tasks are the board's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from p2pslinger import limits
from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.events import Events, Granted
from p2pslinger.peer.parcels import parcel
from p2pslinger.peer.seats import Company, KeptJob, Parked, Seat, able, parked_for
from p2pslinger.rules.grants import Held
from p2pslinger.rules.schedule import Candidate, in_turn
from p2pslinger.wire.messages import Work

#: Jobs that one request is weighed against: a program that submits ten thousand
#: closures opens as many jobs, and the oldest ones are next anyway.
CONSIDERED = 64

#: Seconds after which a volunteer that has not asked for work is no "elsewhere" any
#: more for a task that killed its slot.
AWAY = 10.0


class Granting:
    """Grants tasks.

    Args:
        loop: Gives the time.
        events: Where to report.
        company: What is known of the volunteers.
        seats: Those who are there.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        events: Events,
        company: Company,
        seats: Mapping[PeerId, Seat],
    ) -> None:
        self._loop = loop
        self._events = events
        self._company = company
        self._seats = seats
        #: Requests that could get a part of a job, and how many were served by then.
        self._parked: dict[JobId, tuple[int, int]] = {}
        self._served: list[Seat] = []

    def begin_anew(self) -> None:
        """Note that requests have come or gone in another way than by being served."""
        self._parked.clear()
        self._served.clear()

    def work_for(self, parked: Parked, stocked: Mapping[JobId, KeptJob]) -> Work | None:
        """Grant a request some tasks of one of the `stocked` jobs, if any is for it."""
        for candidate in in_turn(_candidates(parked, stocked.values())):
            job = stocked[candidate.job]
            barred = self._company.is_barred(parked.seat.peer, job.submitter)
            helds = [] if barred else self._grant(job, parked.seat)
            if helds:
                tasks = sum(held.stop - held.start for held in helds)
                self._events.emit(Granted(job.id, parked.seat.peer, tasks))
                job.sink.granted()
                self._served.append(parked.seat)
                return parcel(job, parked.seat, helds)
        return None

    def places(self, job: KeptJob) -> int:
        """Count the places for ranges that may want a part of this job."""
        return parked_for(job, self._seats.values()) + job.board.grants

    def _places(self, job: KeptJob) -> int:
        """Return what `places` does, without going over everybody for each grant."""
        waiting, before = self._parked.get(job.id, (-1, 0))
        if waiting < 0:
            waiting = parked_for(job, self._seats.values())
        else:
            waiting -= sum(seat.fits(job) for seat in self._served[before:])
        self._parked[job.id] = waiting, len(self._served)
        return waiting + job.board.grants

    def _grant(
        self, job: KeptJob, seat: Seat, most: int = limits.JOB_TASKS
    ) -> list[Held]:
        """Grant a seat some tasks, of no more shards than fit a message."""
        now, others = self._loop.time(), frozenset[PeerId]()
        if job.board.is_wary:
            others = able(job, self._seats.values(), now - AWAY)
        helds = job.board.grant(
            seat.peer,
            places=self._places(job),
            now=now,
            others=others,
            most=most,
            apart=self._company.apart,
        )
        shards = sum(job.shelf.count(held.start, held.stop) for held in helds)
        if shards <= limits.BATCH or most <= limits.BATCH:
            return helds
        for held in helds:
            job.board.give_back(seat.peer, held.number)
        return self._grant(job, seat, limits.BATCH)


def _candidates(parked: Parked, stocked: Iterable[KeptJob]) -> list[Candidate]:
    """Return jobs with something for this request, the first ones if many."""
    queued = parked.want.queued
    found: list[Candidate] = []
    for job in stocked:
        may = not queued or job.board.pace.may_queue
        if job.board.stocked and may and parked.fits(job):
            found.append(job.candidate)
            if len(found) == CONSIDERED:
                break
    return found
