"""The asker's side of a connection: requests on their way, and what came back.

Numbers are given from 1 without a gap, so each end knows which the other can possibly
mean. A cancelled request's answer may have been on its way already: it is dropped in
silence. An answer to anything else that nobody asked is a breach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from p2pslinger import limits
from p2pslinger.errors import (
    ConnectionLostError,
    PeerError,
    SlingerError,
    UnavailableError,
)
from p2pslinger.net.body import FIRST_CREDIT, Body, BodySource, Sender
from p2pslinger.net.exchange import Done, encode_message, from_fail
from p2pslinger.net.outbox import Outbox
from p2pslinger.wire.frames import Kind, decode_credit, encode_credit
from p2pslinger.wire.messages import Codec, decode_fail

if TYPE_CHECKING:
    from p2pslinger.net.connection import Connection

#: Largest number of a request: it has four bytes in a frame. At 50,000 requests a
#: second a connection lasts a day; then its owner makes a new one.
NUMBERS = 2**32 - 1

#: Cancelled requests remembered, because their answers may have been on their way.
CANCELLED = 4 * limits.OPEN_REQUESTS

# Members of an enum are slow to look up, and these are looked up for every frame.
_REQUEST = int(Kind.REQUEST)
_REQUEST_BODY = int(Kind.REQUEST_BODY)
_KINDS = (int(Kind.PIECE), int(Kind.END))


class Asking:
    """Requests of this end.

    Args:
        outbox: Where frames leave.
        codec: The messages of this conversation.
        bug: Gets what callbacks and sources of bodies raise by mistake.
    """

    __slots__ = (
        "_asked",
        "_bodies",
        "_bug",
        "_cancelled",
        "_codec",
        "_last",
        "_outbox",
        "_rooms",
        "_senders",
    )

    def __init__(
        self, outbox: Outbox, codec: Codec, bug: Callable[[Exception], None]
    ) -> None:
        self._outbox = outbox
        self._codec = codec
        self._bug = bug
        self._last = 0
        self._asked: dict[int, Done] = {}
        self._senders: dict[int, Sender] = {}
        self._bodies: dict[int, Body] = {}
        self._rooms: dict[int, int] = {}  # bytes granted to bodies to come
        self._cancelled: dict[int, None] = {}

    def ask(
        self,
        message: msgspec.Struct,
        done: Done,
        body: BodySource | None = None,
        room: int = 0,
    ) -> int:
        """Send a request, or refuse it if there are too many; see `Connection.ask`."""
        if len(self._asked) + len(self._bodies) >= limits.OPEN_REQUESTS:
            return refuse(done, too_many())
        if self._last == NUMBERS:
            return refuse(done, used_up())
        payload = encode_message(self._codec, message)
        self._last = number = self._last + 1
        self._asked[number] = done
        if body is None:
            self._outbox.say(_REQUEST, number, payload)
            if room > FIRST_CREDIT:
                self._rooms[number] = room
                # A sender without credit does not look whether that was all.
                self._grant(number, room - FIRST_CREDIT + 1)
        else:
            self._outbox.say(_REQUEST_BODY, number, payload)
            ended = partial(self._sent, number)
            sender = Sender(body, kinds=_KINDS, number=number, ended=ended)
            self._senders[number] = sender
            self._outbox.send(sender)
        return number

    def cancel(self, number: int) -> None:
        """Lose interest; see `Connection.cancel`."""
        body = self._bodies.pop(number, None)
        self._rooms.pop(number, None)
        if self._asked.pop(number, None) is None and body is None:
            return
        if body is not None:
            body.end(UnavailableError("this end has cancelled the request"))
        self._stop_sending(number)
        self._cancelled[number] = None
        if len(self._cancelled) > CANCELLED:
            del self._cancelled[next(iter(self._cancelled))]
        self._outbox.say(Kind.CANCEL, number)

    def end(self, why: Callable[[], ConnectionLostError]) -> None:
        """Answer everything that is open: the connection is over."""
        asked, self._asked = self._asked, {}
        bodies, self._bodies = self._bodies, {}
        for number in list(self._senders):
            self._stop_sending(number)
        for body in bodies.values():
            body.end(why())
        for done in asked.values():
            self._tell(done, why())

    # --- frames -------------------------------------------------------------------

    def hear_reply(self, number: int, payload: bytes) -> None:
        """REPLY: hand an answer to whoever asked."""
        done = self._asked.get(number)
        if done is None:
            self._late(number, last=True)
            return
        message = self._codec.decode(payload)
        del self._asked[number]
        if self._rooms:
            self._rooms.pop(number, None)
        if self._senders:
            self._stop_sending(number)
        self._answer(done, message, None)

    def hear_reply_body(self, number: int, payload: bytes) -> None:
        """REPLY_BODY: hand over an answer whose body is on its way."""
        done = self._asked.get(number)
        if done is None:
            self._late(number)
            return
        message = self._codec.decode(payload)
        del self._asked[number]
        grant = partial(self._grant, number)
        drop, room = partial(self.cancel, number), self._rooms.pop(number, 0)
        self._bodies[number] = body = Body(grant, drop, room)
        self._answer(done, message, body)

    def hear_fail(self, number: int, payload: bytes) -> None:
        """FAIL: hand over the error, instead of an answer or the rest of its body."""
        error = from_fail(decode_fail(payload))
        done = self._asked.pop(number, None)
        body = self._bodies.pop(number, None)
        self._rooms.pop(number, None)
        self._stop_sending(number)
        if done is not None:
            self._answer(done, error, None)
        elif body is not None:
            body.end(error)
        else:
            self._late(number, last=True)

    def hear_piece(self, number: int, payload: bytes) -> None:
        """ANSWER_PIECE: bytes of an answer's body."""
        body = self._bodies.get(number)
        if body is None:
            self._late(number)
        else:
            body.heard(payload)

    def hear_end(self, number: int, payload: bytes) -> None:
        """ANSWER_END: an answer's body is complete."""
        body = self._bodies.pop(number, None)
        if body is None:
            self._late(number, last=True)
        else:
            self._stop_sending(number)
            body.end()

    def hear_credit(self, number: int, payload: bytes) -> None:
        """CREDIT: the other end has read some of a request's body."""
        size = decode_credit(payload)
        sender = self._senders.get(number)
        if sender is not None:
            sender.credit += size
            self._outbox.send(sender)
        elif not 0 < number <= self._last:
            raise PeerError(f"gave credit to request {number}, which was never made")

    def _late(self, number: int, last: bool = False) -> None:
        """Ignore an answer to a cancelled request; nothing follows it if `last`."""
        if number not in self._cancelled:
            raise PeerError(f"answered request {number}, which nobody waits for")
        if last:
            del self._cancelled[number]

    # --- the parts ----------------------------------------------------------------

    def _answer(
        self, done: Done, answer: msgspec.Struct | SlingerError, body: Body | None
    ) -> None:
        """Hand over what the other end said; `done` may find it a breach."""
        try:
            done(answer, body)
        except PeerError:
            raise
        except Exception as error:  # noqa: BLE001  # ours; others' answers must go on
            self._bug(error)

    def _tell(self, done: Done, error: SlingerError) -> None:
        """Hand over an error of this end's making."""
        try:
            done(error, None)
        except Exception as bug:  # noqa: BLE001  # as in `_answer`
            self._bug(bug)

    def _grant(self, number: int, size: int) -> None:
        self._outbox.say(Kind.ANSWER_CREDIT, number, encode_credit(size))

    def _stop_sending(self, number: int) -> None:
        sender = self._senders.pop(number, None)
        if sender is not None:
            sender.stop()

    def _sent(self, number: int, error: Exception | None) -> None:
        """Note that a request's body has been sent, or that its source failed."""
        self._senders.pop(number, None)
        if error is None:
            return
        done = self._asked.get(number)
        self.cancel(number)
        if not isinstance(error, SlingerError):
            self._bug(error)
            error = UnavailableError(f"the request's body could not be read: {error}")
        if done is not None:
            self._tell(done, error)


def refuse(done: Done, error: SlingerError) -> int:
    """Answer a request that can't be sent, in the next loop turn; return no number."""
    asyncio.get_running_loop().call_soon(done, error, None)
    return 0


def too_many() -> UnavailableError:
    """Say that the other end has enough to answer."""
    return UnavailableError(
        f"{limits.OPEN_REQUESTS} requests wait for an answer on this connection: "
        "ask again when some have come"
    )


def used_up() -> UnavailableError:
    """Say that there are no more numbers."""
    return UnavailableError("this connection has no numbers left: connect again")


async def wait_for(
    connection: Connection,
    message: msgspec.Struct,
    body: BodySource | None,
    timeout: float | None,
    room: int = 0,
) -> tuple[msgspec.Struct, Body | None]:
    """Ask and wait for the answer; see `Connection.request`."""
    answered: asyncio.Future[tuple[msgspec.Struct, Body | None]]
    answered = asyncio.get_running_loop().create_future()

    def done(answer: msgspec.Struct | SlingerError, rest: Body | None) -> None:
        if answered.done():
            return
        if isinstance(answer, SlingerError):
            answered.set_exception(answer)
        else:
            answered.set_result((answer, rest))

    number = connection.ask(message, done, body, room)
    try:
        async with asyncio.timeout(timeout):
            return await answered
    except TimeoutError:
        connection.cancel(number)
        text = f"{connection.other} did not answer within {timeout:g} s"
        raise UnavailableError(text) from None
    except BaseException:
        connection.cancel(number)  # also a body that arrived while we were cancelled
        raise
