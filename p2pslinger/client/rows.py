"""Results in order, as they arrive: what `map` and a job iterate over.

Big values are asked for when their turn comes near, and let go when they were read.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from p2pslinger.client.arguments import Shard
from p2pslinger.client.later import Later
from p2pslinger.client.outcomes import Outcomes
from p2pslinger.client.outputs import Output, Outputs
from p2pslinger.client.parts import Parts
from p2pslinger.client.progress import Progress
from p2pslinger.ids import short
from p2pslinger.wire.control import RangeOut
from p2pslinger.wire.glimpse import Glimpse


class Ready:
    """A shard that is packed already: a source of one."""

    def __init__(self, shard: Shard, position: int) -> None:
        self._shard: Shard | None = shard
        self.position = position
        self.size = len(shard.data)

    def pack(self) -> Shard | None:
        """Return it, once."""
        shard, self._shard = self._shard, None
        return shard


class Rows:
    """Collects the results of numbered tasks; a consumer.

    Args:
        keep: Keep results that were read, so that they can be read again.
        dropped: Called when whoever reads stops before the end: nobody else will.
    """

    def __init__(
        self, *, keep: bool, dropped: Callable[[Rows], None] | None = None
    ) -> None:
        self._keep = keep
        self._dropped = dropped
        self._changed = threading.Condition()
        self._parts = Parts(keep=keep)
        self._left = False
        self._outputs = Outputs()
        self._broken: BaseException | None = None
        #: How many tasks there are, once that is known.
        self.total: int | None = None
        #: Tasks with a result.
        self.done = 0
        #: Tasks that failed.
        self.failed = 0
        #: Tasks by the short form of the id of the peer that computed them.
        self.by_peer: Counter[str] = Counter()
        #: How far running tasks are that say so, 0 to 1, by position.
        self.within: dict[int, float] = {}
        #: Bytes of all results so far.
        self.size = 0
        #: How often something of this has changed.
        self.changes = 0

    # --- consumer -----------------------------------------------------------------

    def took(
        self,
        first: int,
        values: Sequence[object],
        errors: dict[int, Exception],
        out: RangeOut,
    ) -> None:
        """Take results."""
        with self._changed:
            self._parts.add(first, (values, errors))
            self._count(first, len(values), len(errors), out)
            due = self._parts.due()
        self._ask(due)

    def promised(self, first: int, later: Later) -> None:
        """Take results whose values are with the peer until they are read."""
        with self._changed:
            if not self._left:
                self._parts.add(first, later)
            self._count(first, later.count, later.failed, later.out)
            due = self._parts.due()
        self._ask(due)

    def _count(self, first: int, count: int, failed: int, out: RangeOut) -> None:
        self.done += count
        self.size += out.size
        self.failed += failed
        self.by_peer[short(out.peer)] += count
        for position in [p for p in self.within if 0 <= p - first < count]:
            del self.within[position]
        self.changes += 1
        if self._keep:
            self._outputs.add(out)
        self._tell()

    def _tell(self) -> None:
        """Tell who waits, with the lock, that something has come."""
        self._changed.notify_all()

    def glimpsed(self, position: int, glimpse: Glimpse) -> None:
        """Take note of how far a task is."""
        if glimpse.share is None:
            return
        with self._changed:
            if self.within.get(position) != glimpse.share:
                self.within[position] = glimpse.share
                self.changes += 1
                self._changed.notify_all()

    def broke(self, error: BaseException) -> None:
        """No more results will come."""
        with self._changed:
            self._broken = self._broken or error
            self._tell()

    # --- for the program ----------------------------------------------------------

    def finish(self, total: int) -> None:
        """Say how many tasks there are."""
        with self._changed:
            self.total = total
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every task has an outcome; return whether that is so.

        Raises what has ended the job, if something has.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._broken or self._complete, timeout)
            if self._broken is not None and not self._complete:
                raise self._broken
            return self._complete

    @property
    def _complete(self) -> bool:
        return self.total is not None and self.done >= self.total

    @property
    def progress(self) -> Progress:
        """How far they are."""
        with self._changed:
            return Progress(
                self.done,
                self.total or 0,
                self.failed,
                dict(self.by_peer),
                dict(self.within),
            )

    def wait_for_change(self, seen: int, timeout: float) -> None:
        """Wait until there have been more changes than `seen`, or time is up."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._broken or self.changes > seen or self._complete, timeout
            )

    def raise_if_broken(self) -> None:
        """Raise what has ended the job, if something has."""
        if self._broken is not None:
            raise self._broken

    def read(
        self, *, timeout: float | None = None, errors: str = "raise"
    ) -> Iterator[object]:
        """Yield the values in order; a failed task raises, or its error is yielded.

        Raises:
            TimeoutError: the next value is not there `timeout` seconds after the call.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        return self._read(deadline, errors)

    def _read(self, deadline: float | None, errors: str) -> Iterator[object]:
        at = 0
        try:
            while (part := self._part(at, deadline)) is not None:
                values, failed = part
                if errors == "return":
                    yield from _in_place(values, failed)
                elif failed:
                    yield from values[: min(failed)]
                    raise failed[min(failed)]
                else:
                    yield from values
                del part
                self._passed(at)
                at += len(values)
                del values  # or it would be here until the next one is
        finally:
            self._passed(at)
            if self._dropped is not None:
                self.leave()

    def leave(self) -> None:
        """Whoever reads has stopped, at the end or before: want nothing more."""
        with self._changed:
            self._left = True
            self._parts.clear()
        if self._dropped is not None and not self._complete:
            self._dropped(self)

    def read_ready(self, since: int = 0) -> Iterator[tuple[int, object]]:
        """Yield position and value, or error, of each task with an outcome by now.

        Args:
            since: The first position that is wanted.
        """
        with self._changed:
            ready = [one for one in self._parts.positions() if one[1] > since]
        for at, _ in ready:
            part = self._part(at, None)
            assert part is not None
            yield from islice(enumerate(_in_place(*part), at), max(0, since - at), None)
            del part
            self._passed(at)

    def output_so_far(self) -> list[Output]:
        """Return what tasks have printed, but the oldest if it is much."""
        with self._changed:
            return self._outputs.since(0)

    def read_output(self) -> Iterator[Output]:
        """Yield what tasks have printed, as it comes, until every task is done.

        Raises what has ended the job, if something has.
        """
        at, over = 0, False
        while not over:
            with self._changed:
                while self._outputs.end == at and not self._over:
                    self._changed.wait()
                new, at = self._outputs.since(at), self._outputs.end
                over = self._over
            yield from new
        if not self._complete:
            self.raise_if_broken()

    @property
    def _over(self) -> bool:
        return self._complete or self._broken is not None

    def _part(self, at: int, deadline: float | None) -> Outcomes | None:
        """Wait for what is at a position; None if nothing is, and nothing will be."""
        while True:
            with self._changed:
                due = self._parts.due(at)
                if not due:
                    part = self._parts.take(at)
                    if part is not None or self._is_end(at):
                        return part
                    self._wait(at, deadline)
            self._ask(due)

    def _is_end(self, at: int) -> bool:
        """Tell whether nothing is at a position, and nothing will be.

        Raises what has ended the job, if something has.
        """
        if at in self._parts:
            return False  # its values are on their way
        if self.total is not None and at >= self.total:
            return True
        self.raise_if_broken()
        return False

    def _wait(self, at: int, deadline: float | None) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError(f"no result for task {at} in time")
        self._changed.wait(left)

    def _passed(self, at: int) -> None:
        with self._changed:
            self._parts.passed(at)

    # --- values that the peer has -------------------------------------------------

    def fetch_all(self) -> None:
        """Get all values that only the peer has: it is about to be left."""
        with self._changed:
            due = self._parts.rest()
        self._ask(due)
        with self._changed:
            self._changed.wait_for(lambda: all(one.outcomes for one in due))

    def _ask(self, due: Iterable[Later]) -> None:
        """Ask for values; without the lock, which whoever brings them needs."""
        for later in due:
            later.fetch(self._came)

    def _came(self, later: Later) -> None:
        with self._changed:
            if later.outcomes is not None and not later.lost:
                failed = len(later.outcomes[1])  # what can't be read has failed, too
                self.failed += failed - later.failed
                later.failed = failed
            self._tell()


def _in_place(
    values: Sequence[object], failed: dict[int, Exception]
) -> Iterator[object]:
    """Yield values, and the error where there is none or it can't be decoded."""
    for offset in range(len(values)):
        if offset in failed:
            yield failed[offset]
            continue
        try:
            value = values[offset]
        except Exception as error:  # noqa: BLE001  # decoding runs the value's own code
            value = error
        yield value
