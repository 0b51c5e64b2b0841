"""The board: which tasks of one job are open, granted, or have a result.

A pure state machine. Events come in as method calls, with the time as an argument where
it matters; what follows comes out as values, and the keeper carries it out.

Every task is in exactly one of these states:

    open       to be granted, the first tasks first
    solo       open too, but it killed a process: granted alone, and elsewhere if there
               is an elsewhere
    granted    somebody computes it
    done       it has an outcome, or is no longer wanted; this absorbs

Results are only ever added: the first one for a task counts, and replicas that have
seen the same results in any order agree on which tasks are done. Of control records the
one with the highest sequence counts, and `cancelled` absorbs whatever the sequence.

Where several keepers hand out one job, each has a part of the tasks (`Parts`). The open
tasks of the others are granted only once `spare` says so.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from p2pslinger.errors import PeerError, UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import ATTEMPTS, JOB_TASKS, LEASE
from p2pslinger.rules.chunking import Pace
from p2pslinger.rules.delivery import Credit, Delivery, check
from p2pslinger.rules.grants import Held, Ledger
from p2pslinger.rules.parts import Parts
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.rules.where import Where
from p2pslinger.wire.records import Control


@dataclass
class Board:
    """One job's tasks.

    Args:
        job: Its id.
        key: Secret for the MACs, 32 bytes, shared by the job's keepers.
        lease: Seconds a grant lives without renewal.
        attempts: Tries of a task that kills its process.
        numbers: Numbers for grants, shared by all jobs of a keeper.
    """

    job: JobId
    key: bytes = field(repr=False)
    lease: float = LEASE
    attempts: int = ATTEMPTS
    numbers: Iterator[int] | None = None
    #: Tasks appended so far.
    total: int = 0
    #: Of the newest control record, and what it says of the job's turn.
    sequence: int = 0
    priority: int = 0
    #: Nothing more will be appended.
    sealed: bool = False
    #: Nothing more will be computed.
    cancelled: bool = False
    #: Nothing is handed out for now.
    paused: bool = False
    #: Nothing is handed out before we know what others have.
    waits: bool = False
    #: Other keepers' open tasks may be granted too.
    spare: bool = False
    #: Tasks with an outcome, or withdrawn.
    done: Spans = field(default_factory=Spans)
    #: Who has done what.
    credits: dict[PeerId, Credit] = field(default_factory=dict)
    #: Tries that ended with their process or their volunteer.
    lost: int = 0
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.job, self.key, self.lease, self.numbers)
        self._whole: int | None = None  # tasks in all, as a control record says
        self._open = Parts()
        self._adopted = (
            0  # grants of others may reach up to this task, before it is here
        )
        # Of tasks that are not done: the tries that died, by MAC, since a volunteer may
        # report the same one twice, and who made them.
        self._tries: dict[int, dict[bytes, PeerId]] = {}

    # --- the submitter's events ---------------------------------------------------

    def append(self, count: int) -> int:
        """Add `count` tasks; return the index of the first."""
        if self.sealed or (
            self._whole is not None and self.total + count > self._whole
        ):
            raise UsageError("nothing can be appended to a job that is sealed")
        if self.total + count > JOB_TASKS:
            raise UsageError(f"a job has at most {JOB_TASKS} tasks")
        first = self.total
        self.total += count
        self.sealed = self._whole == self.total
        self._reopen_free(first, self.total)
        return first

    def control(self, record: Control) -> list[Held]:
        """Take in a control record, in any order; return the grants to revoke.

        Raises:
            PeerError: it is of another job, or seals fewer tasks than there are.
        """
        if record.job != self.job:
            raise PeerError("sent a control record of another job")
        if record.sealed is not None and record.sealed < self.total:
            raise PeerError(f"sealed {record.sealed} of {self.total} tasks")
        if record.sequence >= self.sequence:
            self.sequence = record.sequence
            self.priority = record.priority
            self.paused = record.paused
        if record.sealed is not None:
            self._whole = record.sealed
            self.sealed = self._whole == self.total
        return self.cancel() if record.cancelled or record.forgotten else []

    def withdraw(self, start: int, stop: int) -> list[Held]:
        """Drop [start, stop); return the grants that have nothing left to do."""
        stop = min(stop, self.total)
        if start >= stop:
            return []
        self._finish(start, stop)
        idle = [h for h in self._ledger.live() if self.done.covers(h.start, h.stop)]
        for held in idle:
            self._ledger.end(held.number, held.volunteer)
        return idle

    def cancel(self) -> list[Held]:
        """Stop everything; return the grants to revoke."""
        self.cancelled = True
        return self._ledger.clear()

    # --- the other keepers' events ------------------------------------------------

    def divide(self, foreign: Iterable[Span], *, more: bool = False) -> None:
        """Say which tasks others hand out, or which more than was said before."""
        (self._open.divide_more if more else self._open.divide)(foreign)

    def shared(
        self, keeper: PeerId, made: Iterable[tuple[int, Span]], ended: Iterable[int]
    ) -> None:
        """Take in what another keeper has granted, and what of it is over."""
        for number, span in made:
            self._open.granted(keeper, number, span)
        for number in ended:
            gone = self._open.over(keeper, number)
            if gone is not None:
                self._reopen_free(*gone)

    def shared_by(self, keeper: PeerId) -> list[int]:
        """Return the grants that another keeper has told of, by number."""
        return self._open.numbers(keeper)

    def adopt(self, held: Held, mac: bytes) -> bool:
        """Take over a grant whose keeper is gone; return whether it is still wanted.

        Raises:
            PeerError: no keeper has made it.
        """
        right = self._ledger.mac(held.number, held.volunteer, held.start, held.stop)
        if not hmac.compare_digest(mac, right):
            raise PeerError(f"holds grant {held.number}, which nobody gave it")
        if self.cancelled or self.done.covers(held.start, held.stop):
            return False
        self._adopted = max(self._adopted, held.stop)
        self._open.moved(held.number)
        self._open.remove(held.start, held.stop)
        self._ledger.adopt(held)
        return True

    def absorb(self, got: Delivery) -> list[Span]:
        """Take in results that have been checked; return the parts that are new."""
        held = self._ledger.end(got.grant, got.volunteer)
        if self.cancelled:
            return []
        if got.lost and not self._last_try(got):
            new = []
        else:
            new = self._finish(got.start, got.stop)
            self._credit(got, new)
        if new and not got.lost:
            self.pace.measured(got.stop - got.start, got.wall)
        if held is not None:
            self.lost += got.lost  # else the try was counted when it lapsed
            self._reopen(held.start, held.stop)
        return new

    # --- the volunteers' events ---------------------------------------------------

    def grant(
        self,
        volunteer: PeerId,
        *,
        places: int,
        now: float,
        others: Set[PeerId],
        most: int = JOB_TASKS,
    ) -> list[Held]:
        """Give a volunteer something to do, for one slot.

        Args:
            volunteer: Who asks.
            places: How many places for ranges there are, this one included.
            now: The keeper's monotonic time, seconds.
            others: Volunteers that could take a task that this one has lost.
            most: Tasks to grant at most.

        Returns:
            The new grants; none if there is nothing for it.
        """
        if self.cancelled or self.paused or self.waits:
            return []
        task = self._solo_for(volunteer, others)
        if task is not None:
            self._open.remove(task, task + 1)
            return [self._ledger.make(volunteer, task, task + 1, now)]
        if self._open.ours.count or not self.spare:
            size = self.pace.size(self._open.ours.count, places)
            spans = self._open.take(min(most, size))
        else:
            size = self.pace.size(self._open.theirs.count, places)
            spans = self._open.take_from_behind(min(most, size))
        return [self._ledger.make(volunteer, *span, now) for span in spans]

    def mac(self, held: Held) -> bytes:
        """Return the MAC that a grant carries."""
        return self._ledger.mac(held.number, held.volunteer, held.start, held.stop)

    def renew(self, volunteer: PeerId, number: int, index: int, now: float) -> bool:
        """Take a heartbeat; return whether the grant is still wanted."""
        return self._ledger.renew(number, volunteer, index, now)

    def deliver(self, got: Delivery, granted: Span) -> list[Span]:
        """Take in results; return the parts that are new, which the submitter gets.

        Args:
            got: The range.
            granted: The grant's own [start, stop), as the volunteer repeats it.

        Raises:
            PeerError: nobody granted that, or the range lies outside of its grant.
        """
        check(got, granted, self._ledger.mac(got.grant, got.volunteer, *granted))
        return self.absorb(got)

    def give_back(self, volunteer: PeerId, number: int) -> bool:
        """Take back a grant that its holder will not compute."""
        held = self._ledger.end(number, volunteer)
        if held is not None:
            self._reopen(held.start, held.stop)
        return held is not None

    def leave(self, volunteer: PeerId) -> list[Held]:
        """Take back all that a volunteer holds: its connection is gone."""
        return self._taken_back(self._ledger.leave(volunteer))

    def lapse(self, now: float) -> list[Held]:
        """Take back the grants that were not renewed in time."""
        return self._taken_back(self._ledger.lapse(now))

    # --- what can be asked --------------------------------------------------------

    @property
    def open(self) -> int:
        """Tasks that could be granted now."""
        if self.cancelled or self.paused or self.waits:
            return 0
        spare = self._open.theirs.count if self.spare else 0
        apart = len(self._open.apart(spare=self.spare)) if self._open.solo else 0
        return self._open.ours.count + apart + spare

    @property
    def left_to_others(self) -> int:
        """Open tasks that other keepers should hand out."""
        apart = len(self._open.solo) - len(self._open.apart(spare=False))
        return self._open.theirs.count + apart

    @property
    def running(self) -> int:
        """Tasks that are granted."""
        return sum(held.stop - held.start for held in self._ledger.live())

    @property
    def running_elsewhere(self) -> int:
        """Tasks that other keepers have granted, as far as they have told."""
        return sum(stop - start for start, stop in self._open.elsewhere())

    @property
    def grants(self) -> int:
        """Live grants."""
        return len(self._ledger)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to compute, and nothing will be added."""
        return self.cancelled or (self.sealed and self.done.count >= self.total)

    @property
    def failed(self) -> int:
        """Tasks whose outcome is a failure."""
        return sum(credit.failures for credit in self.credits.values())

    def live(self) -> list[Held]:
        """Return the live grants."""
        return self._ledger.live()

    def where(self, task: int) -> Where:
        """Return what is known of one task."""
        held = [held for held in self._ledger.live() if held.start <= task < held.stop]
        tries = self._tries.get(task, {})
        return Where(
            task in self.done,
            held[0] if held else None,
            self._open.holder(task),
            task in self._open.solo,
            set(tries.values()),
            len(tries),
            self._open.before(task),
            task in self._open.theirs,
        )

    def next_lapse(self) -> float | None:
        """Return when the first grant lapses unless it is renewed."""
        return self._ledger.next_lapse()

    # --- inside -------------------------------------------------------------------

    def _last_try(self, got: Delivery) -> bool:
        """Charge the one task that the slot was at; return whether it has failed."""
        task = got.start
        if task in self.done:
            return False
        tries = self._tries.setdefault(task, {})
        tries[got.mac] = got.volunteer
        if self._open.remove(task, task + 1):  # a late report: it was to run in company
            self._open.set_apart(task)
        return got.final or len(tries) >= self.attempts

    def _finish(self, start: int, stop: int) -> list[Span]:
        """Make [start, stop) done; return the parts of it that were not."""
        self._open.remove(start, stop)
        for task in [t for t in self._tries if start <= t < stop]:
            del self._tries[task]
        return self.done.add(start, stop)

    def _credit(self, got: Delivery, new: list[Span]) -> None:
        tasks = sum(stop - start for start, stop in new)
        if tasks:
            credit = self.credits.setdefault(got.volunteer, Credit())
            part = tasks / (got.stop - got.start)
            credit.tasks += tasks
            credit.failures += min(tasks, got.failures)
            credit.cpu += got.cpu * part

    def _taken_back(self, helds: list[Held]) -> list[Held]:
        self.lost += len(helds)
        for held in helds:
            self._reopen(held.start, held.stop)
        return helds

    def _reopen(self, start: int, stop: int) -> None:
        """Make open what nobody holds: alone, if it has killed a process before."""
        for low, high in self.done.missing(start, stop):
            self._open.add(low, high)
            for task in [t for t in self._tries if low <= t < high]:
                self._open.set_apart(task)

    def _reopen_free(self, start: int, stop: int) -> None:
        """Make open what nobody computes: neither for us nor for another keeper."""
        elsewhere = self._open.elsewhere()
        if not elsewhere and start >= self._adopted:
            self._reopen(start, stop)
            return
        free = Spans()
        free.add(start, stop)
        for held in self._ledger.live():
            free.remove(held.start, held.stop)
        for span in elsewhere:
            free.remove(*span)
        for span in free:
            self._reopen(*span)

    def _solo_for(self, volunteer: PeerId, others: Set[PeerId]) -> int | None:
        """Return a task to be run alone that this volunteer may try."""
        for task in self._open.apart(spare=self.spare) if self._open.solo else ():
            losers = set(self._tries[task].values())
            if volunteer not in losers or not others - losers:
                return task
        return None
