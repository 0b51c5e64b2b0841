"""The answers that one job has got, and which of them say nothing new.

Pure, and the same whatever the order in which they come: of the answers for a task the
one with the lowest batch id comes first. Nothing new is said by

- a second report of the same tasks of the same grant,
- a second answer of a volunteer for the same task,
- an answer for a task that has got as many as it may have from others, those whose
  answers do not count left out.

A batch goes when that is so of all its tasks; what was accepted stays. The answers that
come first at some task are never among those that go, so it does not matter when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from itertools import pairwise

from p2pslinger.ids import PeerId
from p2pslinger.rules.outcomes import Range
from p2pslinger.rules.spans import Spans

#: Tasks that share a place in the index of answers: where each is a range by itself, so
#: many are looked at to find one.
BUCKET = 256


class Answers:
    """The ranges of results of one job.

    Args:
        most: Answers that a task may have.

    Attributes:
        excluded: Volunteers whose answers do not count.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.excluded: Set[PeerId] = frozenset()
        self._batches: dict[bytes, tuple[Range, ...]] = {}
        self._of_grant: dict[tuple[bytes, int], list[bytes]] = {}
        self._index: dict[int, list[Range]] = {}
        self._answered = Spans()  # tasks with an answer: those without have no rivals

    @property
    def batches(self) -> Mapping[bytes, tuple[Range, ...]]:
        """The ranges by their batch."""
        return self._batches

    def at(self, start: int, stop: int) -> list[Range]:
        """Return the answers for any of [start, stop), those that come first before."""
        found = {
            (one.batch, one.place): one
            for bucket in _buckets(start, stop)
            for one in self._index.get(bucket, ())
            if one.start < stop and start < one.stop
        }
        return [found[key] for key in sorted(found)]

    def several(self) -> int:
        """Count the tasks that several peers have answered."""
        once, twice = Spans(), Spans()
        for one in (each for ranges in self._batches.values() for each in ranges):
            if one.lost:
                continue
            added = once.add(one.start, one.stop)
            if added != [
                (one.start, one.stop)
            ]:  # of each volunteer there is one answer
                new = Spans()
                for span in added:
                    new.add(*span)
                for span in new.missing(one.start, one.stop):
                    twice.add(*span)
        return twice.count

    def add(
        self, batch: bytes, ranges: tuple[Range, ...], accepted: Collection[bytes]
    ) -> list[bytes]:
        """Take in a batch; return those that say nothing new now, itself perhaps.

        Args:
            batch: Its id.
            ranges: What it holds.
            accepted: Batches that stay in any case.
        """
        self._batches[batch] = ranges
        rivals: set[bytes] = set()
        for one in ranges:
            same = self._of_grant.setdefault((one.mac, one.start), [])
            same.append(batch)
            same.sort()
            rivals.update(same if len(same) > 1 else ())
            if not one.lost:
                new = self._answered.add(one.start, one.stop)
                if new != [(one.start, one.stop)]:
                    rivals.update(other.batch for other in self.at(one.start, one.stop))
                for bucket in _buckets(one.start, one.stop):
                    self._index.setdefault(bucket, []).append(one)
        if rivals:
            rivals.add(batch)
        gone = [
            id for id in sorted(rivals) if id not in accepted and self._is_surplus(id)
        ]
        for id in gone:
            self._drop(id)
        return gone

    def _drop(self, batch: bytes) -> None:
        for one in self._batches.pop(batch):
            self._of_grant[one.mac, one.start].remove(batch)
            for bucket in () if one.lost else _buckets(one.start, one.stop):
                self._index[bucket].remove(one)

    def _is_surplus(self, batch: bytes) -> bool:
        return all(self._says_nothing(one) for one in self._batches[batch])

    def _says_nothing(self, one: Range) -> bool:
        if self._of_grant[one.mac, one.start][0] != one.batch:
            return True
        if one.lost:
            return False
        mine = (one.batch, one.place)
        before = [
            other
            for other in self.at(one.start, one.stop)
            if (other.batch, other.place) < mine
        ]
        return bool(before) and all(
            self._is_full(low, high, before, one.volunteer)
            for low, high in pairwise(_borders(one, before))
        )

    def _is_full(
        self, low: int, high: int, before: Iterable[Range], volunteer: PeerId
    ) -> bool:
        who = {o.volunteer for o in before if o.start <= low and high <= o.stop}
        return volunteer in who or len(who - self.excluded) >= self._most


def _borders(one: Range, others: Iterable[Range]) -> list[int]:
    found = {one.start, one.stop}
    for other in others:
        found.update(b for b in (other.start, other.stop) if one.start < b < one.stop)
    return sorted(found)


def _buckets(start: int, stop: int) -> range:
    return range(start // BUCKET, (stop - 1) // BUCKET + 1)
