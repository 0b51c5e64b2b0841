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
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from p2pslinger.errors import PeerError, UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import ATTEMPTS, JOB_TASKS, LEASE, SIGNED_RANGES
from p2pslinger.rules.chunking import Pace
from p2pslinger.rules.grants import Held, Ledger
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.wire.records import Control


@dataclass(frozen=True, slots=True)
class Delivery:
    """One range of results, without its values.

    Attributes:
        volunteer: Who computed and signed it.
        grant: Number of the grant.
        mac: Its MAC, over the grant's own [granted_start, granted_stop).
        start: First task.
        stop: One after the last that was computed.
        failures: How many of them failed.
        lost: The slot died at `start`, the only task of this range, and its failure.
        final: Another try would end the same way (a time-out): do not retry.
        wall: Seconds they took.
        cpu: CPU seconds they took.
    """

    volunteer: PeerId
    grant: int
    mac: bytes
    start: int
    stop: int
    failures: int = 0
    lost: bool = False
    final: bool = False
    wall: float = 0.0
    cpu: float = 0.0


@dataclass(slots=True)
class Credit:
    """What one volunteer has done for the job."""

    tasks: int = 0
    failures: int = 0
    cpu: float = 0.0


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
        self._open = Spans()
        self._solo: set[int] = set()
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
        self._reopen(first, self.total)
        return first

    def seal(self) -> None:
        """Say that nothing more will be appended."""
        self.sealed = True

    def control(self, record: Control) -> list[Held]:
        """Take in a control record, in any order; return the grants to revoke.

        Raises:
            PeerError: it is of another job, or seals fewer tasks than there are.
        """
        if record.job != self.job:
            raise PeerError("sent a control record of another job")
        if record.sealed is not None and record.sealed < self.total:
            raise PeerError(f"sealed {record.sealed} of {self.total} tasks")
        if record.sequence > self.sequence:
            self.sequence = record.sequence
            self.priority = record.priority
        if record.sealed is not None:
            self._whole = record.sealed
            self.sealed = self._whole == self.total
        return self.cancel() if record.cancelled else []

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
        if self.cancelled:
            return []
        task = self._solo_for(volunteer, others)
        if task is not None:
            self._solo.remove(task)
            return [self._ledger.make(volunteer, task, task + 1, now)]
        want = min(most, self.pace.size(self._open.count, places))
        return [
            self._ledger.make(volunteer, start, stop, now)
            for start, stop in self._take(want)
        ]

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
        self._check(got, granted)
        held = self._ledger.end(got.grant, got.volunteer)
        if self.cancelled:
            return []
        if got.lost and not self._last_try(got):
            new = []
        else:
            new = self._finish(got.start, got.stop)
            self._credit(got, new)
        if got.lost and held is not None:  # else the try was counted when it lapsed
            self.lost += 1
        if new and not got.lost:
            self.pace.measured(got.stop - got.start, got.wall)
        if held is not None:
            self._reopen(held.start, held.stop)
        return new

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
        return 0 if self.cancelled else self._open.count + len(self._solo)

    @property
    def running(self) -> int:
        """Tasks that are granted."""
        return sum(held.stop - held.start for held in self._ledger.live())

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

    def next_lapse(self) -> float | None:
        """Return when the first grant lapses unless it is renewed."""
        return self._ledger.next_lapse()

    # --- inside -------------------------------------------------------------------

    def _check(self, got: Delivery, granted: Span) -> None:
        start, stop = granted
        mac = self._ledger.mac(got.grant, got.volunteer, start, stop)
        if not hmac.compare_digest(mac, got.mac):
            raise PeerError(f"delivered grant {got.grant}, which nobody gave it")
        if not start <= got.start < got.stop <= stop:
            raise PeerError(f"delivered tasks outside of its grant {got.grant}")
        if not got.lost and got.start != start:
            raise PeerError(f"delivered grant {got.grant} without its first tasks")
        if got.lost and got.stop != got.start + 1:
            raise PeerError("reported the death of a slot for more than one task")
        if got.failures > got.stop - got.start or (got.lost and not got.failures):
            raise PeerError(
                f"delivered {got.failures} failures of {got.stop - got.start} tasks"
            )

    def _last_try(self, got: Delivery) -> bool:
        """Charge the one task that the slot was at; return whether it has failed."""
        task = got.start
        if task in self.done:
            return False
        tries = self._tries.setdefault(task, {})
        tries[got.mac] = got.volunteer
        if self._open.remove(task, task + 1):  # a late report: it was to run in company
            self._solo.add(task)
        return got.final or len(tries) >= self.attempts

    def _finish(self, start: int, stop: int) -> list[Span]:
        """Make [start, stop) done; return the parts of it that were not."""
        self._open.remove(start, stop)
        for task in [t for t in self._tries if start <= t < stop]:
            del self._tries[task]
            self._solo.discard(task)
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
                self._open.remove(task, task + 1)
                self._solo.add(task)

    def _take(self, want: int) -> list[Span]:
        """Take the first `want` open tasks, fewer if they lie too scattered."""
        spans: list[Span] = []
        for start, stop in self._open.first(SIGNED_RANGES):
            if want <= 0:
                break
            spans.append((start, min(stop, start + want)))
            want -= stop - start
        for start, stop in spans:
            self._open.remove(start, stop)
        return spans

    def _solo_for(self, volunteer: PeerId, others: Set[PeerId]) -> int | None:
        """Return a task to be run alone that this volunteer may try."""
        for task in self._solo:
            losers = set(self._tries[task].values())
            if volunteer not in losers or not others - losers:
                return task
        return None
