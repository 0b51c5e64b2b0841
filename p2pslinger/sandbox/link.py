"""Frames over a slot's socket: small ones fast, large ones whole.

A large frame gets a buffer of its own size, which costs memory only as it fills. What
is sent goes out in pieces, as fast as the runner takes it: asyncio would copy what it
can't send at once, several times over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import cast

from p2pslinger.sandbox import frames

log = logging.getLogger(__name__)

#: Bytes received at once, and room for small frames.
BUFFER = 1 << 16

#: Bytes up to which a frame is joined and sent at once.
JOINED = 1 << 16

#: Bytes of a larger frame that are handed over at once.
PIECE = 1 << 18


class Link(asyncio.BufferedProtocol):
    """The daemon's end of a slot's socket.

    Args:
        on_frame: Called with kind and body, which is valid during the call only. It
            raises a NonsenseError to end the link.
        on_lost: Called once when nothing more will come.
    """

    def __init__(
        self,
        on_frame: Callable[[int, memoryview], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(BUFFER)
        self._filled = 0
        self._held: list[bytes] = []
        self._outbox: deque[memoryview] = deque()
        self._paused = False

    def hold(self, kind: int, *parts: bytes) -> None:
        """Send a frame with the next one: the runner need not wake for it alone."""
        self._held.append(frames.HEAD.pack(kind, sum(map(len, parts))))
        self._held.extend(parts)

    def send(self, kind: int, *parts: bytes) -> None:
        """Send a frame; nothing happens if the link has ended."""
        self.hold(kind, *parts)
        held, self._held = self._held, []
        if self._transport is None or self._transport.is_closing():
            return
        if sum(map(len, held)) <= JOINED and not self._outbox:
            self._transport.write(b"".join(held))
        else:
            self._outbox.extend(map(memoryview, held))
            self._pump()

    def abort(self) -> None:
        """End the link at once."""
        self._outbox.clear()
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.BufferedProtocol -------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._outbox.clear()
        self._on_lost()

    def pause_writing(self) -> None:
        """Hold back what is large."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with what was held back."""
        self._paused = False
        self._pump()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what comes next."""
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take the frames that are complete, and make room for the next."""
        self._filled += nbytes
        rest = memoryview(self._buffer)[: self._filled]
        size = 0
        try:
            while 0 < (size := _frame_size(rest)) <= len(rest):
                self._on_frame(rest[0], rest[frames.HEAD.size : size])
                rest = rest[size:]
        except frames.NonsenseError as error:
            log.warning("killing a slot that sent nonsense: %s", error)
            rest, size = rest[:0], 0
            self.abort()
        self._make_room(rest, size)

    # --- inside -------------------------------------------------------------------

    def _pump(self) -> None:
        while self._outbox and not self._paused and self._transport is not None:
            part = self._outbox.popleft()
            if len(part) > PIECE:
                self._outbox.appendleft(part[PIECE:])
            self._transport.write(part[:PIECE])

    def _make_room(self, rest: memoryview, size: int) -> None:
        """Keep what is left of the buffer, in one that the next frame fits in."""
        size = max(size, BUFFER)
        if size != len(self._buffer):
            self._buffer = bytearray(size)
            self._buffer[: len(rest)] = rest
        elif len(rest) < self._filled:
            self._buffer[: len(rest)] = bytes(rest)
        self._filled = len(rest)


def _frame_size(received: memoryview) -> int:
    """Return the size of the frame that begins here; 0 while nobody knows.

    Raises:
        NonsenseError: It is larger than any frame may be.
    """
    if len(received) < frames.HEAD.size:
        return 0
    length = int(frames.HEAD.unpack_from(received)[1])
    if length > frames.FRAME_BYTES:
        raise frames.NonsenseError(f"a frame of {length} bytes")
    return frames.HEAD.size + length
