"""Requests that this program has made, and what the peer answers.

Bodies flow both ways in pieces, as the reader makes room for them. All that comes from
the peer comes in the link's reading thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError, UsageError
from p2pslinger.wire.control import CONTROL_CODEC
from p2pslinger.wire.frames import Kind, decode_credit, encode, encode_credit
from p2pslinger.wire.messages import decode_fail

#: Bytes of a body that may be sent before the peer has granted more.
FIRST_CREDIT = 64 * limits.KIB

#: What an asker is called with, in the reading thread: the answer and its body.
Answered = Callable[[msgspec.Struct | SlingerError, bytes], None]


class Send(Protocol):
    """Sends a frame's bytes."""

    def __call__(self, data: bytes, memory: bytes | None = None) -> None:
        """Send them, and the memory that holds others beside them."""


@dataclass(slots=True)
class _Asked:
    """A request without an answer, or without all of it."""

    done: Answered
    body: memoryview | None = None
    credit: int = FIRST_CREDIT
    reply: msgspec.Struct | None = None
    pieces: list[bytes] = field(default_factory=list)


class Requests:
    """The requests of one connection.

    Args:
        send: Sends a frame's bytes; raises if the peer is gone.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._lost: SlingerError | None = None
        self._hearing: dict[int, Callable[[int, bytes], None]] = {
            Kind.FAIL: self._failed,
            Kind.REPLY: self._replied,
            Kind.REPLY_BODY: self._began,
            Kind.ANSWER_PIECE: self._took_piece,
            Kind.ANSWER_END: self._finished,
            Kind.CREDIT: self._credited,
        }

    def check(self) -> None:
        """See that requests can be made.

        Raises:
            ConnectionLostError: the peer is gone, or the connection was closed.
        """
        if self._lost is not None:
            raise self._lost

    def ask(
        self,
        payload: bytes,
        done: Answered,
        body: bytes | None = None,
        memory: bytes | None = None,
    ) -> None:
        """Send a request; unless this raises, `done` is called once.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        asked = _Asked(done, None if body is None else memoryview(body))
        kind = Kind.REQUEST if body is None else Kind.REQUEST_BODY
        with self._lock:
            self.check()
            self._number += 1
            number = self._number
            self._asked[number] = asked
            try:
                self._send(encode(kind, number, payload), memory)
            except BaseException:
                del self._asked[number]
                raise
        if body is not None:
            self._send_body(number, asked)

    def hear(self, kind: int, number: int, payload: bytes) -> None:
        """Handle a frame that answers a request, or that ends the connection.

        Raises:
            PeerError: nobody has asked for that.
            SlingerError: the peer's last word.
        """
        handler = self._hearing.get(kind)
        if handler is None:
            raise PeerError(f"sent a frame of kind {kind} to a program")
        handler(number, payload)

    def fail(self, why: SlingerError) -> None:
        """Fail all requests, and those to come."""
        with self._lock:
            self._lost = self._lost or why
            lost, self._asked = self._asked, {}
        for asked in lost.values():
            asked.done(why, b"")

    # --- what the peer says -------------------------------------------------------

    def _failed(self, number: int, payload: bytes) -> None:
        fail = decode_fail(payload)
        error = _error(fail.kind, fail.text)
        if number == 0:
            raise error
        self._end(number, error)

    def _replied(self, number: int, payload: bytes) -> None:
        self._find(number)
        self._end(number, CONTROL_CODEC.decode(payload))

    def _began(self, number: int, payload: bytes) -> None:
        """An answer has a body: make room for all of its window."""
        self._find(number).reply = CONTROL_CODEC.decode(payload)
        room = limits.BODY_WINDOW - FIRST_CREDIT
        self._send(encode(Kind.ANSWER_CREDIT, number, encode_credit(room)))

    def _took_piece(self, number: int, payload: bytes) -> None:
        self._find(number).pieces.append(payload)
        self._send(encode(Kind.ANSWER_CREDIT, number, encode_credit(len(payload))))

    def _finished(self, number: int, _: bytes) -> None:
        reply = self._find(number).reply
        if reply is None:
            raise PeerError(f"ended the body of answer {number}, which has none")
        self._end(number, reply)

    def _credited(self, number: int, payload: bytes) -> None:
        asked = self._find(number)
        asked.credit += decode_credit(payload)
        self._send_body(number, asked)

    # --- inside -------------------------------------------------------------------

    def _find(self, number: int) -> _Asked:
        asked = self._asked.get(number)
        if asked is None:
            raise PeerError(f"answered request {number}, which nobody made")
        return asked

    def _end(self, number: int, answer: msgspec.Struct | SlingerError) -> None:
        with self._lock:
            asked = self._asked.pop(number, None)
        if asked is not None:
            asked.done(answer, b"".join(asked.pieces))

    def _send_body(self, number: int, asked: _Asked) -> None:
        """Send as much of a body as the peer has room for."""
        with self._lock:
            while asked.body is not None and asked.credit > 0:
                size = min(asked.credit, limits.PIECE)
                if size := min(size, len(asked.body)):
                    piece = bytes(asked.body[:size])
                    self._send(encode(Kind.PIECE, number, piece))
                asked.body = asked.body[size:]
                asked.credit -= size
                if not asked.body:
                    asked.body = None
                    self._send(encode(Kind.END, number, b""))


def _error(kind: str, text: str) -> SlingerError:
    if kind == "usage":
        return UsageError(text)
    if kind == "peer":
        return PeerError(f"says that this program {text}")
    return UnavailableError(text)
