"""The answerer's side of a connection: the other end's requests, until they are served.

A handler's error is an answer too. One of the other end's making (`PeerError`) ends the
connection as well; one that is no `SlingerError` is our own bug: the asker is told that
much, the connection goes on, and the bug is reported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.net.body import Body, BodySource, Sender
from p2pslinger.net.exchange import Exchange, Handler, encode_message, to_fail
from p2pslinger.net.outbox import Outbox
from p2pslinger.wire.frames import Kind, decode_credit, encode_credit
from p2pslinger.wire.messages import Codec, encode

if TYPE_CHECKING:
    from p2pslinger.net.connection import Connection

log = logging.getLogger(__name__)

# Members of an enum are slow to look up, and these are looked up for every frame.
_REPLY = int(Kind.REPLY)
_REPLY_BODY = int(Kind.REPLY_BODY)
_KINDS = (int(Kind.ANSWER_PIECE), int(Kind.ANSWER_END))


class Answering:
    """Requests of the other end.

    Args:
        connection: What handlers are told that they came from.
        outbox: Where frames leave.
        codec: The messages of this conversation.
        handlers: Who takes which message.
        bug: Gets what handlers and sources of bodies raise by mistake.
    """

    __slots__ = (
        "_bug",
        "_codec",
        "_exchanges",
        "_handlers",
        "_last",
        "_outbox",
        "connection",
    )

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        codec: Codec,
        handlers: Mapping[type[msgspec.Struct], Handler],
        bug: Callable[[Exception], None],
    ) -> None:
        self.connection = connection
        self._outbox = outbox
        self._codec = codec
        self._handlers = handlers
        self._bug = bug
        self._last = 0
        self._exchanges: dict[int, Exchange] = {}

    def __len__(self) -> int:
        """Requests that are not served yet."""
        return len(self._exchanges)

    def reply(
        self, exchange: Exchange, message: msgspec.Struct, body: BodySource | None
    ) -> None:
        """Send an answer; see `Exchange.reply`."""
        payload = encode_message(self._codec, message)
        number = exchange.number
        if body is None:
            self._outbox.say(_REPLY, number, payload)
            self._served(exchange)
        else:
            self._outbox.say(_REPLY_BODY, number, payload)
            ended = partial(self._sent, exchange)
            sender = Sender(body, kinds=_KINDS, number=number, ended=ended)
            sender.credit += exchange.credit
            exchange.sender = sender
            self._outbox.send(sender)

    def fail(self, exchange: Exchange, error: SlingerError) -> None:
        """Send an error; see `Exchange.fail`."""
        if self._exchanges.get(exchange.number) is exchange:
            self._outbox.say(Kind.FAIL, exchange.number, encode(to_fail(error)))
            self._served(exchange)

    def end(self, why: SlingerError) -> None:
        """Tell whoever works on a request that nobody waits: the connection is over."""
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            self._cancel(exchange, why)

    # --- frames -------------------------------------------------------------------

    def hear_request(self, number: int, payload: bytes) -> None:
        """REQUEST: let its handler see it."""
        self._admit(number)
        message = self._codec.decode(payload)
        self._exchanges[number] = exchange = Exchange(self, number, None)
        self._serve(message, exchange)

    def hear_request_body(self, number: int, payload: bytes) -> None:
        """REQUEST_BODY: the same, with a body that is on its way."""
        self._admit(number)
        message = self._codec.decode(payload)
        body = Body(partial(self._grant, number))
        self._exchanges[number] = exchange = Exchange(self, number, body)
        self._serve(message, exchange)

    def hear_push(self, number: int, payload: bytes) -> None:
        """PUSH: let its handler see it; it has no answer."""
        self._serve(self._codec.decode(payload), Exchange(self, 0, None))

    def hear_cancel(self, number: int, payload: bytes) -> None:
        """CANCEL: nobody waits for an answer any more."""
        exchange = self._known(number)
        if exchange is not None:
            del self._exchanges[number]
            self._cancel(exchange, UnavailableError("the asker has cancelled it"))

    def hear_piece(self, number: int, payload: bytes) -> None:
        """PIECE: bytes of a request's body."""
        exchange = self._known(number)
        if exchange is not None:
            self._body_of(exchange).heard(payload)

    def hear_end(self, number: int, payload: bytes) -> None:
        """END: a request's body is complete."""
        exchange = self._known(number)
        if exchange is not None:
            self._body_of(exchange).end()

    def hear_credit(self, number: int, payload: bytes) -> None:
        """ANSWER_CREDIT: there is room for an answer's body, or some was read of it."""
        exchange, size = self._known(number), decode_credit(payload)
        if exchange is None:
            return
        if exchange.sender is not None:
            exchange.sender.credit += size
            self._outbox.send(exchange.sender)
        else:
            exchange.credit += size
            if exchange.credit > limits.BODY_WINDOW:
                raise PeerError(f"granted answer {number} more than a window at once")

    # --- the parts ----------------------------------------------------------------

    def _admit(self, number: int) -> None:
        if number != self._last + 1:
            raise PeerError(f"made request {number} after {self._last}")
        if len(self._exchanges) >= limits.OPEN_REQUESTS:
            raise PeerError(f"has more than {limits.OPEN_REQUESTS} requests open")
        self._last = number

    def _known(self, number: int) -> Exchange | None:
        """Return an open exchange; None if it is over, as late frames' are."""
        exchange = self._exchanges.get(number)
        if exchange is None and not 0 < number <= self._last:
            raise PeerError(f"spoke of request {number}, which it never made")
        return exchange

    def _body_of(self, exchange: Exchange) -> Body:
        if exchange.body is None:
            raise PeerError(f"sent a body for request {exchange.number} unannounced")
        return exchange.body

    def _serve(self, message: msgspec.Struct, exchange: Exchange) -> None:
        handle = self._handlers.get(type(message))
        if handle is None:
            raise PeerError(f"sent a {type(message).__name__}, which is not for us")
        try:
            handle(self.connection, message, exchange)
        except PeerError as error:
            exchange.fail(error)
            raise
        except SlingerError as error:
            if not exchange.number:  # a push: there is nobody to tell
                log.info("a push was not taken: %s", error)
            exchange.fail(error)
        except Exception as error:  # noqa: BLE001  # others' requests must go on
            exchange.fail(UnavailableError(f"met a bug of its own: {error!r}"))
            self._bug(error)

    def _served(self, exchange: Exchange) -> None:
        """Forget an exchange; what is left of its request's body is not wanted."""
        self._exchanges.pop(exchange.number, None)
        exchange.on_cancel = None
        if exchange.sender is not None:
            exchange.sender.stop()
        if exchange.body is not None:
            exchange.body.end(UnavailableError("the request has been answered"))

    def _cancel(self, exchange: Exchange, why: SlingerError) -> None:
        try:
            exchange.end(why)
        except Exception as error:  # noqa: BLE001  # as in `_serve`
            self._bug(error)

    def _grant(self, number: int, size: int) -> None:
        self._outbox.say(Kind.CREDIT, number, encode_credit(size))

    def _sent(self, exchange: Exchange, error: Exception | None) -> None:
        """Note that an answer's body has been sent, or that its source failed."""
        if error is None:
            self._served(exchange)
            return
        if not isinstance(error, SlingerError):
            self._bug(error)
            error = UnavailableError(f"the answer's body could not be read: {error}")
        self.fail(exchange, error)
