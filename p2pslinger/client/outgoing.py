"""What leaves a program for one job: arguments, and word of what is not wanted.

While nothing of the job is on its way, arguments leave at once, from the thread that
brings them. Otherwise they queue for the sender thread, which takes all that has queued
while it was sending the last batch: one task leaves at once, a thousand leave as a few
messages. Whoever is flushing holds the `_flushing` flag, and never the lock while it
sends: the thread that reads results needs it.

To take a task back must not overtake the task, so that leaves through whoever is
flushing as well.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from p2pslinger import limits
from p2pslinger.client.arguments import Shard
from p2pslinger.client.link import Link
from p2pslinger.client.memory import memory_name
from p2pslinger.client.segments import Consumer, Segments
from p2pslinger.client.sender import Sender
from p2pslinger.client.sharing import Shared, blobs_of
from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.wire.control import Append, AppendBig, Seal, ShardIn, Withdraw
from p2pslinger.wire.records import SharedBlobs


class Source(Protocol):
    """Arguments that wait to be sent."""

    @property
    def position(self) -> int:
        """Position, among the consumer's tasks, of the next one to be packed."""

    def pack(self) -> Shard | None:
        """Pack what has queued up; None if there is nothing (more)."""


class Outgoing:
    """The queue of one job.

    Args:
        link: To this machine's peer.
        sender: Sends what has queued.
        handle: This program's number for the job.
        tasks: Whose tasks are whose.
        lock: Guards `tasks` and this queue.
        failed: Called when something could not be sent.
        rested: Called when all that had queued has been sent.
    """

    def __init__(
        self,
        link: Link,
        sender: Sender,
        handle: int,
        *,
        tasks: Segments,
        lock: threading.RLock,
        failed: Callable[[SlingerError], None],
        rested: Callable[[], None],
    ) -> None:
        self._link = link
        self._sender = sender
        self._handle = handle
        self._tasks = tasks
        self._lock = lock
        self._failed = failed
        self._rested = rested
        #: Handles that the function itself holds.
        self.held: frozenset[Shared[object]] = frozenset()
        self._first: Callable[[], None] | None = None
        self._queue: deque[tuple[Source, Consumer]] = deque()
        self._unwanted: list[tuple[Consumer, int | None]] = []
        self._flushing = False
        self._sealed = False
        self._complete = threading.Event()
        #: Why nothing more can be sent, if that is so.
        self.stopped: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being sent, or waits to be."""
        return self._flushing or bool(self._queue)

    # --- what programs say --------------------------------------------------------

    def send_first(self, first: Callable[[], None]) -> None:
        """Call `first` in the sender thread, before anything else is sent."""
        self._flushing = True
        self._first = first
        self._sender.wake(self)

    def put(self, source: Source, consumer: Consumer, *, patient: bool = True) -> None:
        """Send what `source` packs, now or as soon as the peer has taken the last.

        Args:
            patient: The calling thread may wait until the peer has room for it.

        Raises:
            SlingerError: the job has come to an end.
        """
        with self._lock:
            if self.stopped is not None:
                raise self.stopped
            self._queue.append((source, consumer))
            if self._flushing:
                return
            self._flushing = True
            direct = patient and self._tasks.idle
        if direct and not self._link.is_reading:  # that thread must never wait
            self.flush()
        else:
            self._sender.wake(self)

    def withdraw(self, consumer: Consumer, position: int | None) -> None:
        """Take back one of a consumer's tasks, or what is left of them all."""
        with self._lock:
            if position is None:
                kept = [one for one in self._queue if one[1] is not consumer]
                self._queue = deque(kept)
            self._unwanted.append((consumer, position))
            if self._flushing:
                return
            gone = self._take_back()
        self._push_withdrawals(gone)
        self._rested()

    def drop(self, consumer: Consumer) -> None:
        """Take back what is left of a consumer's tasks, soon.

        What says so may be a finalizer, in any thread and at any moment: so no lock is
        taken here, and the sender thread does the work.
        """
        if not self._link.inherited:
            self._sender.wake(_Drop(self, consumer))

    def seal(self) -> None:
        """Nothing more will be put in."""
        with self._lock:
            self._sealed = True
            if self._flushing:
                return
        self._push_seal()

    def wait_until_complete(self) -> None:
        """Wait until everything has been sent and sealed, or nothing more can be."""
        self._complete.wait()

    @property
    def complete(self) -> bool:
        """Whether everything has been sent and sealed, or nothing more can be."""
        return self._complete.is_set()

    def stop(self, why: BaseException) -> list[Consumer]:
        """Send nothing more; return whose arguments were waiting. With the lock."""
        if self.stopped is None:
            self.stopped = why
        waiting = [consumer for _, consumer in self._queue]
        self._queue.clear()
        self._unwanted.clear()
        self._complete.set()
        return waiting

    # --- sending ------------------------------------------------------------------

    def flush(self) -> None:
        """Send all that has queued: small shards together, a big one by itself."""
        try:
            if self._first is not None:
                self._first()
                self._first = None
            while self._flush_batch():
                pass
        except SlingerError as error:
            self._failed(error)
        except BaseException:
            self._failed(UnavailableError("sending was interrupted: try again"))
            raise
        self._rested()

    def _flush_batch(self) -> bool:
        """Send the next batch; return False when there is none."""
        with self._lock:
            gone = self._take_back()  # all of it has been sent
            shards = self._pack()
            over = not (shards or gone or self._unwanted)
            if over:
                self._flushing = False
            sealed = self._sealed
        self._push_withdrawals(gone)
        self._send(shards)
        if over and sealed:
            self._push_seal()
        return not over

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
            self._tasks.expect(shard.count, first, consumer)
            shards.append(shard)
            size += len(shard.data)
        return shards

    def _send(self, shards: list[Shard]) -> None:
        """Send shards in order: small ones together, each big one by itself."""
        small: list[ShardIn] = []
        for shard in shards:
            form, shared = int(shard.form), blobs_of(shard.shared | self.held)
            if len(shard.data) <= limits.INLINE:
                small.append(ShardIn(shard.count, form, shard.data, shared))
                continue
            self._send_small(small)
            small = []
            self._send_big(shard, form, shared)
        self._send_small(small)

    def _send_big(self, shard: Shard, form: int, shared: SharedBlobs) -> None:
        memory, size = memory_name(shard.data), len(shard.data)
        big = AppendBig(self._handle, shard.count, form, size, shared, memory)
        if memory:
            self._link.request(big, memory=shard.data)
        else:
            self._link.request(big, shard.data)

    def _send_small(self, shards: list[ShardIn]) -> None:
        if shards:
            self._link.push(Append(self._handle, tuple(shards)))

    def _take_back(self) -> list[Span]:
        """Return the tasks, all of them sent, that nobody wants any more."""
        if not self._unwanted:
            return []
        gone = Spans()
        for consumer, position in self._unwanted:
            for start, stop in self._tasks.withdraw(consumer, position):
                gone.add(start, stop)
        self._unwanted.clear()
        return list(gone)

    def _push_withdrawals(self, gone: list[Span]) -> None:
        for start, stop in gone:
            self._link.push(Withdraw(self._handle, start, stop))

    def _push_seal(self) -> None:
        self._link.push(Seal(self._handle))
        self._complete.set()


class _Drop:
    """A consumer to be forgotten, by the sender thread."""

    def __init__(self, outgoing: Outgoing, consumer: Consumer) -> None:
        self._outgoing = outgoing
        self._consumer = consumer

    def flush(self) -> None:
        """Take back its tasks."""
        self._outgoing.withdraw(self._consumer, None)
