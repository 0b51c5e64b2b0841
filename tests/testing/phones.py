"""Two hosts with a phone each: what tests of simulated streams are made of."""

from __future__ import annotations

import asyncio

from p2pslinger.testing.network import Network
from p2pslinger.testing.streams import StreamTransport
from p2pslinger.testing.virtual import current


class Phone(asyncio.Protocol):
    """Keeps all that happens to one end of a stream."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self.events: list[str] = []
        self.error: Exception | None = None
        self.lost_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, StreamTransport)
        self.line = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append((current().time(), data))

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.error = exc
        self.lost_at = current().time()

    @property
    def heard(self) -> bytes:
        return b"".join(data for _, data in self.pieces)


class Call:
    """A stream between two hosts of a network, with a phone at each end."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.ann, self.bob = network.host("10.0.0.1"), network.host("10.0.0.2")
        self.latency = network.links.delay(self.ann, self.bob)

    async def open(self) -> tuple[Phone, Phone]:
        answered: list[Phone] = []

        def answer() -> Phone:
            answered.append(Phone())
            return answered[-1]

        self.listener = self.bob.listen(0, answer, {"identity_key": b"bob's"})
        _, near = await self.ann.connect(
            ("10.0.0.2", self.listener.port), Phone, {"identity_key": b"ann's"}
        )
        return near, answered[0]
