"""Streams between simulated hosts: asyncio transports over a pair of pipes.

They stand for TLS over TCP: both ends are protocols, there is no half-closing, and each
end sees the identity key that the other one asserted, where TLS would have proved it.
An error raised by a protocol closes nothing; it fails the run.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from p2pslinger.testing.pipes import Pipe

if TYPE_CHECKING:
    from contextvars import Context

    from p2pslinger.testing.hosts import Host

#: Bytes unsent above which a protocol is asked to pause writing: asyncio's default.
HIGH_WATER = 64 * 1024

#: What an end asserts about itself in `extra`, and how the other end reads it.
IDENTITY_KEY = "identity_key"
PEER_KEY = "peer_key"

Address = tuple[str, int]


class StreamTransport(asyncio.Transport):
    """One end of a stream.

    `get_extra_info` knows "sockname", "peername" and "peer_key", the identity key that
    the other end asserted (None if it asserted none).
    """

    def __init__(
        self, host: Host, outbound: Pipe, inbound: Pipe, extra: Mapping[str, object]
    ) -> None:
        super().__init__(extra)
        self._host = host
        self._outbound = outbound
        self._inbound = inbound
        outbound.writer = inbound.reader = self
        self._context = contextvars.Context()  # until then as well
        self._protocol = asyncio.Protocol()  # until `open` brings the real one
        self._unread: deque[bytes] = deque()
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._reading = False
        self._writer_paused = False
        self._finished = False
        self._closing = False
        self._lost = False

    def open(self, protocol: asyncio.BaseProtocol, context: Context) -> None:
        """Hand the stream to `protocol`, which is called in `context` from now on."""
        self.set_protocol(protocol)
        self._context = context
        self._reading = True
        self._host.streams[self] = None
        context.run(protocol.connection_made, self)
        self._host.network.loop.call_soon(self._read_on, context=context)

    # --- writing ------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a stream carries bytes, not {type(data).__name__}")
        if self._closing or not data:
            return
        self._outbound.push(bytes(data))
        if self._outbound.backlog() > self._high and not self._writer_paused:
            self._writer_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        """Bytes written that neither kernel would take yet."""
        return self._outbound.backlog()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}) must be >= 0")
        self._high, self._low = high, low

    def drained(self) -> None:
        """The pipe has taken more: let the protocol write on, or finish closing."""
        if self._host.asleep:
            return
        backlog = self._outbound.backlog()
        if self._writer_paused and backlog <= self._low and not self._lost:
            self._writer_paused = False
            self._context.run(self._protocol.resume_writing)
        if self._closing and not backlog:
            self._part()

    # --- reading ------------------------------------------------------------------

    def is_reading(self) -> bool:
        return self._reading and not self._closing and not self._host.asleep

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._host.network.loop.call_soon(self._read_on, context=self._context)

    def received(self, data: bytes) -> None:
        """Bytes have arrived; an end that is gone answers them with a reset."""
        if self._lost:
            self._outbound.reset()
            return
        self._unread.append(data)
        if self._closing:
            self._throw_away_unread()
        else:
            self._context.run(self._read_on)

    def go_on(self) -> None:
        """The host is awake again: take up what has come meanwhile."""
        self._host.network.loop.call_soon(self._read_on, context=self._context)
        self._host.network.loop.call_soon(self.drained, context=self._context)

    def finished(self) -> None:
        """The other end has closed; so does this one once everything is read."""
        self._finished = True
        self._context.run(self._read_on)

    def _read_on(self) -> None:
        while self._unread and self.is_reading():
            data = self._unread.popleft()
            self._inbound.consumed(len(data))
            self._protocol.data_received(data)
        if self._finished and self.is_reading():
            self._protocol.eof_received()
            self.close()

    def _throw_away_unread(self) -> None:
        # It counts as read: a writer that waits for room goes on, and is reset.
        self._inbound.consumed(sum(map(len, self._unread)))
        self._unread.clear()

    # --- ending -------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Send what is written, then end; the other end sees an orderly close."""
        if not self._closing:
            self._closing = True
            self._throw_away_unread()
            if not self._outbound.backlog():
                self._part()

    def abort(self) -> None:
        """End at once; what is unsent is dropped and the other end sees a reset."""
        if not self._lost:
            self._outbound.reset()
            self.lost(None)

    def lost(self, error: OSError | None) -> None:
        """The stream is over, by `error` unless this end wanted it."""
        if not self._lost:
            self._outbound.drop()
            self._say_goodbye(error)

    def vanish(self) -> None:
        """End without a word to anybody, as when the process is killed."""
        self._closing = self._lost = True
        self._outbound.drop()
        self._throw_away_unread()
        self._host.streams.pop(self, None)

    def _part(self) -> None:
        if not self._lost:
            self._outbound.finish()
            self._say_goodbye(None)

    def _say_goodbye(self, error: OSError | None) -> None:
        self._closing = self._lost = True
        self._throw_away_unread()
        self._host.streams.pop(self, None)
        self._host.network.loop.call_soon(
            self._protocol.connection_lost, error, context=self._context
        )

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol


def connected(
    near: tuple[Host, Address, Mapping[str, object]],
    far: tuple[Host, Address, Mapping[str, object]],
) -> tuple[StreamTransport, StreamTransport]:
    """Make both ends of a stream; each is (host, its address, what it asserts)."""
    there, back = Pipe(near[0], far[0]), Pipe(far[0], near[0])
    return (
        StreamTransport(near[0], there, back, _seen(near, far)),
        StreamTransport(far[0], back, there, _seen(far, near)),
    )


def _seen(
    own: tuple[Host, Address, Mapping[str, object]],
    other: tuple[Host, Address, Mapping[str, object]],
) -> dict[str, object]:
    return {
        "sockname": own[1],
        "peername": other[1],
        PEER_KEY: other[2].get(IDENTITY_KEY),
    }
