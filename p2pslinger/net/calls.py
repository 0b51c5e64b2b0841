"""Requests on datagrams: rpcudp's, with checks, bounds and measured time-outs."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import msgspec
from rpcudp.protocol import RPCProtocol

from p2pslinger.ids import PeerId
from p2pslinger.net.datagrams import SESSIONS, Place, SealedPort

#: Seconds of a time-out: at least (scheduling on a busy machine), for who was never
#: measured (a continent away, or slow to start), and at most (RFC 6298 has 60, but
#: another contact is as good).
LEAST, FIRST_LEAST, FIRST_MOST, MOST = 0.2, 0.5, 1.0, 3.0


#: Bytes of a request's number: as rpcudp has it.
NUMBER = 20


#: What a datagram is. Who sends requests as a client answers none, and so is nobody's
#: contact. A knock shows that datagrams get in which were not asked for; see
#: `p2pslinger.net.knocking`.
_REQUEST, _ANSWER, KNOCK, _AS_CLIENT = b"\x00", b"\x01", b"\x02", b"\x03"


_ENVELOPE = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])


class Shape(NamedTuple):
    """What a request's arguments and its answer look like, for msgspec to check."""

    arguments: msgspec.msgpack.Decoder[Any]
    answer: msgspec.msgpack.Decoder[Any]


@dataclass(slots=True)
class _Call:
    to: Place
    name: str
    data: bytes
    done: Callable[[Place, Any], None]
    late: Callable[[], None]
    timeout: float
    sent_at: float
    timer: asyncio.TimerHandle
    is_repeated: bool = False


class Calls(RPCProtocol):  # type: ignore[misc]  # rpcudp has no types
    """rpcudp's requests, with what it leaves out: checks, bounds and time-outs.

    A request is sent twice at most. `late` is called after the first time-out, so that
    others can be asked meanwhile, and `done` once: with the answer, or with None.

    Args:
        rng: For the numbers of requests.
        shapes: Which requests exist; each is answered by a method `rpc_<name>`.
        dropped: Where to count what is unanswered, by cause.

    Attributes:
        requests: How many were sent, by name.
        serving: Whether others' requests are answered; others are told.
        knocked: Called with what a knock brings; returns whether it was asked for.
    """

    def __init__(
        self, rng: Random, shapes: dict[str, Shape], dropped: Counter[str]
    ) -> None:
        # Not super().__init__: it would put rpcudp's fixed time-out in place.
        self.transport: SealedPort | None = None
        self.requests: Counter[str] = Counter()
        self.serving = True
        self.knocked: Callable[[bytes], bool] = lambda _: False
        self._rng = rng
        self._shapes = shapes
        self._dropped = dropped
        self._calls: dict[bytes, _Call] = {}
        self._trips: OrderedDict[PeerId | None, tuple[float, float]] = OrderedDict()
        self._is_closed = False

    def __getattr__(self, name: str) -> object:
        # In rpcudp a name that does not exist is a request to somebody.
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def ask(
        self,
        to: Place,
        name: str,
        arguments: tuple[object, ...],
        *,
        done: Callable[[Place, Any], None],
        late: Callable[[], None] = lambda: None,
    ) -> None:
        """Send a request; the time-out follows from the round trips measured so far."""
        loop = asyncio.get_running_loop()
        if self._is_closed or self.transport is None:
            loop.call_soon(done, to, None)
            return
        number = self._rng.randbytes(NUMBER)
        kind = _REQUEST if self.serving else _AS_CLIENT
        data = kind + number + msgspec.msgpack.encode((name, arguments))
        timeout = self._timeout_of(to.peer)
        timer = loop.call_later(timeout, self._expired, number)
        now = loop.time()
        self._calls[number] = _Call(to, name, data, done, late, timeout, now, timer)
        self.requests[name] += 1
        self.transport.sendto(data, to)

    def datagram_received(self, data: bytes, addr: Place) -> None:
        """Answer a request, or hand an answer to who asked."""
        kind, number, body = data[:1], data[1 : 1 + NUMBER], data[1 + NUMBER :]
        try:
            if kind in {_REQUEST, _AS_CLIENT}:
                if self.serving:
                    who = addr._replace(serves=kind == _REQUEST)
                    self._accept(number, body, who)
            elif kind == _ANSWER:
                self._settle(number, body, addr)
            elif kind == KNOCK:
                if not self.knocked(data[1:]):
                    self._dropped["unasked knock"] += 1
            else:
                self._dropped["malformed"] += 1
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._dropped["malformed"] += 1

    def close(self) -> None:
        """Free the port and tell everybody who waits that no answer comes."""
        self._is_closed = True
        if self.transport is not None:
            self.transport.close()
        for number in list(self._calls):
            call = self._calls.pop(number)
            call.timer.cancel()
            call.done(call.to, None)

    def _accept(self, number: bytes, body: bytes, source: Place) -> None:
        name, raw = _ENVELOPE.decode(body)
        shape = self._shapes.get(name)
        if shape is None:
            self._dropped["unknown request"] += 1
            return
        arguments = shape.arguments.decode(raw)
        if arguments[0] != source.peer:
            self._dropped["misnamed"] += 1
            return
        answer = getattr(self, f"rpc_{name}")(source, *arguments)
        self._reply(_ANSWER + number + msgspec.msgpack.encode(answer), source)

    def _reply(self, data: bytes, to: Place) -> None:
        if self.transport is not None:
            self.transport.sendto(data, to)

    def _settle(self, number: bytes, body: bytes, source: Place) -> None:
        call = self._calls.get(number)
        if call is None:
            self._dropped["late"] += 1
            return
        if source[:2] != call.to[:2] or call.to.peer not in {None, source.peer}:
            self._dropped["misplaced"] += 1
            return
        answer = self._shapes[call.name].answer.decode(body)
        del self._calls[number]
        call.timer.cancel()
        if not call.is_repeated:  # Karn: which of the two would this answer?
            took = asyncio.get_running_loop().time() - call.sent_at
            self._measure(source.peer, took)
            self._measure(None, took)
        call.done(source, answer)

    def _expired(self, number: bytes) -> None:
        call = self._calls[number]
        if call.is_repeated:
            del self._calls[number]
            call.done(call.to, None)
            return
        call.is_repeated = True
        again = min(MOST, 2 * call.timeout)
        loop = asyncio.get_running_loop()
        call.timer = loop.call_later(again, self._expired, number)
        self._reply(call.data, call.to)
        call.late()

    def _timeout_of(self, peer: PeerId | None) -> float:
        least, most = LEAST, MOST
        measured = self._trips.get(peer) if peer else None
        if measured is None:
            least, most = FIRST_LEAST, FIRST_MOST
            measured = self._trips.get(None, (FIRST_MOST, 0.0))
        mean, spread = measured
        return max(least, min(most, mean + 4 * spread))

    def _measure(self, peer: PeerId | None, took: float) -> None:
        """Take in one round trip, seconds, as RFC 6298 has it; None is everybody."""
        mean, spread = self._trips.pop(peer, (took, took))
        spread = 0.75 * spread + 0.25 * abs(mean - took)
        self._trips[peer] = (0.875 * mean + 0.125 * took, spread)
        if len(self._trips) > SESSIONS:
            self._trips.popitem(last=False)
