"""The open tasks of one job: ours, and those that other keepers hand out.

Where several keepers hand out one job, each has its own part of the tasks. It knows
what the others have granted, and leaves their parts alone, until one of them gives it
some. If nobody answers, it may be told to take others' last tasks, for they begin with
the first; of several that do so, each leaves another share of the last ones alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pslinger.ids import PeerId
from p2pslinger.limits import SIGNED_RANGES
from p2pslinger.rules.spans import Span, Spans


class Parts:
    """Tasks that nobody computes.

    Attributes:
        ours: Those of our own part.
        theirs: Those that other keepers should hand out.
        solo: Those that are to be granted alone; in neither of the others.
    """

    def __init__(self) -> None:
        self.ours = Spans()
        self.theirs = Spans()
        self.solo: set[int] = set()
        self._foreign = Spans()  # all tasks of others' parts, open or not
        self._elsewhere: dict[PeerId, dict[int, Span]] = {}
        self._still: dict[PeerId, int] = {}  # tasks of those that stand still

    def add(self, start: int, stop: int) -> None:
        """Make [start, stop) open."""
        if not self._foreign.count:
            self.ours.add(start, stop)
            return
        self.theirs.add(start, stop)
        for low, high in self._foreign.missing(start, stop):
            self.theirs.remove(low, high)
            self.ours.add(low, high)

    def remove(self, start: int, stop: int) -> bool:
        """Take [start, stop) out; return whether any of it was open."""
        gone = bool(self.ours.remove(start, stop))
        for task in [t for t in self.solo if start <= t < stop]:
            self.solo.discard(task)
            gone = True
        return bool(self.theirs.count and self.theirs.remove(start, stop)) or gone

    def set_apart(self, task: int) -> None:
        """Make a task open that is to be granted alone."""
        self.remove(task, task + 1)
        self.solo.add(task)

    def apart(self, *, spare: bool) -> list[int]:
        """Return the tasks that are to be granted alone, by us."""
        return [t for t in self.solo if spare or t not in self._foreign]

    def take(self, want: int) -> list[Span]:
        """Take our first `want` tasks, fewer if they lie too scattered."""
        spans: list[Span] = []
        for start, stop in self.ours.first(SIGNED_RANGES):
            if want <= 0:
                break
            spans.append((start, min(stop, start + want)))
            want -= stop - start
        for start, stop in spans:
            self.ours.remove(start, stop)
        return spans

    def take_from_behind(self, want: int, *, aside: float = 0.0) -> list[Span]:
        """Take the last `want` tasks of others, fewer if they lie too scattered.

        Args:
            want: How many.
            aside: Share of the very last ones that others may have, 0 to 1.
        """
        spans = _last(self.theirs, want, int(self.theirs.count * aside))
        for start, stop in spans:
            self.theirs.remove(start, stop)
        return spans

    def give(self, want: int) -> list[Span]:
        """Leave our last `want` tasks to another keeper, fewer if scattered."""
        spans = _last(self.ours, want)
        self.divide_more(spans)
        return spans

    def given(self, spans: Iterable[Span]) -> None:
        """Hand out from now on what another keeper has left to us."""
        for span in spans:
            self._foreign.remove(*span)
            for low, high in self.theirs.remove(*span):
                self.ours.add(low, high)

    def divide(self, foreign: Iterable[Span]) -> None:
        """Say which tasks other keepers hand out, instead of what was said before."""
        self._foreign = Spans()
        for span in foreign:
            self._foreign.add(*span)
        for low, high in [*self.ours, *self.theirs]:
            self.remove(low, high)
            self.add(low, high)

    def divide_more(self, foreign: Iterable[Span]) -> None:
        """Say which further tasks other keepers hand out."""
        for span in foreign:
            self._foreign.add(*span)
            for low, high in self.ours.remove(*span):
                self.theirs.add(low, high)

    def is_ours(self, task: int) -> bool:
        """Tell whether a task is of our own part."""
        return task not in self._foreign

    # --- what other keepers have granted --------------------------------------------

    def granted(self, keeper: PeerId, number: int, span: Span) -> None:
        """Note that another keeper has granted these tasks."""
        self._elsewhere.setdefault(keeper, {})[number] = span
        self.remove(*span)

    def over(self, keeper: PeerId, number: int) -> Span | None:
        """Note that a grant of another keeper is over; return its tasks."""
        return self._elsewhere.get(keeper, {}).pop(number, None)

    def stands_still(self, keeper: PeerId, tasks: int) -> None:
        """Note how many of another keeper's granted tasks stand still now."""
        self._still[keeper] = tasks

    def still(self) -> int:
        """Return how many tasks stand still that other keepers have granted."""
        return sum(
            n for keeper, n in self._still.items() if self._elsewhere.get(keeper)
        )

    def moved(self, number: int) -> None:
        """Note that a grant of another keeper, whichever, is ours now."""
        for theirs in self._elsewhere.values():
            theirs.pop(number, None)

    def numbers(self, keeper: PeerId) -> list[int]:
        """Return the grants that another keeper has told us of."""
        return list(self._elsewhere.get(keeper, ()))

    def holder(self, task: int) -> PeerId | None:
        """Return the keeper that has granted a task, or None."""
        for keeper, theirs in self._elsewhere.items():
            if any(start <= task < stop for start, stop in theirs.values()):
                return keeper
        return None

    def before(self, task: int) -> int:
        """Count the tasks of ours before one."""
        return sum(min(stop, task) - low for low, stop in self.ours if low < task)

    def is_elsewhere(self, number: int) -> bool:
        """Tell whether another keeper has told us of this grant."""
        return any(number in theirs for theirs in self._elsewhere.values())

    def elsewhere(self) -> list[Span]:
        """Return all tasks that other keepers have granted."""
        return [s for theirs in self._elsewhere.values() for s in theirs.values()]

    def free(self, start: int, stop: int, live: Iterable[Span]) -> list[Span]:
        """Return what of [start, stop) nobody computes, given our own grants."""
        free = Spans()
        free.add(start, stop)
        for span in (*live, *self.elsewhere()):
            free.remove(*span)
        return list(free)


def _last(tasks: Spans, want: int, left: int = 0) -> list[Span]:
    """Return the last `want` of some tasks, but for the very last `left` ones."""
    spans: list[Span] = []
    for start, stop in reversed(list(tasks)):
        if want <= 0 or len(spans) == SIGNED_RANGES:
            break
        end = stop - min(left, stop - start)
        left -= stop - end
        if start < end:
            spans.append((max(start, end - want), end))
            want -= end - start
    return spans[::-1]
