"""One job as a program sees it: arguments go in, numbered results come out.

Several calls may share it. Their arguments leave through `outgoing`; `segments` knows
which of the job's tasks are whose.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import cast

import msgspec

from p2pslinger import limits
from p2pslinger.client.fetches import Fetches
from p2pslinger.client.incoming import Incoming
from p2pslinger.client.keeping import Keeping
from p2pslinger.client.link import Link
from p2pslinger.client.named import Named
from p2pslinger.client.outgoing import Outgoing
from p2pslinger.client.packing import FunctionPackage
from p2pslinger.client.segments import Consumer, Segments
from p2pslinger.client.sender import Sender
from p2pslinger.client.values import Trust
from p2pslinger.errors import SlingerError, UnavailableError, UsageError
from p2pslinger.ids import from_text, to_text
from p2pslinger.wire.control import (
    Attach,
    Attached,
    CloseJob,
    GetJobs,
    JobEnded,
    Jobs,
    Opened,
    OpenJob,
)
from p2pslinger.wire.facts import JobFacts, ReasonFacts
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.needs import NOTHING, Needs
from p2pslinger.wire.owning import ChangeJob

#: Seconds that the peer gets to say which job it is that has to be stopped.
PATIENCE = 1.0

#: How throw-away jobs are kept: nowhere else.
NOT_KEPT = Keeping(keepers=0)


class RetiredError(SlingerError):
    """Nothing was under way, so the job was closed. Never seen by programs."""


class Stream:
    """One job.

    Args:
        link: To this machine's peer.
        sender: Sends what has queued.
        fetches: Asks for values that are too big for a message.
        handle: This program's number for the job.
        trust: How far values from other peers are decoded.
        named: Types of which they may be.
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
        named: Named,
        left: Callable[[Stream], None],
    ) -> None:
        self._link = link
        self.handle = handle
        self._left = left
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._awaited = False
        self._tasks = Segments()
        self._outgoing = Outgoing(
            link,
            sender,
            handle,
            tasks=self._tasks,
            lock=self._lock,
            failed=self.broke,
            rested=self._tell,
        )
        self._incoming = Incoming(
            link,
            sender,
            fetches,
            handle,
            tasks=self._tasks,
            lock=self._lock,
            trust=trust,
            named=named,
            rested=self._rested,
        )
        self._ending: SlingerError | None = None
        self._aborted = False
        self._job: bytes | None = None
        self._open = threading.Event()
        self.put = self._outgoing.put
        self.withdraw = self._outgoing.withdraw
        self.drop = self._outgoing.drop
        self.seal = self._outgoing.seal
        self.results = self._incoming.take

    @property
    def trust(self) -> Trust:
        """How far values from other peers are decoded."""
        return self._incoming.trust

    # --- opening ------------------------------------------------------------------

    def open(
        self,
        name: str,
        package: FunctionPackage,
        policy: Policy,
        keeping: Keeping = NOT_KEPT,
        needs: Needs = NOTHING,
    ) -> None:
        """Submit the job; arguments may follow at once.

        Raises:
            SlingerError: the peer can't be asked.
        """
        if needs.sandbox and self.trust == "mine":
            self._incoming.trust = "safe"  # else its results would do what it can't
        function = package.describe(name)
        self._outgoing.held = package.shared
        ask = OpenJob(
            self.handle,
            function.name,
            function,
            policy,
            keeping.keepers,
            keeping.seconds,
            keeping.priority,
            needs,
        )
        if function.code:
            try:
                self._link.ask(ask, self._opened)
            except SlingerError as error:
                self.broke(error)
                raise
        else:  # the peer can take no arguments before it has read the function
            self._outgoing.send_first(lambda: self._open_big(ask, package.code))

    def _open_big(self, ask: OpenJob, code: bytes) -> None:
        self._opened(self._link.request(ask, code))
        if self.broken:  # while the peer was reading: it has opened it since
            self.close()

    def _opened(self, answer: msgspec.Struct | SlingerError, _: bytes = b"") -> None:
        if isinstance(answer, SlingerError):
            self.broke(answer)
            return
        with self._lock:
            self._job = cast(Opened, answer).job
            aborted = self._aborted
        if aborted:
            self._cancel(self._job)
        self._open.set()

    def why(self) -> ReasonFacts | None:
        """Ask the peer why nothing of the job runs.

        Raises:
            SlingerError: it does not know the job, or has gone.
        """
        if self._job is None:
            return None
        found = cast(Jobs, self._link.request(GetJobs(to_text(self._job))))
        return found.facts[0].waiting

    def wait_until_open(self) -> bytes:
        """Return the job's id, as soon as the peer has told it.

        Raises:
            SlingerError: the peer has refused the job.
        """
        self._open.wait()
        if self._job is None:
            self.raise_if_broken()
        assert self._job is not None
        return self._job

    def attach(self, job: str, consumer: Consumer) -> JobFacts:
        """Give every result of a job that is open already to one consumer.

        Raises:
            UsageError: this machine has no such job.
        """
        with self._lock:
            self._tasks.expect(limits.JOB_TASKS, 0, consumer)
        try:
            answer = cast(Attached, self._link.request(Attach(self.handle, job)))
        except SlingerError as error:
            self.broke(error)
            raise
        self._job = from_text(answer.facts.job)
        self._open.set()
        return answer.facts

    # --- closing ------------------------------------------------------------------

    @property
    def broken(self) -> bool:
        """Whether nothing more will come."""
        return self._outgoing.stopped is not None

    def raise_if_broken(self) -> None:
        """Raise why nothing more will come, if that is so."""
        if self._outgoing.stopped is not None:
            raise self._outgoing.stopped

    def close(self) -> None:
        """Have the peer stop; whoever waits here is still to be told."""
        self._link.push(CloseJob(self.handle))

    def retire(self) -> bool:
        """End the job if nothing of it is under way; return whether that is so.

        Whoever puts something in all the same hears a `RetiredError`.
        """
        if not self._lock.acquire(blocking=False):
            return False  # whoever holds it may be waiting for a lock of our caller
        try:
            at_rest = self._tasks.idle and not (
                self._incoming.busy or self._incoming.promised
            )
            if self._outgoing.busy or self.broken or not at_rest:
                return False
            self._outgoing.stop(RetiredError("the job has been closed: open another"))
        finally:
            self._lock.release()
        self.close()
        self._left(self)
        return True

    def abort(self, error: BaseException) -> None:
        """Have the peer stop a started job that does not get all its arguments."""
        with self._lock:
            job, self._aborted = self._job, True
        if job is not None:
            self._cancel(job)
        else:  # it is cancelled as soon as the peer has said which it is
            self._open.wait(PATIENCE)
        self.broke(error)

    def _cancel(self, job: bytes) -> None:
        with contextlib.suppress(SlingerError):  # without a peer it is over anyway
            self._link.ask(ChangeJob(to_text(job), "cancel"), lambda *_: None)

    def ended(self, message: JobEnded) -> None:
        """The peer says that no more will come than what we have asked for."""
        usage = message.kind == "usage"
        error = (UsageError if usage else UnavailableError)(message.text)
        with self._lock:
            self._ending = error
            if self._incoming.fetching:
                return
        self.broke(error)

    def _rested(self) -> None:
        """Results have been handed on; the last of them may end it."""
        if self._ending is not None and not (self._incoming.fetching or self.broken):
            self.broke(self._ending)
        self._tell()

    def broke(self, error: BaseException) -> None:
        """Nothing more will come: tell everyone who waits, and the peer."""
        with self._lock:
            first = not self.broken
            waiting = [*self._tasks.clear(), *self._outgoing.stop(error)]
        self._open.set()
        if first:
            self._incoming.close()
            self._left(self)
        for consumer in dict.fromkeys(waiting):
            consumer.broke(error)
        self._tell()

    # --- results ------------------------------------------------------------------

    def glimpsed(self, glimpse: Glimpse) -> None:
        """Tell whoever wants a task how it goes on."""
        with self._lock:
            found = self._tasks.whose(glimpse.index)
        if found is not None:
            consumer, position = found
            consumer.glimpsed(position, glimpse)

    # --- waiting ------------------------------------------------------------------

    def wait_until_sent(self) -> None:
        """Wait until the peer has taken a job, and all of it is on its way there.

        Raises:
            SlingerError: it has not, or it will not be.
        """
        self.wait_until_open()
        self._outgoing.wait_until_complete()
        self.raise_if_broken()

    def wait_until_idle(self) -> None:
        """Wait until every task has an outcome, or no more will come.

        Raises:
            UsageError: from the thread that brings the outcomes.
        """
        self._link.check_waiting()
        with self._idle:
            self._awaited = True
            self._idle.wait_for(
                lambda: (
                    self.broken
                    or (
                        self._tasks.idle
                        and not self._incoming.busy
                        and not self._outgoing.busy
                    )
                )
            )

    def _tell(self) -> None:
        """Tell who waits that something has come to rest; leave what is over."""
        if self._awaited:
            with self._idle:
                self._idle.notify_all()
        if self._outgoing.complete and self._tasks.idle and not self._incoming.fetching:
            self._left(self)
