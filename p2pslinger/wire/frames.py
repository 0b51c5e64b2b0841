"""Frames: how messages share one connection.

A frame is a 4-byte length, a 1-byte kind, a 4-byte number and a payload. The number
names the exchange that the frame belongs to; each end counts its own requests from 1
without a gap, so a number means nothing without the direction. Replies carry the
number of the request.

    REQUEST n  ->            <- REPLY n | FAIL n
    CANCEL n   ->            the asker has lost interest; no answer follows
    PUSH 0     ->            no answer
    FAIL 0     ->            the sender closes the connection, and says why
    PIECE n    ->            next piece of the body of exchange n (END: the last)
    CREDIT n   <-            the reader's end has room for so many more bytes

Either end may be the asker. Bodies flow in both directions of an exchange: the asker's
PIECEs carry its own number, the answerer's are ANSWER_PIECEs. REQUEST_BODY and
REPLY_BODY announce that pieces follow; an asker that knows how much will come may grant
it right behind its REQUEST. A FAIL may also come instead of the rest of an answer's
body. A PIECE has at least one byte, an END none, a CREDIT four.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple, cast

from p2pslinger import limits
from p2pslinger.errors import PeerError

_HEADER = struct.Struct("!IBI")
_CREDIT = struct.Struct("!I")
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 0
    REQUEST = 1
    REPLY = 2
    FAIL = 3
    CANCEL = 4
    PUSH = 5
    PIECE = 6
    END = 7
    CREDIT = 8
    ANSWER_PIECE = 9
    ANSWER_END = 10
    ANSWER_CREDIT = 11
    REQUEST_BODY = 12
    REPLY_BODY = 13


#: Bounds as plain ints: comparing with members of an enum would cost more than the cut.
_HELLO = int(Kind.HELLO)
_LAST = int(max(Kind))
_PIECES = (int(Kind.PIECE), int(Kind.ANSWER_PIECE))


class Frame(NamedTuple):
    """One frame as it was read; that of a piece may be a view, see `FrameReader`."""

    kind: int
    number: int
    payload: bytes


def encode(kind: int, number: int, payload: bytes) -> bytes:
    """Return one frame's bytes."""
    return _HEADER.pack(len(payload) + 5, kind, number) + payload


def header(kind: int, number: int, size: int) -> bytes:
    """Return what precedes a payload of `size` bytes, to spare copying the payload."""
    return _HEADER.pack(size + 5, kind, number)


def encode_credit(size: int) -> bytes:
    """Return the payload of a CREDIT frame."""
    return _CREDIT.pack(size)


def decode_credit(payload: bytes) -> int:
    """Read the payload of a CREDIT frame, bytes.

    Raises:
        PeerError: it is none, or grants nothing.
    """
    size: int = _CREDIT.unpack(payload)[0] if len(payload) == _CREDIT.size else 0
    if not size:
        raise PeerError(f"sent a credit of {len(payload)} bytes that grants nothing")
    return size


class FrameReader:
    """Cuts a byte stream into frames, the same ones however the stream is chunked.

    Only pieces of bodies are different: they are handed out as their bytes come, in as
    many frames as that takes, because gathering them would copy every byte twice.

    Args:
        limit: Largest frame, bytes. May be raised once the hello has been heard.
        views: What is fed as a view comes out as views where it is a body's: whoever
            gets them copies or uses them before the next bytes come.
    """

    __slots__ = ("_buffer", "_kind", "_left", "_number", "_views", "_wanted", "limit")

    def __init__(self, limit: int = limits.HELLO_FRAME, *, views: bool = False) -> None:
        self.limit = limit
        self._views = views
        self._buffer = bytearray()
        self._wanted = 0  # bytes that the buffer must hold before it is worth a look
        self._left = 0  # bytes of a piece that are still to come
        self._kind = self._number = 0  # that piece's

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """Take bytes, and keep no view of them; return frames that are complete.

        Cutting stops behind a hello (the limit may change then) and in front of a
        broken frame: feed b"" until nothing comes.

        Raises:
            PeerError: the next frame is too large, too short or of no known kind.
        """
        frames: list[Frame] = []
        if not self._buffer:
            at = self._cut(data, frames)
            if at < len(data):
                self._buffer += data[at:]
            return frames
        self._buffer += data
        if len(self._buffer) >= self._wanted:
            with memoryview(self._buffer) as view:
                at = self._cut(view, frames)
            del self._buffer[:at]
        return frames

    def _cut(self, source: bytes | memoryview, frames: list[Frame]) -> int:
        """Append the frames that `source` starts with; return where the rest starts."""
        at, end = self._cut_piece(source, 0, frames), len(source)
        self._wanted = HEADER_BYTES
        while end - at >= HEADER_BYTES:
            length, kind, number = _HEADER.unpack_from(source, at)
            if not 5 <= length <= self.limit or kind > _LAST:
                if frames:
                    break  # what came before it is served first
                raise PeerError(
                    f"sent a frame of kind {kind} and {length} bytes, "
                    f"where {self.limit} are allowed"
                )
            stop = at + 4 + length
            if stop > end:
                if kind not in _PIECES:
                    self._wanted = 4 + length
                    break
                self._kind, self._number, self._left = kind, number, length - 5
                return self._cut_piece(source, at + HEADER_BYTES, frames)
            payload = cast(bytes, source[at + HEADER_BYTES : stop])
            if kind not in _PIECES or not self._views or self._buffer:
                payload = bytes(payload)
            frames.append(Frame(kind, number, payload))
            at = stop
            if kind == _HELLO:
                break
        return at

    def _cut_piece(
        self, source: bytes | memoryview, at: int, frames: list[Frame]
    ) -> int:
        """Append what has come of an unfinished piece, from `at`; return its end."""
        size = min(self._left, len(source) - at)
        if size:
            payload = cast(bytes, source[at : at + size])
            if not self._views or self._buffer:  # that is about to change
                payload = bytes(payload)
            frames.append(Frame(self._kind, self._number, payload))
            self._left -= size
        return at + size
