"""How a stream between simulated hosts begins: listening, knocking, being answered."""

from __future__ import annotations

import asyncio
import errno
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from p2pslinger.testing.clocks import on_machine
from p2pslinger.testing.streams import Address, StreamTransport, connected

if TYPE_CHECKING:
    from p2pslinger.testing.hosts import Host

#: Seconds after which a host that does not answer counts as unreachable.
CONNECT_TIMEOUT = 3.0

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)


class Listener:
    """A port that takes streams.

    Attributes:
        port: Its number, also when 0 was asked for.
    """

    def __init__(
        self,
        host: Host,
        port: int,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        extra: Mapping[str, object],
    ) -> None:
        self.port = port
        self.extra = extra
        self._host = host
        self._factory = protocol_factory
        self._context = on_machine(host.clock)

    def accept(self, stream: StreamTransport) -> None:
        """Give a new stream a protocol."""
        context = self._context.copy()
        stream.open(context.run(self._factory), context)

    def close(self) -> None:
        """Take no more streams; those that exist go on."""
        if self._host.listeners.get(self.port) is self:
            del self._host.listeners[self.port]


class Dial(Generic[_ProtocolT]):
    """One attempt to open a stream."""

    def __init__(
        self,
        host: Host,
        address: Address,
        protocol_factory: Callable[[], _ProtocolT],
        extra: Mapping[str, object],
    ) -> None:
        self._host = host
        self._address = address
        self._factory = protocol_factory
        self._extra = extra
        self._life = host.life
        self._context = on_machine(host.clock)
        self._outcome: asyncio.Future[tuple[StreamTransport, _ProtocolT]] = (
            host.network.loop.create_future()
        )

    async def answer(self) -> tuple[StreamTransport, _ProtocolT]:
        """Knock, and wait for what comes of it."""
        self._knock()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self._opened()
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, self._says("did not answer")) from None

    async def _opened(self) -> tuple[StreamTransport, _ProtocolT]:
        try:
            return await self._outcome
        except asyncio.CancelledError:
            # It may have been answered in the very turn in which we were cancelled.
            outcome = self._outcome
            if not outcome.cancelled() and outcome.exception() is None:
                outcome.result()[0].abort()
            raise

    def _knock(self) -> None:
        network = self._host.network
        target = network.find(self._address[0])
        self._host.traffic.count_segments(0)
        if target is not None:
            delay = network.links.stream_delay(self._host, target)
            if delay < math.inf:
                network.later(delay, self._arrive, target)

    def _arrive(self, target: Host) -> None:
        """The knock is heard: accept or refuse it at the target's end."""
        if target.asleep:
            return
        network = target.network
        delay = network.links.stream_delay(target, self._host)
        target.traffic.count_segments(0)
        listener = target.listeners.get(self._address[1])
        if listener is None:
            if delay < math.inf:
                network.later(delay, self._refused)
            return
        own = (self._host.ip, self._host.free_port())
        near, far = connected(
            (self._host, own, self._extra), (target, self._address, listener.extra)
        )
        if delay < math.inf:
            network.later(delay, self._answered, near)
        else:
            near.vanish()
        listener.accept(far)

    def _refused(self) -> None:
        if not self._outcome.done():
            self._fail(
                ConnectionRefusedError, errno.ECONNREFUSED, "refused: nobody listens"
            )

    def _answered(self, near: StreamTransport) -> None:
        if self._outcome.done():
            near.abort()
        elif self._host.life != self._life or self._host.asleep:
            near.vanish()
            self._fail(
                ConnectionAbortedError,
                errno.ECONNABORTED,
                "was dialled by a host that is gone",
            )
        elif near.is_closing():
            self._fail(ConnectionResetError, errno.ECONNRESET, "closed at once")
        else:
            protocol = self._context.run(self._factory)
            near.open(protocol, self._context)
            self._outcome.set_result((near, protocol))

    def _fail(self, kind: type[OSError], number: int, what: str) -> None:
        self._outcome.set_exception(kind(number, self._says(what)))

    def _says(self, what: str) -> str:
        ip, port = self._address
        return f"{ip}:{port} {what}"
