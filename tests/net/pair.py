"""Two ends of a connection over a real socket pair, and a service that remembers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine

import msgspec

from p2pslinger.errors import SlingerError
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.wire import frames
from p2pslinger.wire.frames import Frame, FrameReader, Kind
from p2pslinger.wire.messages import Codec, Hello, encode


class Question(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A request; how it is answered depends on the test."""

    text: str


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A reply."""

    text: str


class News(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A push."""

    text: str


CODEC = Codec(Question | Answer | News)
HELLO = Hello(1, "0.1.0", "peer", 1000.0)

Ask = Callable[[Connection, Question, Exchange], None]


def echo(connection: Connection, question: Question, exchange: Exchange) -> None:
    exchange.reply(Answer(question.text))


class Ear:
    """A service that answers questions as it is told and remembers the rest."""

    def __init__(self, answer: Ask = echo) -> None:
        self.answer = answer
        self.opened_times = 0
        self.ends: list[SlingerError | None] = []
        self.news: list[str] = []
        self.held: list[Exchange] = []
        self.bugs: list[Exception] = []

    def opened(self, connection: Connection) -> None:
        self.opened_times += 1

    def closed(self, connection: Connection, why: SlingerError | None) -> None:
        self.ends.append(why)

    def asked(
        self, connection: Connection, question: Question, exchange: Exchange
    ) -> None:
        self.answer(connection, question, exchange)

    def handlers(self) -> Handlers:
        handlers = Handlers()
        handlers.on(Question, self.asked)
        handlers.on(News, lambda _, news, __: self.news.append(news.text))
        return handlers

    def hold(
        self, connection: Connection, question: Question, exchange: Exchange
    ) -> None:
        """Keep a question open."""
        self.held.append(exchange)

    def connection(
        self,
        hello: Hello = HELLO,
        check: Callable[[Connection, Hello], None] = lambda _, __: None,
    ) -> Connection:
        made = Connection(
            codec=CODEC,
            service=self,
            hello=lambda: hello,
            check=check,
            peer_key=None,
        )
        made.on_bug = self.bugs.append
        return made


async def join(left: Connection, right: Connection) -> None:
    """Connect two ends; what comes of their hellos is theirs to say."""
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    await loop.create_connection(lambda: left, sock=a)
    await loop.create_connection(lambda: right, sock=b)


async def pair(left: Ear, right: Ear) -> tuple[Connection, Connection]:
    """Return two ends that have heard each other's hello."""
    ends = left.connection(), right.connection()
    await join(*ends)
    await ends[0].ready
    await ends[1].ready
    return ends


def talk(
    story: Callable[[Connection, Connection], Coroutine[None, None, None]],
    left: Ear,
    right: Ear,
) -> None:
    """Run a story between two ends, then close them."""

    async def main() -> None:
        async with asyncio.timeout(30):
            one, two = await pair(left, right)
            try:
                await story(one, two)
            finally:
                one.close()
                two.close()
                await until(lambda: bool(left.ends and right.ends))

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    """Let the event loop run until something is true; the caller has a time limit."""
    while not true():  # noqa: ASYNC110  # nothing to wait for: turns pass
        await asyncio.sleep(0)


class RawEnd:
    """An end that says whatever bytes it likes, past the hello."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self.writer = writer

    def say(self, kind: int, number: int, payload: bytes = b"") -> None:
        self.writer.write(frames.encode(kind, number, payload))

    async def heard(self) -> list[Frame]:
        """Return all frames up to the end of the connection."""
        reader = FrameReader(1 << 23)
        everything, found = [], reader.feed(await self._reader.read())
        while found:
            everything += found
            found = reader.feed(b"")
        return everything


async def raw_pair(ear: Ear, *, hello: bool = True) -> tuple[Connection, RawEnd]:
    """Return a connection, and an end of its that may break every rule."""
    loop = asyncio.get_running_loop()
    a, b = socket.socketpair()
    raw = RawEnd(*await asyncio.open_connection(sock=b))
    made = ear.connection()
    await loop.create_connection(lambda: made, sock=a)
    if hello:
        raw.say(Kind.HELLO, 0, encode(HELLO))
        await made.ready
    return made, raw
