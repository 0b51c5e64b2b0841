"""What comes to a program from one job: results, and big values when they are wanted.

Values that are too big for a message are promised to whoever wants the tasks; he asks
for them when he reads them. The peer has them until he does, or is told that nobody
will.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Sequence

import msgspec

from p2pslinger.client.fetches import Fetches
from p2pslinger.client.later import Came, Later
from p2pslinger.client.link import Link
from p2pslinger.client.named import Named
from p2pslinger.client.outcomes import Outcomes, outcomes_of
from p2pslinger.client.segments import Part, Segments
from p2pslinger.client.sender import Sender
from p2pslinger.client.values import Trust
from p2pslinger.errors import SlingerError
from p2pslinger.wire.control import Blob, CloseJob, GetValues, RangeOut


class Incoming:
    """The results of one job.

    Args:
        link: To this machine's peer.
        sender: Tells the peer what nobody will read.
        fetches: Asks for values.
        handle: This program's number for the job.
        tasks: Whose tasks are whose.
        lock: Guards `tasks` and what is counted here.
        trust: How far values from other peers are decoded.
        named: Types of which they may be.
        rested: Called when results have been handed on.
    """

    def __init__(
        self,
        link: Link,
        sender: Sender,
        fetches: Fetches,
        handle: int,
        *,
        tasks: Segments,
        lock: threading.RLock,
        trust: Trust,
        named: Named,
        rested: Callable[[], None],
    ) -> None:
        self._link = link
        self._sender = sender
        self._fetches = fetches
        self._handle = handle
        self._tasks = tasks
        self._lock = lock
        self.trust: Trust = trust
        self._named = named
        self._rested = rested
        #: Ranges whose values have been asked for and have not come.
        self.fetching = 0
        self._giving = 0
        self._promised = 0
        self._closing = False

    @property
    def busy(self) -> bool:
        """Whether something is on its way, or being handed on."""
        return bool(self.fetching or self._giving)

    @property
    def promised(self) -> bool:
        """Whether somebody may still want values that the peer has."""
        return bool(self._promised)

    def take(self, out: RangeOut) -> None:
        """Take a range; the first result of a task counts."""
        with self._lock:
            parts = self._tasks.finish(*(out.only or (out.start, out.stop)))
        if not out.digest:
            self._give(out, parts, out.values)
        elif len(parts) == 1:
            parts[0].consumer.promised(parts[0].first, self._promise(out, parts[0]))
            self._rested()
        elif parts:
            self._fetch(out, lambda data: self._give(out, parts, data))
        else:
            self._disclaim(out.digest)

    def close(self) -> None:
        """Have the peer stop, and forget the job when nobody wants values of it."""
        with self._lock:
            self._closing = True
            if self._promised:
                return
        self._link.push(CloseJob(self._handle))

    def let_go(self, digest: bytes, *, asked: bool) -> None:
        """Nobody holds a promise of values any more.

        Args:
            asked: They have been asked for; a throw-away job's are given only once.
        """
        with self._lock:
            self._promised -= 1
        if self._closing and not self._promised:
            self.close()
        elif not asked:
            self._disclaim(digest)

    # --- inside -------------------------------------------------------------------

    def _promise(self, out: RangeOut, part: Part) -> Later:
        promise = _Promise(self, out.digest)

        def fetch(came: Came) -> None:
            promise.asked = True
            self._fetch(out, lambda data: self._keep_promise(out, part, data, came))

        failed = sum(part.low <= one.index < part.high for one in out.failures)
        later = Later(out, part.high - part.low, failed, fetch)
        with self._lock:
            self._promised += 1
        weakref.finalize(later, self._sender.wake, promise).atexit = False
        return later

    def _keep_promise(
        self, out: RangeOut, part: Part, data: bytes | SlingerError, came: Came
    ) -> None:
        all_of_it = outcomes_of(out, data, self._trust_in(out), self._named)
        came(_part_of(out, part, all_of_it), isinstance(data, SlingerError))

    def _give(
        self, out: RangeOut, parts: Sequence[Part], data: bytes | SlingerError
    ) -> None:
        """Hand values to whoever wants them."""
        with self._lock:
            self._giving += 1
        try:
            if parts:
                came = outcomes_of(out, data, self._trust_in(out), self._named)
            for part in parts:
                values, errors = _part_of(out, part, came)
                part.consumer.took(part.first, values, errors, out)
        finally:
            with self._lock:
                self._giving -= 1
        self._rested()

    def _trust_in(self, out: RangeOut) -> Trust:
        return "mine" if out.mine else self.trust

    def _fetch(
        self, out: RangeOut, got: Callable[[bytes | SlingerError], None]
    ) -> None:
        """Ask for values, now or later."""

        def answered(answer: msgspec.Struct | SlingerError, data: bytes) -> None:
            try:
                got(self._values_of(answer, data))
            finally:
                with self._lock:
                    self.fetching -= 1
            self._rested()

        with self._lock:
            self.fetching += 1
        self._fetches.want(GetValues(self._handle, out.digest, True), answered)

    def _values_of(
        self, answer: msgspec.Struct | SlingerError, data: bytes
    ) -> bytes | SlingerError:
        """Return values that have come, as a body or as memory."""
        if isinstance(answer, SlingerError):
            return answer
        if isinstance(answer, Blob) and answer.memory:
            try:
                return self._link.take_memory(answer.memory, answer.size)
            except SlingerError as error:
                return error
        return data

    def _disclaim(self, digest: bytes) -> None:
        """Tell the peer that nobody will ask for values."""
        with contextlib.suppress(SlingerError):
            ask = GetValues(self._handle, digest, wanted=False)
            self._link.ask(ask, lambda *_: None)


class _Promise:
    """Values that somebody may ask for; flushed when nobody can any more."""

    def __init__(self, incoming: Incoming, digest: bytes) -> None:
        self._incoming = incoming
        self._digest = digest
        self.asked = False

    def flush(self) -> None:
        """Take note of it, in the sender thread."""
        self._incoming.let_go(self._digest, asked=self.asked)


def _part_of(out: RangeOut, part: Part, came: Outcomes) -> Outcomes:
    """Return what came of some tasks of a range."""
    values, errors = came
    low, high = part.low, part.high
    if (low, high) != (out.start, out.stop):
        values = values[low - out.start : high - out.start]
    return values, {i - low: e for i, e in errors.items() if low <= i < high}
