"""One connection between two ends that are equals: either asks, either answers.

It is an asyncio protocol and runs on any transport: TLS between peers, a simulated
stream, a Unix socket between a program and its peer. This is the hot path, so nothing
here makes a task or a future unless it is asked for one: messages are handled where
they are read, answers are callbacks, and what is said meanwhile leaves in one write.

    data_received -> FrameReader -> Asking     -> done(answer)
                                 -> Answering  -> handler(message, exchange)
    transport.write <---- Outbox <- both

Three promises:

1. Every `ask` that is not cancelled gets exactly one answer, and never inside `ask`.
2. What no honest peer sends ends the connection; the other end hears the reason.
3. `Service.closed` comes exactly once after `Service.opened`, and not without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from p2pslinger import limits
from p2pslinger.errors import (
    ConnectionLostError,
    IncompatibleError,
    PeerError,
    SlingerError,
    UnavailableError,
)
from p2pslinger.ids import PeerId, peer_id, short
from p2pslinger.net.answering import Answering
from p2pslinger.net.asking import Asking, refuse, wait_for
from p2pslinger.net.body import Body, BodySource
from p2pslinger.net.exchange import Done, Service, encode_message, from_fail, to_fail
from p2pslinger.net.greeting import HELLO_TIMEOUT, incompatible, where
from p2pslinger.net.outbox import UNSENT, Outbox
from p2pslinger.net.turns import turn_of
from p2pslinger.wire.frames import FrameReader, Kind
from p2pslinger.wire.messages import Codec, Hello, decode_fail, decode_hello, encode

_HELLO = int(Kind.HELLO)
_PUSH = int(Kind.PUSH)

Hear = Callable[[int, bytes], None]


class Connection(asyncio.Protocol):
    """One end of a connection.

    Attributes:
        key: The other end's public key, as its transport proves it; None if it can't.
        peer: The id that belongs to `key`.
        host: The other end's address; "" on a Unix socket.
        hello: What the other end said about itself; set before `Service.opened`.
        opened_at: Time of the event loop, seconds.
        outbox: Counts what was sent so far: `bytes`, `frames`, `writes`.
        ready: Done once the other end has said hello and was accepted.
        gone: Done once the transport has let go of its socket.
        broke: It has ended without a goodbye from either end.
        on_bug: Gets what handlers and callbacks raise that is no `SlingerError`; by
            default the event loop's exception handler, which logs it.

    Args:
        codec: The messages of this conversation.
        service: Who answers.
        hello: Makes this end's hello.
        check: Raises a `SlingerError` to refuse the other end's.
        peer_key: Reads the other end's public key from a transport.
    """

    hello: Hello

    def __init__(
        self,
        *,
        codec: Codec,
        service: Service,
        hello: Callable[[], Hello],
        check: Callable[[Connection, Hello], None],
        peer_key: Callable[[asyncio.BaseTransport], bytes] | None,
    ) -> None:
        self.key: bytes | None = None
        self.peer: PeerId | None = None
        self._loop = asyncio.get_running_loop()
        self.opened_at = self._loop.time()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.broke = False
        self.on_bug: Callable[[Exception], None] = self._complain
        self._turn = turn_of(self._loop)
        self.outbox = Outbox(self._overflowed)
        self._codec = codec
        self._service = service
        self._say_hello = hello
        self._check = check
        self._peer_key = peer_key
        self.host = ""
        self._where = ""
        self._mine: Hello | None = None
        self._hello_timer: asyncio.TimerHandle | None = None
        self._opened = False
        self._over = False
        self._reader = FrameReader(views=True)  # bodies copy what they keep
        self._asking = Asking(self.outbox, codec, self._report)
        self._answering = Answering(
            self, self.outbox, codec, service.handlers(), self._report
        )
        self._hear: list[Hear] = [self._hear_early] * len(Kind)
        self._hear[Kind.HELLO] = self._hear_hello
        self._hear[Kind.FAIL] = self._hear_fail

    def __repr__(self) -> str:
        return f"<Connection to {self.other}, {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether hellos have been exchanged and neither end has left."""
        return self._opened and not self._over

    @property
    def other(self) -> str:
        """The other end, as a message names it."""
        who = f"peer {short(self.peer)}" if self.peer else "the other end"
        return f"{who} at {self._where}" if self._where else who

    # --- asking -------------------------------------------------------------------

    def ask(
        self,
        message: msgspec.Struct,
        done: Done,
        body: BodySource | None = None,
        room: int = 0,
    ) -> int:
        """Send a request; `done` gets the answer. Return its number, for `cancel`.

        Args:
            room: Bytes of the answer's body that may come at once, less than a window;
                more are a breach.

        Raises:
            TooLargeError: the message does not fit a frame.
        """
        if self._opened and not self._over:
            return self._asking.ask(message, done, body, room)
        return refuse(done, self._lost("is not open"))

    async def request(
        self,
        message: msgspec.Struct,
        body: BodySource | None = None,
        timeout: float | None = None,
    ) -> msgspec.Struct:
        """Send a request and wait for the answer, at most `timeout` seconds.

        Cancelling the wait cancels the request.

        Raises:
            UsageError, PeerError, UnavailableError: as the other end failed it.
            ConnectionLostError: the connection ended first.
            TooLargeError: the message does not fit a frame.
        """
        reply, answer_body = await wait_for(self, message, body, timeout)
        if answer_body is not None:
            answer_body.close()
        return reply

    async def fetch(
        self, message: msgspec.Struct, timeout: float | None = None, room: int = 0
    ) -> tuple[msgspec.Struct, Body]:
        """Send a request whose answer has a body; read it to its end, or close it.

        With `room` for all of it, if that is known, it comes without further questions.

        Raises what `request` raises, and PeerError if there is no body.
        """
        reply, body = await wait_for(self, message, None, timeout, room)
        if body is None:
            raise PeerError(f"answered {type(message).__name__} without a body")
        return reply, body

    def cancel(self, number: int) -> None:
        """Lose interest in a request, or in the rest of its answer's body.

        `done` is not called any more. What is answered already is left alone.
        """
        self._asking.cancel(number)

    def push(self, message: msgspec.Struct) -> None:
        """Send a message that has no answer; nothing happens if nobody is there.

        Raises:
            TooLargeError: the message does not fit a frame.
        """
        if self._opened and not self._over:
            self.outbox.say(_PUSH, 0, encode_message(self._codec, message))

    # --- what the transport calls -------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, and give the other end some seconds to do the same."""
        assert isinstance(transport, asyncio.Transport)
        if self._over:  # closed while it was being made
            transport.abort()
            return
        self.outbox.open(transport)
        name = transport.get_extra_info("peername")
        self._where = where(name)
        self.host = str(name[0]) if self._where else ""
        self._hello_timer = self._loop.call_later(HELLO_TIMEOUT, self._unheard)
        try:
            if self._peer_key is not None:
                self.key = self._peer_key(transport)
                self.peer = peer_id(self.key)
        except SlingerError as error:
            self.close(error)
            return
        self._mine = self._say_hello()
        self.outbox.say(_HELLO, 0, encode(self._mine))

    def data_received(self, data: bytes | memoryview) -> None:
        """Handle every frame that is complete, in order; nothing of `data` is kept."""
        if self._over:
            return
        with self._turn:
            try:
                self._hear_all(data)
            except PeerError as error:
                self.close(error)

    def _hear_all(self, data: bytes | memoryview) -> None:
        frames = self._reader.feed(data)
        while frames:
            for kind, number, payload in frames:
                self._hear[kind](number, payload)
                if self._over:
                    return
            frames = self._reader.feed(b"")

    def pause_writing(self) -> None:
        """Hold the bodies."""
        self.outbox.pause()

    def resume_writing(self) -> None:
        """Let the bodies go on."""
        self.outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the other end is gone."""
        self.gone.set_result(None)
        self.outbox.lost()
        if not self._over:
            self._over = self.broke = True
            self._tear_down(self._lost("was lost", exc))

    # --- the beginning ------------------------------------------------------------

    def _hear_early(self, number: int, payload: bytes) -> None:
        raise PeerError("spoke before it said hello")

    def _hear_again(self, number: int, payload: bytes) -> None:
        raise PeerError("said hello twice")

    def _hear_hello(self, number: int, payload: bytes) -> None:
        assert self._mine is not None
        self.hello = decode_hello(payload)
        if self.hello.protocol != self._mine.protocol:
            self.close(incompatible(self.hello, self._mine, self.other))
            return
        try:
            self._check(self, self.hello)
        except SlingerError as error:
            self.close(error)
            return
        self._open()

    def _open(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self._reader.limit = limits.FRAME
        self._hear = self._hearers()
        self._opened = True
        if not self.ready.done():
            self.ready.set_result(None)
        try:
            self._service.opened(self)
        except SlingerError as error:
            self.close(error)

    def _hearers(self) -> list[Hear]:
        """Return who hears which kind of frame, in the order of `Kind`."""
        asking, answering = self._asking, self._answering
        return [
            self._hear_again,
            answering.hear_request,
            asking.hear_reply,
            self._hear_fail,
            answering.hear_cancel,
            answering.hear_push,
            answering.hear_piece,
            answering.hear_end,
            asking.hear_credit,
            asking.hear_piece,
            asking.hear_end,
            answering.hear_credit,
            answering.hear_request_body,
            asking.hear_reply_body,
        ]

    # --- the end ------------------------------------------------------------------

    def close(self, why: SlingerError | None = None) -> None:
        """Leave. What is queued is sent, what is open ends in the next loop turn.

        Args:
            why: Told to the other end and to `Service.closed`.
        """
        if self._over:
            return
        self._over = True
        if why is not None and not isinstance(why, IncompatibleError):
            self.outbox.say(Kind.FAIL, 0, encode(to_fail(why)))
        self.outbox.close()
        self._loop.call_soon(self._tear_down, why)

    def _tear_down(self, why: SlingerError | None) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        if not self.ready.done():
            self.ready.set_exception(why or self._lost("was closed"))
            self.ready.exception()  # whoever accepts connections need not ask
        if isinstance(why, ConnectionLostError):
            self._asking.end(lambda: ConnectionLostError(*why.args))
        else:
            self._asking.end(lambda: self._lost("was closed", why))
        self._answering.end(self._lost("was closed", why))
        if self._opened:
            self._service.closed(self, why)

    def _hear_fail(self, number: int, payload: bytes) -> None:
        if number:
            self._asking.hear_fail(number, payload)
            return
        text = from_fail(decode_fail(payload))
        self._over = True
        self.outbox.close()
        self._tear_down(ConnectionLostError(f"{self.other} hung up: {text}"))

    def _unheard(self) -> None:
        self.close(PeerError(f"did not say hello within {HELLO_TIMEOUT:g} s"))

    def _overflowed(self) -> None:
        self.close(
            UnavailableError(
                f"{self.other} reads too slowly: {UNSENT // limits.MIB} MiB wait for it"
            )
        )

    def _lost(self, text: str, cause: Exception | None = None) -> ConnectionLostError:
        reason = f": {cause}" if cause is not None and str(cause) else ""
        return ConnectionLostError(f"the connection to {self.other} {text}{reason}")

    def _report(self, bug: Exception) -> None:
        self.on_bug(bug)

    def _complain(self, bug: Exception) -> None:
        message = f"a handler or callback of {self!r} failed"
        self._loop.call_exception_handler({"message": message, "exception": bug})
