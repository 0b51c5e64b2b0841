"""A program's ear for one job: the submitter speaks into it.

Results leave as fast as the program reads them. What it has not read waits here, and
not in the socket's buffer, where too much of it would end the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from p2pslinger import limits
from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.wire.control import JobEnded, RangeOut, Results
from p2pslinger.wire.glimpse import Glimpse, Glimpsed
from p2pslinger.wire.records import Failure

#: Bytes that may wait in the connection; beyond them, results wait here.
UNREAD = 8 * limits.MIB

#: Seconds after which a program that did not read is looked at again.
PAUSE = 0.02

#: Bytes of a range or a failure besides its texts and values.
FRAMING = 400


class Listener:
    """Sends one program the results of one job.

    Args:
        connection: To the program.
        handle: What it calls the job.
    """

    def __init__(self, connection: Connection, handle: int) -> None:
        self._connection = connection
        self._handle = handle
        self._waiting: deque[RangeOut] = deque()
        self._end: JobEnded | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: Called when there is room again.
        self.on_room: Callable[[], None] | None = None

    @property
    def has_room(self) -> bool:
        """Whether the program reads what it is sent."""
        return not self._waiting and self._connection.is_open

    def results(self, ranges: list[RangeOut]) -> None:
        """Send results, now or when the program has read what it was sent before."""
        self._waiting.extend(ranges)
        self._send()

    def glimpsed(self, peer: PeerId, glimpse: Glimpse) -> None:
        """Send how a range goes on; a program that does not read misses it."""
        if self.has_room and self._connection.outbox.unsent < UNREAD:
            self._connection.push(Glimpsed(self._handle, peer, glimpse))

    def ended(self, kind: str, text: str) -> None:
        """Say that no more will come, after what waits."""
        self._end = JobEnded(self._handle, kind, text)
        self._send()

    def _send(self) -> None:
        while self._waiting and self._connection.outbox.unsent < UNREAD:
            self._connection.push(Results(self._handle, self._part()))
        if not self._connection.is_open:
            self._waiting.clear()
        elif self._waiting:
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(PAUSE, self._again)
        elif self._end is not None:
            self._connection.push(self._end)
            self._end = None

    def _again(self) -> None:
        self._timer = None
        self._send()
        if self.on_room is not None and self.has_room:
            self.on_room()

    def _part(self) -> tuple[RangeOut, ...]:
        """Take as many ranges as make a good message."""
        part = [self._waiting.popleft()]
        size = _size(part[0])
        while self._waiting and len(part) < limits.BATCH:
            size += _size(self._waiting[0])
            if size > limits.ANSWER:
                break
            part.append(self._waiting.popleft())
        return tuple(part)


def _size(one: RangeOut) -> int:
    """Return about how many bytes of a message a range takes."""
    failures = sum(_failure_size(failure) for failure in one.failures)
    return len(one.values) + len(one.output) + failures + FRAMING


def _failure_size(one: Failure) -> int:
    texts = len(one.message) + len(one.traceback) + len(one.arguments)
    return 4 * texts + len(one.pickled) + FRAMING
