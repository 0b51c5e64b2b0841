"""Sets of task indices, kept as sorted spans [start, stop).

A job of a million tasks is a handful of spans at any moment, so everything that the
board knows about tasks is kept this way, never task by task.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Span = tuple[int, int]


class Spans:
    """A set of integers as disjoint, sorted, non-touching spans."""

    __slots__ = ("_starts", "_stops", "count")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        #: How many integers are in the set.
        self.count = 0

    def add(self, start: int, stop: int) -> list[Span]:
        """Add [start, stop); return the parts of it that are new, in order."""
        new = self.missing(start, stop)
        if new:
            first = bisect_left(self._stops, start)  # first span that touches us
            last = bisect_right(self._starts, stop)
            low, high = start, stop
            if first < last:
                low = min(start, self._starts[first])
                high = max(stop, self._stops[last - 1])
            self._starts[first:last] = [low]
            self._stops[first:last] = [high]
            self.count += sum(b - a for a, b in new)
        return new

    def remove(self, start: int, stop: int) -> list[Span]:
        """Remove [start, stop); return the parts of it that were there, in order."""
        first = bisect_right(self._stops, start)  # first span that we cut into
        last = bisect_left(self._starts, stop)
        if start >= stop or first >= last:
            return []
        low, high = self._starts[first], self._stops[last - 1]
        starts, stops = self._starts[first:last], self._stops[first:last]
        starts[0], stops[-1] = max(low, start), min(high, stop)
        gone = list(zip(starts, stops, strict=True))
        left = [(a, b) for a, b in ((low, start), (stop, high)) if a < b]
        self._starts[first:last] = [a for a, _ in left]
        self._stops[first:last] = [b for _, b in left]
        self.count -= sum(b - a for a, b in gone)
        return gone

    def first(self, spans: int) -> list[Span]:
        """Return the first so many spans."""
        return list(zip(self._starts[:spans], self._stops[:spans], strict=True))

    def missing(self, start: int, stop: int) -> list[Span]:
        """Return the parts of [start, stop) that are not in the set, in order."""
        gaps: list[Span] = []
        at = start
        for i in range(bisect_right(self._stops, start), len(self._starts)):
            low = self._starts[i]
            if low >= stop:
                break
            if low > at:
                gaps.append((at, low))
            at = max(at, self._stops[i])
        if at < stop:
            gaps.append((at, stop))
        return gaps

    def within(self, start: int, stop: int) -> list[Span]:
        """Return the parts of [start, stop) that are in the set."""
        found, at = [], start
        for low, high in [*self.missing(start, stop), (stop, stop)]:
            if at < low:
                found.append((at, low))
            at = high
        return found

    def covers(self, start: int, stop: int) -> bool:
        """Tell whether all of [start, stop) is in the set."""
        if start >= stop:
            return True
        i = bisect_right(self._starts, start) - 1
        return i >= 0 and self._stops[i] >= stop

    def __contains__(self, index: int) -> bool:
        return self.covers(index, index + 1)

    def __iter__(self) -> Iterator[Span]:
        return iter(list(zip(self._starts, self._stops, strict=True)))

    def __len__(self) -> int:
        return len(self._starts)
