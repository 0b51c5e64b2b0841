"""One job as a program sees it: arguments go in, numbered results come out.

Several calls may share a job: all `submit`s and `map`s of one function do. Each brings
tasks of its own; a *segment* remembers which of the job's tasks are whose.

While nothing of the job is on its way, arguments leave at once, from the thread that
brings them. Otherwise they queue for the sender thread, which takes all that has queued
while it was sending the last batch: one task leaves at once, a thousand leave as a few
messages. Whoever is flushing holds the `_flushing` flag, and never the lock while it
sends: the thread that reads results needs it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from blake3 import blake3

from p2pslinger import limits
from p2pslinger.client.arguments import Shard
from p2pslinger.client.failures import error_of
from p2pslinger.client.link import Link
from p2pslinger.client.packing import FunctionPackage
from p2pslinger.client.sender import Sender
from p2pslinger.client.values import Trust, unpack_values
from p2pslinger.errors import SlingerError, UnavailableError, UsageError
from p2pslinger.rules.spans import Spans
from p2pslinger.wire.control import (
    Append,
    AppendBig,
    CloseJob,
    GetValues,
    JobEnded,
    Opened,
    OpenJob,
    RangeOut,
    Seal,
    ShardIn,
    Withdraw,
)
from p2pslinger.wire.manifest import Function, Policy


class RetiredError(SlingerError):
    """Nothing was under way, so the job was closed. Never seen by programs."""


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

    def broke(self, error: BaseException) -> None:
        """Hear that no more results will come."""


class Source(Protocol):
    """Arguments that wait to be sent."""

    @property
    def position(self) -> int:
        """Position, among the consumer's tasks, of the next one to be packed."""

    def pack(self) -> Shard | None:
        """Pack what has queued up; None if there is nothing (more)."""


@dataclass(slots=True)
class Segment:
    """Tasks [base, stop) of the job are the consumer's from its position `first` on."""

    base: int
    stop: int
    first: int
    consumer: Consumer
    left: int


class Stream:
    """One job.

    Args:
        link: To this machine's peer.
        sender: Sends what has queued.
        handle: This program's number for the job.
        trust: How far values from other peers are decoded.
    """

    def __init__(self, link: Link, sender: Sender, handle: int, trust: Trust) -> None:
        self._link = link
        self._sender = sender
        self.handle = handle
        self._trust = trust
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._awaited = False
        self._queue: deque[tuple[Source, Consumer]] = deque()
        self._flushing = False
        self._opening: tuple[OpenJob, bytes] | None = None
        self._next = 0
        self._bases: list[int] = []
        self._segments: list[Segment] = []
        self._done = Spans()
        self._broken: BaseException | None = None
        self._sealed = False
        self._job: bytes | None = None
        self._open = threading.Event()

    # --- opening and closing ------------------------------------------------------

    def open(self, name: str, package: FunctionPackage, policy: Policy) -> None:
        """Submit the job; arguments may follow at once."""
        code = package.code
        python = None if package.python is None else "{}.{}".format(*package.python)
        big = len(code) > limits.INLINE
        function = Function(
            name[: limits.NAME],
            b"" if big else code,
            blake3(code).digest(),
            len(code),
            python,
        )
        ask = OpenJob(self.handle, name[: limits.NAME], function, policy)
        if big:  # the peer can take no arguments before it has read the function
            self._flushing = True
            self._opening = ask, code
            self._sender.wake(self)
        else:
            self._link.ask(ask, self._opened)

    def _opened(self, answer: msgspec.Struct | SlingerError, _: bytes) -> None:
        if isinstance(answer, Opened):
            self._job = answer.job
            self._open.set()
        elif isinstance(answer, SlingerError):
            self.broke(answer)

    def wait_until_open(self) -> bytes:
        """Return the job's id, as soon as the peer has told it.

        Raises:
            SlingerError: the peer has refused the job.
        """
        self._open.wait()
        if self._job is None:
            assert self._broken is not None
            raise self._broken
        return self._job

    @property
    def broken(self) -> bool:
        """Whether nothing more will come."""
        return self._broken is not None

    def follow(self, consumer: Consumer) -> None:
        """Give every result of a job that is open already to one consumer."""
        self._expect(limits.JOB_TASKS, 0, consumer)

    def attached(self, job: bytes) -> None:
        """Note the id of a job that was open already."""
        self._job = job
        self._open.set()

    def seal(self) -> None:
        """Nothing more will be put in."""
        with self._lock:
            self._sealed = True
            if self._flushing:
                return
        self._link.push(Seal(self.handle))

    def close(self) -> None:
        """Want nothing more of the job."""
        self._link.push(CloseJob(self.handle))

    def retire(self) -> bool:
        """End the job if nothing of it is under way; return whether that is so.

        Whoever puts something in all the same hears a `RetiredError`.
        """
        if not self._lock.acquire(blocking=False):
            return False  # whoever holds it may be waiting for a lock of our caller
        try:
            busy = self._flushing or self._queue or self._done.count < self._next
            if busy or self._broken is not None:
                return False
            self._broken = RetiredError("the job has been closed: open another")
        finally:
            self._lock.release()
        self.close()
        return True

    # --- arguments ----------------------------------------------------------------

    def put(self, source: Source, consumer: Consumer) -> None:
        """Send what `source` packs, now or as soon as the peer has taken the last.

        Raises:
            SlingerError: the job has come to an end.
        """
        with self._lock:
            if self._broken is not None:
                raise self._broken
            self._queue.append((source, consumer))
            if self._flushing:
                return
            self._flushing = True
            direct = self._next == self._done.count
        if direct and not self._link.is_reading:  # that thread must never wait
            self.flush()
        else:
            self._sender.wake(self)

    def flush(self) -> None:
        """Send all that has queued: small shards together, a big one by itself."""
        failed: BaseException | None = UnavailableError("sending was interrupted")
        try:
            if self._opening is not None:
                self._opened(self._link.request(*self._opening), b"")
                self._opening = None
            while True:
                with self._lock:
                    shards = self._pack()
                    if not shards:
                        self._flushing = False
                        sealed = self._sealed
                        break
                self._send(shards)
            failed = None
        except SlingerError as error:
            failed = error
        finally:
            if failed is not None:
                self.broke(failed)
        if failed is None:
            if sealed:
                self._link.push(Seal(self.handle))
            self._tell_if_idle()

    def _pack(self) -> list[Shard]:
        """Return the next batch, numbered."""
        shards: list[Shard] = []
        size = 0
        while self._queue and size < limits.ANSWER and len(shards) < limits.BATCH:
            source, consumer = self._queue[0]
            first = source.position
            shard = source.pack()
            if shard is None or shard.count == 0:
                self._queue.popleft()
                continue
            self._expect(shard.count, first, consumer)
            shards.append(shard)
            size += len(shard.data)
        return shards

    def _send(self, shards: list[Shard]) -> None:
        """Send shards in order: small ones together, each big one by itself."""
        small: list[ShardIn] = []
        for shard in shards:
            form = int(shard.form)
            if len(shard.data) <= limits.INLINE:
                small.append(ShardIn(shard.count, form, shard.data))
                continue
            self._send_small(small)
            small = []
            big = AppendBig(self.handle, shard.count, form, len(shard.data))
            self._link.request(big, shard.data)
        self._send_small(small)

    def _send_small(self, shards: list[ShardIn]) -> None:
        if shards:
            self._link.push(Append(self.handle, tuple(shards)))

    def _expect(self, count: int, first: int, consumer: Consumer) -> None:
        """Number the tasks of a shard, and remember whose they are."""
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

    def withdraw(self, consumer: Consumer, position: int) -> None:
        """One of a consumer's tasks is no longer wanted."""
        with self._lock:
            for segment in self._segments:
                at = segment.base + position - segment.first
                if segment.consumer is consumer and segment.base <= at < segment.stop:
                    segment.left -= len(self._done.add(at, at + 1))
                    self._forget_done()
                    break
            else:
                return
        self._link.push(Withdraw(self.handle, at, at + 1))
        self._tell_if_idle()

    def drop(self, consumer: Consumer) -> None:
        """Nobody wants any more results of a consumer's tasks.

        What says so may be a finalizer, in any thread and at any moment: so no lock is
        taken here, and the sender thread does the work.
        """
        self._sender.wake(_Drop(self, consumer))

    def forget(self, consumer: Consumer) -> None:
        """Take back the tasks of a consumer that has been dropped."""
        with self._lock:
            mine = [one for one in self._queue if one[1] is consumer]
            for one in mine:
                self._queue.remove(one)
            gone = [s for s in self._segments if s.consumer is consumer and s.left]
            for segment in gone:
                self._done.add(segment.base, segment.stop)
                segment.left = 0
            self._forget_done()
        for segment in gone:
            self._link.push(Withdraw(self.handle, segment.base, segment.stop))
        self._tell_if_idle()

    # --- results ------------------------------------------------------------------

    def results(self, out: RangeOut) -> None:
        """Take a range; values that are too big for a message are asked for first."""
        if not out.digest:
            self._give(out, out.values)
            return

        def got(answer: msgspec.Struct | SlingerError, data: bytes) -> None:
            if isinstance(answer, SlingerError):
                self.broke(answer)
            else:
                self._give(out, data)

        self._link.ask(GetValues(self.handle, out.digest), got)

    def _give(self, out: RangeOut, data: bytes) -> None:
        """Hand a range's values to whoever wants them; the first result counts."""
        trust: Trust = "mine" if out.mine else self._trust
        try:
            values = unpack_values(out.form, data, trust)
        except SlingerError as error:
            self.broke(error)
            return
        errors = {one.index: error_of(one, trust) for one in out.failures}
        with self._lock:
            parts = [
                (segment, max(low, segment.base), min(high, segment.stop))
                for low, high in self._done.add(out.start, out.stop)
                for segment in self._segments_of(low, high)
            ]
            for segment, low, high in parts:
                segment.left -= high - low
            self._forget_done()
        for segment, low, high in parts:
            first = low - segment.base + segment.first
            whole = low == out.start and high == out.stop
            own = values if whole else values[low - out.start : high - out.start]
            failed = {i - low: e for i, e in errors.items() if low <= i < high}
            segment.consumer.took(first, own, failed, out)
        self._tell_if_idle()

    def wait_until_idle(self) -> None:
        """Wait until every task has an outcome, or no more will come."""
        with self._idle:
            self._awaited = True
            self._idle.wait_for(
                lambda: (
                    self._broken is not None
                    or (not self._queue and self._done.count >= self._next)
                )
            )

    def _tell_if_idle(self) -> None:
        if self._awaited:
            with self._idle:
                self._idle.notify_all()

    def _segments_of(self, low: int, high: int) -> list[Segment]:
        start = max(0, bisect_right(self._bases, low) - 1)
        stop = bisect_right(self._bases, high - 1)
        return [s for s in self._segments[start:stop] if s.stop > low]

    def _forget_done(self) -> None:
        count = 0
        while count < len(self._segments) and self._segments[count].left == 0:
            if self._segments[count].stop == self._next:
                break  # it may still grow
            count += 1
        del self._segments[:count], self._bases[:count]

    def ended(self, message: JobEnded) -> None:
        """The peer says that no more will come."""
        usage = message.kind == "usage"
        self.broke((UsageError if usage else UnavailableError)(message.text))

    def broke(self, error: BaseException) -> None:
        """Nothing more will come: tell everyone who waits."""
        with self._lock:
            if self._broken is None:
                self._broken = error
            waiting = [s.consumer for s in self._segments if s.left]
            waiting += [consumer for _, consumer in self._queue]
            self._queue.clear()
            self._segments.clear()
            self._bases.clear()
        self._open.set()
        for consumer in dict.fromkeys(waiting):
            consumer.broke(error)
        self._tell_if_idle()


class _Drop:
    """A consumer to be forgotten, by the sender thread."""

    def __init__(self, stream: Stream, consumer: Consumer) -> None:
        self._stream = stream
        self._consumer = consumer

    def flush(self) -> None:
        """Take back its tasks."""
        self._stream.forget(self._consumer)
