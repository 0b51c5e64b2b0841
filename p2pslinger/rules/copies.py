"""Ranges that are to be computed again, by somebody else.

A *check* is another answer for tasks that have one: its volunteer must stand apart from
all who have answered. A *relief* is a second try of a range whose holder takes too long
or is silent: whoever is there may make it, and only while the first one is not back.
Both repeat the borders of the first, so that answers can be compared.

Asked for here, and handed out by the board; what was handed out and came to nothing is
asked for again, of another volunteer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from p2pslinger.ids import PeerId
from p2pslinger.limits import BEAT, LEASE, RANGE_SECONDS
from p2pslinger.rules.chunking import Pace
from p2pslinger.rules.grants import Held
from p2pslinger.rules.spans import Span, Spans

#: Tells whether a volunteer (the first) stands apart from another: neither is the
#: other, nor does one person seem to be behind both; and the first is no newcomer.
Apart = Callable[[PeerId, PeerId], bool]

#: Seconds without a heartbeat after which a range may be given to another as well: one
#: beat was missed.
SILENT = 2 * BEAT

#: A range that has lasted so many times what a slot takes until it reports is late.
LATE = 4.0

#: Pieces of late ranges that are given to others at once, each about a second of work.
PIECES = 64


def nobody(volunteer: PeerId, other: PeerId) -> bool:
    """Say that no volunteer stands apart from another: nobody can check anybody."""
    return False


def is_late(held: Held, now: float, pace: Pace, lease: float = LEASE) -> bool:
    """Tell whether a grant's holder stands still, is silent, or is much too slow."""
    if held.suspended:
        return True
    if held.expires - lease < now - SILENT:
        return True
    if pace.seconds is None or not held.since:
        return False  # nobody knows how long it should take, or how long it has
    # A slot reports after its time slice, however many tasks it was given.
    return now - held.since > LATE * max(RANGE_SECONDS, pace.seconds)


@dataclass(frozen=True, slots=True)
class Copy:
    """A range that somebody else should compute.

    Attributes:
        start: First task.
        stop: One after the last.
        not_by: Who has answered, or was asked before.
        relieves: The number of the grant that takes too long; None for a check.
    """

    start: int
    stop: int
    not_by: frozenset[PeerId]
    relieves: int | None = None


class Copies:
    """The copies of one job that are asked for or running."""

    def __init__(self) -> None:
        self._asked: list[Copy] = []
        self._running: dict[int, Copy] = {}  # by number of the grant
        #: Tasks that were computed again to be compared, so far.
        self.compared = 0

    def __len__(self) -> int:
        return len(self._asked) + len(self._running)

    def __contains__(self, number: int) -> bool:
        """Tell whether a grant is for a copy."""
        return number in self._running

    @property
    def asked(self) -> int:
        """Copies that nobody computes yet."""
        return len(self._asked)

    @property
    def checks(self) -> int:
        """Checks that are asked for or running."""
        every = [*self._asked, *self._running.values()]
        return sum(copy.relieves is None for copy in every)

    def is_check(self, number: int) -> bool:
        """Tell whether a grant is for an answer to be compared."""
        copy = self._running.get(number)
        return copy is not None and copy.relieves is None

    def is_relieved(self, number: int) -> bool:
        """Tell whether a copy of a grant is asked for, or running."""
        every = [*self._asked, *self._running.values()]
        return any(copy.relieves == number for copy in every)

    def is_running(self, start: int, stop: int) -> bool:
        """Tell whether somebody computes a part of [start, stop) again."""
        return any(c.start < stop and start < c.stop for c in self._running.values())

    # --- events -------------------------------------------------------------------

    def check(
        self,
        start: int,
        stop: int,
        not_by: frozenset[PeerId],
        live: Iterable[Held],
        apart: Apart,
    ) -> None:
        """Have a range computed again, to compare.

        Args:
            start: First task.
            stop: One after the last.
            not_by: Who has answered.
            live: All grants: somebody may be at the very range already.
            apart: Tells who may check whom.
        """
        for held in live:
            if (held.start, held.stop) != (start, stop) or self.is_check(held.number):
                continue
            who = held.volunteer
            if who not in not_by and all(apart(who, one) for one in not_by):
                self._running[held.number] = Copy(start, stop, not_by)
                return
        self._asked.append(Copy(start, stop, not_by))

    def relieve(self, late: Iterable[Held], done: Spans, size: int) -> bool:
        """Have ranges computed by others as well; return whether any is new.

        Args:
            late: Their grants.
            done: Tasks that need it no more.
            size: Tasks of one piece.
        """
        pieces = []
        for held in late:
            if held.number in self or self.is_relieved(held.number):
                continue
            by = frozenset({held.volunteer})
            for low, high in done.missing(held.start, held.stop):
                for start in range(low, min(high, low + PIECES * size), size):
                    stop = min(high, start + size)
                    pieces.append(Copy(start, stop, by, held.number))
        self._asked += pieces[:PIECES]
        return bool(pieces)

    def take(self, volunteer: PeerId, apart: Apart, *, relief: bool) -> Copy | None:
        """Return what a volunteer may compute again; it is to be `begun` then."""
        for copy in self._asked:
            check = copy.relieves is None
            if check is relief or volunteer in copy.not_by:
                continue
            if not check or all(apart(volunteer, one) for one in copy.not_by):
                self._asked.remove(copy)
                return copy
        return None

    def begun(self, held: Held, copy: Copy) -> None:
        """A copy was granted."""
        self._running[held.number] = copy

    def ended(self, held: Held, upto: int, *, died: bool = False) -> None:
        """A grant is over, with its tasks before `upto` computed.

        What is left of a check is asked for again, of others if it killed a process.
        What should relieve the grant is not wanted any more.
        """
        copy = self._running.pop(held.number, None)
        if copy is not None and copy.relieves is None:
            self.compared += max(0, min(upto, copy.stop) - copy.start)
        if copy is not None and copy.relieves is None and upto < copy.stop:
            start = max(copy.start, upto)
            not_by = copy.not_by | ({held.volunteer} if died else set())
            self._asked.append(replace(copy, start=start, not_by=not_by))
        self._asked = [one for one in self._asked if one.relieves != held.number]

    def drop(self, start: int, stop: int) -> None:
        """Nobody wants [start, stop) to be checked any more."""
        kept = []
        for copy in self._asked:
            parts = [copy] if copy.relieves is not None else _outside(copy, start, stop)
            kept += parts
        self._asked = kept
        for number, copy in list(self._running.items()):
            if copy.relieves is None:
                self._shorten(number, _outside(copy, start, stop))

    def _shorten(self, number: int, parts: list[Copy]) -> None:
        """Say what of a running check is wanted: its first part; others may do more."""
        del self._running[number]
        if parts:
            self._running[number] = parts[0]
            self._asked += parts[1:]

    def clear(self) -> None:
        """Nothing is wanted any more."""
        self._asked.clear()
        self._running.clear()


def _outside(copy: Copy, start: int, stop: int) -> list[Copy]:
    """Return the parts of a copy that lie outside of [start, stop)."""
    parts: list[Span] = [
        (copy.start, min(copy.stop, start)),
        (max(copy.start, stop), copy.stop),
    ]
    return [replace(copy, start=a, stop=b) for a, b in parts if a < b]
