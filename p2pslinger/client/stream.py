"""One job as a program sees it: arguments go in, numbered results come out.

While nothing of the job is on its way, arguments leave at once, from the thread that
brings them. Otherwise they queue for the sender thread, which takes all that has queued
while it was sending the last batch: one task leaves at once, a thousand leave as a few
messages. Whoever is flushing holds the `_flushing` flag, and never the lock while it
sends: the thread that reads results needs it.

What is taken back must not overtake what it takes back: so that leaves, too, through
whoever is flushing.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec
from blake3 import blake3

from p2pslinger import limits
from p2pslinger.client.arguments import Shard
from p2pslinger.client.failures import error_of
from p2pslinger.client.fetches import Fetches
from p2pslinger.client.link import Link
from p2pslinger.client.packing import FunctionPackage
from p2pslinger.client.segments import Consumer, Segments
from p2pslinger.client.sender import Sender
from p2pslinger.client.values import Trust, unpack_values
from p2pslinger.errors import PeerError, SlingerError, UnavailableError, UsageError
from p2pslinger.ids import from_text, to_text
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.wire.control import (
    Append,
    AppendBig,
    Attach,
    Attached,
    CancelJob,
    CloseJob,
    GetStatus,
    GetValues,
    JobEnded,
    Opened,
    OpenJob,
    RangeOut,
    Seal,
    ShardIn,
    Withdraw,
)
from p2pslinger.wire.facts import JobFacts
from p2pslinger.wire.manifest import Function, Policy


class RetiredError(SlingerError):
    """Nothing was under way, so the job was closed. Never seen by programs."""


class Source(Protocol):
    """Arguments that wait to be sent."""

    @property
    def position(self) -> int:
        """Position, among the consumer's tasks, of the next one to be packed."""

    def pack(self) -> Shard | None:
        """Pack what has queued up; None if there is nothing (more)."""


class Stream:
    """One job.

    Args:
        link: To this machine's peer.
        sender: Sends what has queued.
        fetches: Asks for values that are too big for a message.
        handle: This program's number for the job.
        trust: How far values from other peers are decoded.
        left: Called when this program wants nothing more of the job.
    """

    def __init__(
        self,
        link: Link,
        sender: Sender,
        fetches: Fetches,
        *,
        handle: int,
        trust: Trust,
        left: Callable[[Stream], None],
    ) -> None:
        self._link = link
        self._sender = sender
        self._fetches = fetches
        self.handle = handle
        self._trust: Trust = trust
        self._left = left
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._awaited = False
        self._queue: deque[tuple[Source, Consumer]] = deque()
        self._unwanted: list[tuple[Consumer, int | None]] = []
        self._segments = Segments()
        self._flushing = False
        self._opening: tuple[OpenJob, bytes] | None = None
        self._fetching = 0
        self._ending: SlingerError | None = None
        self._broken: BaseException | None = None
        self._sealed = False
        self._all_sent = threading.Event()
        self._aborted = False
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
        if isinstance(answer, SlingerError):
            self.broke(answer)
            return
        self._job = cast(Opened, answer).job
        self._open.set()
        if self._aborted:
            self._cancel(self._job)
        if self._broken is not None:  # while the peer was reading the function
            self._link.push(CloseJob(self.handle))

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

    def attach(self, job: str, consumer: Consumer) -> JobFacts:
        """Give every result of a job that is open already to one consumer.

        Raises:
            UsageError: this machine has no such job.
        """
        with self._lock:
            self._segments.expect(limits.JOB_TASKS, 0, consumer)
        try:
            answer = cast(Attached, self._link.request(Attach(self.handle, job)))
        except SlingerError as error:
            self.broke(error)
            raise
        self._job = from_text(answer.facts.job)
        self._open.set()
        return answer.facts

    @property
    def broken(self) -> bool:
        """Whether nothing more will come."""
        return self._broken is not None

    def seal(self) -> None:
        """Nothing more will be put in."""
        with self._lock:
            self._sealed = True
            if self._flushing:
                return
        self._push_seal()

    def _push_seal(self) -> None:
        self._link.push(Seal(self.handle))
        self._all_sent.set()

    def wait_until_held(self) -> None:
        """Wait until the peer holds all of a sealed job.

        Raises:
            SlingerError: it does not.
        """
        self._all_sent.wait()
        if self._broken is None:
            self._link.request(GetStatus())  # answered after what was sent before
        if self._broken is not None:
            raise self._broken

    def close(self) -> None:
        """Want nothing more of the job."""
        self._link.push(CloseJob(self.handle))
        self._left(self)

    def retire(self) -> bool:
        """End the job if nothing of it is under way; return whether that is so.

        Whoever puts something in all the same hears a `RetiredError`.
        """
        if not self._lock.acquire(blocking=False):
            return False  # whoever holds it may be waiting for a lock of our caller
        try:
            busy = self._flushing or self._queue or not self._segments.idle
            if busy or self._broken is not None:
                return False
            self._broken = RetiredError("the job has been closed: open another")
        finally:
            self._lock.release()
        self.close()
        return True

    def abort(self, error: BaseException) -> None:
        """Have the peer stop a job that does not get all its arguments."""
        self._aborted = True
        if self._job is not None:
            self._cancel(self._job)
        self.broke(error)

    def _cancel(self, job: bytes) -> None:
        with contextlib.suppress(SlingerError):  # without a peer it is over anyway
            self._link.ask(CancelJob(to_text(job)), lambda *_: None)

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
            direct = self._segments.idle
        if direct and not self._link.is_reading:  # that thread must never wait
            self.flush()
        else:
            self._sender.wake(self)

    def flush(self) -> None:
        """Send all that has queued: small shards together, a big one by itself."""
        try:
            if self._opening is not None:
                self._opened(self._link.request(*self._opening), b"")
                self._opening = None
            while self._flush_batch():
                pass
        except SlingerError as error:
            self.broke(error)
        except BaseException:
            self.broke(UnavailableError("sending was interrupted: try again"))
            raise
        self._tell_if_idle()

    def _flush_batch(self) -> bool:
        """Send the next batch; return whether there may be more."""
        with self._lock:
            gone = self._take_back()  # all of it has been sent
            shards = self._pack()
            if not (gone or shards or self._unwanted):
                self._flushing = False
                if not self._sealed:
                    return False
        self._push_withdrawals(gone)
        self._send(shards)
        if not self._flushing:
            self._push_seal()
        return self._flushing
