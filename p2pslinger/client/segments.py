"""Whose tasks are whose: a job's tasks by number, and the calls that brought them.

Several calls may share a job: all `submit`s and `map`s of one function do. Each brings
tasks of its own; a *segment* remembers which of the job's tasks are whose. Nothing here
locks: the stream does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from p2pslinger.client.later import Later
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.wire.control import RangeOut
from p2pslinger.wire.glimpse import Glimpse


class Consumer(Protocol):
    """Who wants the results of some tasks. Called in the link's reading thread."""

    def took(
        self,
        first: int,
        values: Sequence[object],
        errors: dict[int, Exception],
        out: RangeOut,
    ) -> None:
        """Take results.

        Args:
            first: Position, among the consumer's own tasks, of the first value.
            values: One for each task; meaningless where there is an error.
            errors: What failed, by position among `values`.
            out: Where they come from.
        """

    def promised(self, first: int, later: Later) -> None:
        """Take results that are too big to come unasked; `first` as for `took`."""

    def glimpsed(self, position: int, glimpse: Glimpse) -> None:
        """Hear how one of the consumer's tasks goes on."""

    def broke(self, error: BaseException) -> None:
        """Hear that no more results will come."""


@dataclass(slots=True)
class Segment:
    """Tasks [base, stop) of the job are the consumer's from its position `first` on."""

    base: int
    stop: int
    first: int
    consumer: Consumer
    left: int


class Part(NamedTuple):
    """Tasks [low, high) of the job: the consumer's from its position `first` on."""

    consumer: Consumer
    first: int
    low: int
    high: int


class Segments:
    """The tasks of one job."""

    def __init__(self) -> None:
        self._next = 0
        self._bases: list[int] = []
        self._segments: list[Segment] = []
        self._done = Spans()

    @property
    def idle(self) -> bool:
        """Whether every task has an outcome."""
        return self._done.count == self._next

    def expect(self, count: int, first: int, consumer: Consumer) -> None:
        """Number the tasks of a shard: the consumer's from its position `first` on."""
        stop = self._next + count
        last = self._segments[-1] if self._segments else None
        if (
            last is not None
            and last.consumer is consumer
            and first - last.first == self._next - last.base
        ):
            last.stop = stop
            last.left += count
        else:
            self._bases.append(self._next)
            self._segments.append(Segment(self._next, stop, first, consumer, count))
        self._next = stop

    def finish(self, start: int, stop: int) -> list[Part]:
        """Note an outcome of [start, stop); return whose it is, if it is the first."""
        parts = [
            (segment, max(low, segment.base), min(high, segment.stop))
            for low, high in self._done.add(start, min(stop, self._next))
            for segment in self._within(low, high)
        ]
        for segment, low, high in parts:
            segment.left -= high - low
        self._forget()
        return [
            Part(one.consumer, low - one.base + one.first, low, high)
            for one, low, high in parts
        ]

    def whose(self, index: int) -> tuple[Consumer, int] | None:
        """Return who wants an open task, and which of his it is."""
        if index >= self._next or index in self._done:
            return None
        for one in self._within(index, index + 1):
            return one.consumer, index - one.base + one.first
        return None

    def withdraw(self, consumer: Consumer, position: int | None) -> list[Span]:
        """Note that a consumer does not want a task, or any; return the open ones."""
        gone: list[Span] = []
        for segment in self._segments:
            if segment.consumer is not consumer or not segment.left:
                continue
            low, high = segment.base, segment.stop
            if position is not None:
                low = segment.base + position - segment.first
                high = low + 1
                if not segment.base <= low < segment.stop:
                    continue
            new = self._done.add(low, high)
            segment.left -= sum(b - a for a, b in new)
            gone += new
        self._forget()
        return gone

    def clear(self) -> list[Consumer]:
        """Forget whose tasks are whose; return who still wants results."""
        waiting = [one.consumer for one in self._segments if one.left]
        self._segments.clear()
        self._bases.clear()
        return waiting

    def _within(self, low: int, high: int) -> list[Segment]:
        start = max(0, bisect_right(self._bases, low) - 1)
        stop = bisect_right(self._bases, high - 1)
        return [one for one in self._segments[start:stop] if one.stop > low]

    def _forget(self) -> None:
        """Drop the segments in front that have all their results."""
        count = 0
        while count < len(self._segments) and self._segments[count].left == 0:
            count += 1
        del self._segments[:count], self._bases[:count]
