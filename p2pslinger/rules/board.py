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

Where several keepers hand out one job, each has a part of the tasks (`Parts`), and may
give some of it to another. The open tasks of others are granted once `spare` says so.

Tasks that are done may be granted again to be checked, and those of a holder that takes
too long to somebody else (`Copies`); that changes the state of no task.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Set

from p2pslinger.errors import PeerError, UsageError
from p2pslinger.ids import PeerId
from p2pslinger.limits import JOB_TASKS, RANGE_SECONDS
from p2pslinger.rules.copies import Apart, Copy, is_late, nobody
from p2pslinger.rules.delivery import Credit, Delivery, check
from p2pslinger.rules.grants import Held
from p2pslinger.rules.spans import Span
from p2pslinger.rules.tasks import Tasks
from p2pslinger.wire.records import Control


class Board(Tasks):
    """One job's tasks, and what happens to them."""

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
            self.excluded = frozenset(map(PeerId, record.excluded))
        if record.sealed is not None:
            self._whole = record.sealed
            self.sealed = self._whole == self.total
        if record.cancelled or record.forgotten:
            return self.cancel()
        theirs = [self._ledger.leave(one) for one in sorted(self.excluded)]
        return [held for helds in theirs for held in self._taken_back(helds)]

    def redo(self, start: int, stop: int) -> list[Span]:
        """Make [start, stop) open again, whose results do not count any more.

        Returns:
            What of it was done.
        """
        gone = self.done.remove(start, stop)
        for span in gone:
            self._reopen_free(*span, doubly=True)
        return gone

    def withdraw(self, start: int, stop: int) -> list[Held]:
        """Drop [start, stop); return the grants that have nothing left to do."""
        stop = min(stop, self.total)
        if start >= stop:
            return []
        self._finish(start, stop)
        self._doubled = True
        return self.surplus()

    def cancel(self) -> list[Held]:
        """Stop everything; return the grants to revoke."""
        self.cancelled = True
        self.copies.clear()
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

    def give(self, idle: int, places: int) -> list[Span]:
        """Leave some of our tasks to another keeper; return which.

        Args:
            idle: Its slots that have nothing to do.
            places: Our places for ranges.
        """
        if self.rests:
            return []
        left, whole = self._open.ours.count, places + idle
        share = max(left // whole, self.pace.size(left, whole))  # of each slot
        return self._open.give(min(left, idle * share))

    def given(self, spans: Iterable[Span]) -> int:
        """Take over what another keeper leaves to us; return how many are open."""
        before = self._open.ours.count
        self._open.given(spans)
        return self._open.ours.count - before

    def stands_still(self, keeper: PeerId, tasks: int) -> None:
        """Take in how many of another keeper's granted tasks stand still."""
        self._open.stands_still(keeper, tasks)

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

    def absorb(self, got: Delivery, now: float | None = None) -> list[Span]:
        """Take in results that have been checked; return the parts that are new.

        Args:
            got: The range.
            now: The keeper's monotonic time, if there is any doubt about how long the
                tasks took: that is what their volunteer says.
        """
        held = self._ledger.end(got.grant, got.volunteer)
        if self.cancelled:
            return []
        if got.volunteer in self.excluded:
            if held is not None:
                self._over(held, held.start)
            return []
        # Unless it comes from where we expect it, somebody else may be at it as well.
        known = held is not None or self._open.is_elsewhere(got.grant)
        self._doubled = self._doubled or not known or bool(self.copies)
        if got.lost and not self._last_try(got):
            new = []
        else:
            new = self._finish(got.start, got.stop)
            tasks = sum(stop - start for start, stop in new)
            if tasks:
                self.credits.setdefault(got.volunteer, Credit()).add(got, tasks)
        if new and not got.lost:
            self._measure(got, held, now)
        if held is not None:
            self.lost += got.lost  # else the try was counted when it lapsed
            self._over(held, held.start if got.lost else got.stop, died=got.lost)
        return new

    # --- once more ----------------------------------------------------------------

    def again(
        self, start: int, stop: int, not_by: frozenset[PeerId], apart: Apart = nobody
    ) -> None:
        """Have tasks that are done computed again, by none of these, to compare."""
        self.copies.check(start, stop, not_by, self._ledger.live(), apart)

    def hasten(self, now: float, *, still: bool = False) -> bool:
        """Ask for copies of what takes too long; return whether there are new ones.

        Args:
            now: The keeper's monotonic time, seconds.
            still: Only of what stands still, as its holder says.
        """
        if self.open or self.rests:
            return False  # there is other work for who is free
        live = sorted(self._ledger.live(), key=lambda held: held.since)
        late = [
            one
            for one in live
            if one.suspended or (not still and is_late(one, now, self.pace, self.lease))
        ]
        each = self.pace.seconds or RANGE_SECONDS
        size = max(1, int(RANGE_SECONDS / max(each, 1e-9)))
        return self.copies.relieve(late, self.done, size)

    def surplus(self) -> list[Held]:
        """Take back the grants that have nothing left to do but what nobody wants."""
        if not self._doubled:
            return []
        self._doubled = False
        idle = [
            held
            for held in self._ledger.live()
            if self.done.covers(held.start, held.stop)
            and not self.copies.is_check(held.number)
        ]
        for held in idle:
            self._ledger.end(held.number, held.volunteer)
            self.copies.ended(held, held.stop)
        return idle

    # --- the volunteers' events ---------------------------------------------------

    def grant(
        self,
        volunteer: PeerId,
        *,
        places: int,
        now: float,
        others: Set[PeerId],
        most: int = JOB_TASKS,
        apart: Apart = nobody,
    ) -> list[Held]:
        """Give a volunteer something to do, for one slot.

        Args:
            volunteer: Who asks.
            places: How many places for ranges there are, this one included.
            now: The keeper's monotonic time, seconds.
            others: Volunteers that could take a task that this one has lost.
            most: Tasks to grant at most.
            apart: Tells who may check whom.

        Returns:
            The new grants; none if there is nothing for it.
        """
        if self.rests or volunteer in self.excluded:
            return []
        check = self.copies.take(volunteer, apart, relief=False)
        if check is not None:  # before anything else: somebody may wait for it
            return [self._begin(volunteer, check, now)]
        solo = self._open.apart(spare=self.spare) if self._open.solo else ()
        task = self._tries.next_for(volunteer, solo, others)
        if task is not None:
            self._open.remove(task, task + 1)
            return [self._ledger.make(volunteer, task, task + 1, now)]
        if self._open.ours.count or not self.spare:
            size = self.pace.size(self._open.ours.count, places)
            spans = self._open.take(min(most, size))
        else:
            size = self.pace.size(self._open.theirs.count, places)
            spans = self._open.take_from_behind(min(most, size), aside=self.aside)
        relief = None if spans else self.copies.take(volunteer, apart, relief=True)
        if relief is not None:
            return [self._begin(volunteer, relief, now)]
        return [self._ledger.make(volunteer, *span, now) for span in spans]

    def mac(self, held: Held) -> bytes:
        """Return the MAC that a grant carries."""
        return self._ledger.mac(held.number, held.volunteer, held.start, held.stop)

    def renew(
        self,
        volunteer: PeerId,
        number: int,
        index: int,
        now: float,
        *,
        suspended: bool = False,
    ) -> bool:
        """Take a heartbeat; return whether the grant is still wanted."""
        return self._ledger.renew(number, volunteer, index, now, suspended=suspended)

    def deliver(
        self, got: Delivery, granted: Span, now: float | None = None
    ) -> list[Span]:
        """Take in results; return the parts that are new, which the submitter gets.

        Args:
            got: The range.
            granted: The grant's own [start, stop), as the volunteer repeats it.
            now: See `absorb`.

        Raises:
            PeerError: nobody granted that, or the range lies outside of its grant.
        """
        check(got, granted, self._ledger.mac(got.grant, got.volunteer, *granted))
        return self.absorb(got, now)

    def give_back(self, volunteer: PeerId, number: int) -> bool:
        """Take back a grant that its holder will not compute."""
        held = self._ledger.end(number, volunteer)
        if held is not None:
            self._over(held, held.start)
        return held is not None

    def leave(self, volunteer: PeerId) -> list[Held]:
        """Take back all that a volunteer holds: its connection is gone."""
        return self._taken_back(self._ledger.leave(volunteer))

    def lapse(self, now: float) -> list[Held]:
        """Take back the grants that were not renewed in time."""
        return self._taken_back(self._ledger.lapse(now))

    # --- inside -------------------------------------------------------------------

    def _measure(self, got: Delivery, held: Held | None, now: float | None) -> None:
        """Take in how long tasks took: never longer than they were granted for."""
        wall = got.wall
        if now is not None:
            if held is None or not held.since:
                return  # nobody here knows
            wall = min(wall, now - held.since)
        self.pace.measured(got.stop - got.start, wall)

    def _last_try(self, got: Delivery) -> bool:
        """Charge the one task that the slot was at; return whether it has failed."""
        task = got.start
        if task in self.done:
            return False
        tries = self._tries.add(task, got.mac, got.volunteer)
        if self._open.remove(task, task + 1):  # a late report: it was to run in company
            self._open.set_apart(task)
        return got.final or tries >= self.attempts

    def _finish(self, start: int, stop: int) -> list[Span]:
        """Make [start, stop) done; return the parts of it that were not."""
        self._open.remove(start, stop)
        self._tries.forget(start, stop)
        return self.done.add(start, stop)

    def _taken_back(self, helds: list[Held]) -> list[Held]:
        self.lost += len(helds)
        for held in helds:
            self._over(held, held.start)
        return helds

    def _begin(self, volunteer: PeerId, copy: Copy, now: float) -> Held:
        held = self._ledger.make(volunteer, copy.start, copy.stop, now)
        self.copies.begun(held, copy)
        return held

    def _over(self, held: Held, upto: int, *, died: bool = False) -> None:
        """A grant has ended, with its tasks before `upto` computed."""
        if not self.copies:
            self._reopen(held.start, held.stop)
            return
        self.copies.ended(held, upto, died=died)
        self._reopen_free(held.start, held.stop, doubly=True)

    def _reopen(self, start: int, stop: int) -> None:
        """Make open what nobody holds: alone, if it has killed a process before."""
        for low, high in self.done.missing(start, stop):
            self._open.add(low, high)
            for task in self._tries.among(low, high):
                self._open.set_apart(task)

    def _reopen_free(self, start: int, stop: int, *, doubly: bool = False) -> None:
        """Make open what nobody computes: neither for us nor for another keeper."""
        if start >= self._adopted and not doubly and not self._open.elsewhere():
            self._reopen(start, stop)
            return
        live = [(held.start, held.stop) for held in self._ledger.live()]
        for span in self._open.free(start, stop, live):
            self._reopen(*span)
