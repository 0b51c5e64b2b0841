"""One direction of a simulated stream: what a kernel and a wire do to bytes.

    write -> [chunks, as far as the window allows] -> segment under way -> reader
                          ^                                                  |
                          +----------------- window given back --------------+

1. Bytes arrive once and in order. Loss delays them, a closed link stalls them, and a
   stall of `BREAK_AFTER` seconds breaks the stream for the end that wrote. An end that
   only reads notices nothing, as with TCP.
2. What is written in one turn of the loop leaves as one piece.
3. A reader that pauses stops giving window back; then bytes pile up at the writer.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from typing import TYPE_CHECKING, Protocol

from p2pslinger.testing.links import BREAK_AFTER

if TYPE_CHECKING:
    import asyncio

    from p2pslinger.testing.hosts import Host

#: Bytes that may be under way or unread: about what two kernels buffer.
WINDOW = 256 * 1024


class End(Protocol):
    """What a pipe tells the two ends of a stream."""

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""

    def finished(self) -> None:
        """The other end has closed; nothing follows."""

    def lost(self, error: OSError | None) -> None:
        """The stream is broken."""

    def drained(self) -> None:
        """The pipe has taken more of what was written."""


class Pipe:
    """Bytes from the end at `source` to the end at `target`."""

    __slots__ = (
        "_arrival",
        "_chunks",
        "_ending",
        "_loop",
        "_network",
        "_over",
        "_read",
        "_source",
        "_stall",
        "_target",
        "_unsent",
        "_waking",
        "_window",
        "reader",
        "writer",
    )

    reader: End
    writer: End

    def __init__(self, source: Host, target: Host) -> None:
        self._source = source
        self._target = target
        self._network = source.network
        self._loop = source.network.loop
        self._chunks: deque[bytes | memoryview] = deque()
        self._unsent = 0
        self._window = WINDOW
        self._read = 0
        self._arrival = 0.0
        self._waking = False
        self._ending = False
        self._over = False
        self._stall: asyncio.TimerHandle | None = None

    def backlog(self) -> int:
        """Bytes written that the window has no room for."""
        return max(0, self._unsent - self._window)

    def push(self, data: bytes) -> None:
        """Send `data` after what was pushed before."""
        self._chunks.append(data)
        self._unsent += len(data)
        self.wake()

    def finish(self) -> None:
        """Close after what was pushed."""
        self._ending = True
        self.wake()

    def reset(self) -> None:
        """Drop what has not left and tell the reader that the stream is gone."""
        self.drop()
        delay = self._network.links.stream_delay(self._source, self._target)
        if delay < math.inf:
            text = f"connection reset by {self._source.ip}"
            error = ConnectionResetError(errno.ECONNRESET, text)
            self._network.later(delay, self.reader.lost, error)

    def drop(self) -> None:
        """Stop for good, in silence."""
        self._over = True
        self._chunks.clear()
        self._end_stall()

    def consumed(self, count: int) -> None:
        """The reader has taken `count` bytes; give window back in larger steps."""
        self._read += count
        if self._read * 2 >= WINDOW:
            delay = self._network.links.delay(self._target, self._source)
            self._network.later(delay, self._widen, self._read)
            self._read = 0

    def wake(self) -> None:
        """Try to send at the end of this turn of the loop."""
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._flush, context=self._network.context)

    def _flush(self) -> None:
        self._waking = False
        closes = self._ending and not self._unsent
        if self._over or not (closes or min(self._unsent, self._window)):
            return
        delay = self._network.links.stream_delay(self._source, self._target)
        if delay == math.inf:
            self._begin_stall()
            return
        self._end_stall()
        self._send(self._loop.time() + delay)

    def _send(self, arrival: float) -> None:
        """Put what the window allows on the wire, behind what is there."""
        # The exact time, not a delay: rounding would let a later piece overtake.
        self._arrival = arrival = max(self._arrival, arrival)
        if data := self._take():
            self._source.traffic.count_segments(len(data))
            self._network.at(arrival, self._deliver, data)
        if self._ending and not self._unsent:
            self._over = True
            self._source.traffic.count_segments(0)
            self._network.at(arrival, self.reader.finished)

    def _take(self) -> bytes:
        """As many of the unsent bytes as the window allows."""
        taken: list[bytes | memoryview] = []
        room = self._window
        while self._chunks and room:
            chunk = self._chunks.popleft()
            if len(chunk) > room:
                self._chunks.appendleft(memoryview(chunk)[room:])
                chunk = memoryview(chunk)[:room]
            taken.append(chunk)
            room -= len(chunk)
        sent = self._window - room
        self._unsent -= sent
        self._window -= sent
        return bytes(taken[0]) if len(taken) == 1 else b"".join(taken)

    def _deliver(self, data: bytes) -> None:
        self._network.delivered(self._source, self._target, len(data))
        self.reader.received(data)

    def _widen(self, count: int) -> None:
        if not self._over:
            self._window += count
            self._flush()
            self.writer.drained()

    def _begin_stall(self) -> None:
        if self._stall is None:
            self._stall = self._network.later(BREAK_AFTER, self._break)
            self._network.stalled[self] = None

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
            self._network.stalled.pop(self, None)

    def _break(self) -> None:
        if self._source.asleep:  # its kernel counts no seconds either
            self._stall = self._network.later(BREAK_AFTER, self._break)
            return
        self.drop()
        text = f"{self._target.ip} has not answered for {BREAK_AFTER:g} s"
        self.writer.lost(TimeoutError(errno.ETIMEDOUT, text))
