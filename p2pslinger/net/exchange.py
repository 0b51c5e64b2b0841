"""One request from the other end, and who answers it.

A `Service` names a handler for every message that it takes. Handlers are functions
that run at once, in the middle of reading the socket: they answer, or keep the
`Exchange` and answer later. What a handler raises answers for it; the error's branch
says whose fault it was, and comes back as the same branch at the other end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import msgspec

from p2pslinger import limits
from p2pslinger.errors import (
    PeerError,
    SlingerError,
    TooLargeError,
    UnavailableError,
    UsageError,
)
from p2pslinger.net.body import Body, BodySource, Sender
from p2pslinger.wire import frames
from p2pslinger.wire.messages import Codec, Fail
from p2pslinger.wire.visible import visible

if TYPE_CHECKING:
    from p2pslinger.net.answering import Answering
    from p2pslinger.net.connection import Connection


class Exchange:
    """A request that this end has to answer, once.

    Attributes:
        number: Names it there; 0 for a push, which has no answer.
        body: The bytes that come with it, or None.
        cancelled: Nobody waits for the answer any more.
        answered: `reply` or `fail` has been called.
        on_cancel: Called once if the asker cancels or the connection ends first.
    """

    __slots__ = (
        "_side",
        "answered",
        "body",
        "cancelled",
        "credit",
        "number",
        "on_cancel",
        "sender",
    )

    def __init__(self, side: Answering, number: int, body: Body | None) -> None:
        self._side = side
        self.number = number
        self.body = body
        self.cancelled = False
        self.answered = False
        self.on_cancel: Callable[[], None] | None = None
        self.sender: Sender | None = None  # of the answer's body; not the handler's
        self.credit = 0  # bytes that were granted to it before it was there

    @property
    def connection(self) -> Connection:
        """Where the request came from."""
        return self._side.connection

    def reply(self, message: msgspec.Struct, body: BodySource | None = None) -> None:
        """Answer; nothing happens if nobody waits any more.

        Raises:
            TooLargeError: the message does not fit a frame; it is still unanswered.
            UsageError: it has been answered before.
        """
        if self.answered:
            raise UsageError(f"request {self.number} has been answered before")
        if self.number and not self.cancelled:
            self._side.reply(self, message, body)
        self.answered = True

    def fail(self, error: SlingerError) -> None:
        """Say why there is no answer; nothing happens if there was one or nobody waits.

        After a reply with a body, this ends the body.
        """
        if self.number and not self.cancelled:
            self._side.fail(self, error)
        self.answered = True

    def end(self, why: SlingerError) -> None:
        """Note that nobody waits any more. Called by the connection."""
        self.cancelled = True
        if self.sender is not None:
            self.sender.stop()
        if self.body is not None:
            self.body.end(why)
        if self.on_cancel is not None:
            told, self.on_cancel = self.on_cancel, None
            told()


Handler = Callable[["Connection", msgspec.Struct, Exchange], None]
M = TypeVar("M", bound=msgspec.Struct)


class Handlers(dict[type[msgspec.Struct], Handler]):
    """A table of handlers that checks each against its message's type."""

    def on(
        self, kind: type[M], handle: Callable[[Connection, M, Exchange], None]
    ) -> None:
        """Let `handle` take every message of one type."""
        self[kind] = cast(Handler, handle)


class Service(Protocol):
    """Who answers on a connection."""

    def opened(self, connection: Connection) -> None:
        """Note that the other end said hello and was accepted."""

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        """Note the end of a connection that was opened; why, if it was not wished."""

    def handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        """Return who takes which message. Read once for each connection."""


def encode_message(codec: Codec, message: msgspec.Struct) -> bytes:
    """Return a message's bytes.

    Raises:
        TooLargeError: they do not fit a frame.
    """
    payload = codec.encode(message)
    if len(payload) > limits.FRAME - frames.HEADER_BYTES:
        raise TooLargeError(
            f"a {type(message).__name__} of {len(payload)} bytes does not fit a frame "
            f"of {limits.FRAME}: send what is big in it as a body"
        )
    return payload


#: How an ask ends: with the answer, and its body if there is one; or with an error.
Done = Callable[[msgspec.Struct | SlingerError, Body | None], None]


def to_fail(error: SlingerError) -> Fail:
    """Return what the other end is told about an error."""
    if isinstance(error, UsageError):
        kind = "usage"
    elif isinstance(error, PeerError):
        kind = "peer"
    else:
        kind = "unavailable"
    return Fail(kind, str(error)[: limits.MESSAGE_TEXT])


def from_fail(fail: Fail) -> SlingerError:
    """Return the error that the other end told us."""
    text = visible(fail.text)  # it may end up on anybody's terminal
    if fail.kind == "usage":
        return UsageError(text)
    if fail.kind == "peer":
        return PeerError(f"says that this end {text}")
    return UnavailableError(text)
