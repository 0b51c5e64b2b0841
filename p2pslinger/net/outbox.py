"""What one connection has to send, gathered so that a turn costs one write.

Frames queue here and leave together at the end of the turn: when the event that is
being handled has been, else in the loop's next turn. Bodies add a piece at a time and
in turn, only while the socket takes bytes, so that a message never waits behind more
than a few pieces.

Messages are always queued. An end that does not read them is given up once `UNSENT`
bytes have piled up, rather than letting it fill this machine's memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from p2pslinger import limits
from p2pslinger.net.body import Sender
from p2pslinger.net.turns import turn_of
from p2pslinger.wire import frames

#: Bytes queued and not taken by the other end after which the connection is closed.
UNSENT = 64 * limits.MIB

#: Bytes in a transport's buffer above which bodies wait: enough to keep a socket busy
#: over a loop turn, little enough that messages do not queue behind it.
HIGH_WATER = 512 * limits.KIB

#: Bytes from which a piece is worth encrypting where it lies instead of being copied
#: next to its header first: a TLS record of its own costs about as much as 16 KiB.
BULKY = 16 * limits.KIB

#: Seconds that a closing connection gets to take what is queued.
CLOSE_GRACE = 5.0


class Outbox:
    """The outgoing side of a connection.

    Attributes:
        frames, bytes, writes: What has left so far.

    What is said before `open` and after `close` is dropped.

    Args:
        overflow: Called when the other end reads too slowly to go on.
    """

    __slots__ = (
        "_abort",
        "_closed",
        "_encrypts",
        "_loop",
        "_out",
        "_overflow",
        "_paused",
        "_queued",
        "_scheduled",
        "_senders",
        "_transport",
        "_turn",
        "bytes",
        "frames",
        "writes",
    )

    def __init__(self, overflow: Callable[[], None]) -> None:
        self._overflow = overflow
        self._loop = asyncio.get_running_loop()
        self._turn = turn_of(self._loop)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes | memoryview] = []
        self._queued = 0
        self._senders: deque[Sender] = deque()
        self._scheduled = False
        self._paused = False
        self._closed = True
        self._encrypts = False
        self._abort: asyncio.TimerHandle | None = None
        self.frames = 0
        self.bytes = 0
        self.writes = 0

    @property
    def unsent(self) -> int:
        """Bytes of messages that wait for the other end to read."""
        buffered = self._transport.get_write_buffer_size() if self._transport else 0
        return buffered + self._queued

    def open(self, transport: asyncio.Transport) -> None:
        """Send through this transport from now on."""
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self._transport = transport
        self._encrypts = transport.get_extra_info("ssl_object") is not None
        self._closed = False

    def say(self, kind: int, number: int, payload: bytes | memoryview = b"") -> None:
        """Queue one frame; it leaves with all others of this turn."""
        if self._closed:
            return
        self._out.append(frames.header(kind, number, len(payload)))
        if payload:
            self._out.append(payload)
            self._queued += len(payload)
        self.frames += 1
        if not self._scheduled:
            self._scheduled = True
            if self._turn.is_running:
                self._turn.at_end(self.flush)
            else:
                self._loop.call_soon(self.flush)

    def send(self, sender: Sender) -> None:
        """Let a body send as far as its credit goes; again after more credit came."""
        if self._closed or sender.queued or sender.done:
            return
        sender.queued = True
        self._senders.append(sender)
        self._schedule()

    def flush(self) -> None:
        """Write what is queued, and a share of the bodies."""
        self._scheduled = True  # what is said from here on leaves with this write
        if self._senders and not self._paused and not self._closed:
            self._gather()
        self._scheduled = False
        out = self._out
        if not out or self._transport is None:
            return
        parts = runs(out) if self._encrypts else [b"".join(out)]
        out.clear()
        self._queued = 0
        self.writes += 1
        self.bytes += sum(map(len, parts))
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:  # TLS encrypts at once; others might keep what is not theirs to keep
            self._transport.writelines(parts)
        if self._paused and self._transport.get_write_buffer_size() > UNSENT:
            self._overflow()
        elif self._senders:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def _gather(self) -> None:
        """Take pieces from the bodies in turn, until they make a good write."""
        room = limits.PIECE
        senders = self._senders
        while senders and room > 0:
            sender = senders.popleft()
            sender.queued = False
            if sender.done:
                continue
            piece = sender.pull()
            if piece is None:
                continue
            if piece:
                room -= len(piece)
                self.say(sender.piece_kind, sender.number, piece)
            if sender.done:
                self.say(sender.end_kind, sender.number)
                sender.finish()
            elif sender.credit:
                sender.queued = True
                senders.append(sender)

    def pause(self) -> None:
        """Hold the bodies: the socket has enough."""
        self._paused = True

    def resume(self) -> None:
        """Let the bodies go on."""
        self._paused = False
        if self._senders:
            self._schedule()

    def close(self) -> None:
        """Send what is queued, then close; after `CLOSE_GRACE` without that."""
        self._senders.clear()
        if self._transport is None or self._closed:
            return
        self.flush()
        self._closed = True
        self._transport.close()
        self._abort = self._loop.call_later(CLOSE_GRACE, self._transport.abort)

    def lost(self) -> None:
        """Note that the transport is gone."""
        self._closed = True
        self._transport = None
        self._senders.clear()
        self._out.clear()
        if self._abort is not None:
            self._abort.cancel()


def runs(parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """Join the small ones among `parts` with their neighbours, in order."""
    if not any(type(part) is memoryview and len(part) >= BULKY for part in parts):
        return [b"".join(parts)]
    found: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = []
    for part in parts:
        if len(part) < BULKY:
            small.append(part)
            continue
        found += [b"".join(small), part]  # a header precedes it
        small = []
    return [*found, b"".join(small)] if small else found
