"""TLS of our own: what any TLS understands, goodbyes that are heard, and no forgery."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

from p2pslinger.errors import ConnectionLostError, PeerError
from p2pslinger.net.certificates import SERVER_NAME, contexts
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.net.tls import Tls
from p2pslinger.wire import frames
from p2pslinger.wire.frames import FrameReader, Kind
from p2pslinger.wire.messages import encode
from tests.net.pair import CODEC, HELLO, Answer, News, Question, until
from tests.net.test_tls_streams import (
    ANN,
    GRID,
    HOST,
    Bob,
    bob,
    dial,
    run,
)

BIG = bytes(range(256)) * (1 << 16)


def both(
    story: Callable[[Bob, Connection, Connection], Coroutine[None, None, None]],
) -> None:
    """Run a story with Bob, Ann's end, and his."""

    async def main() -> None:
        async with bob() as there:
            here = await dial(there.port)
            await until(lambda: bool(there.accepted))
            await there.accepted[0].ready
            await story(there, here, there.accepted[0])

    run(main())


@contextlib.asynccontextmanager
async def between(
    port: int, change: Callable[[bytes], bytes]
) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A machine in the middle, which changes what Bob says once the event is set."""
    meddle = asyncio.Event()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_his: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(change(data) if is_his and meddle.is_set() else data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(HOST, port)
        with contextlib.suppress(asyncio.CancelledError):  # the test is over
            await asyncio.gather(
                pump(reader, there[1], False), pump(there[0], writer, True)
            )

    async with await asyncio.start_server(serve, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1], meddle


def test_asyncios_tls_and_ours_understand_each_other() -> None:
    async def story() -> None:
        async with bob() as there:
            _, client = contexts(ANN, GRID)
            got: list[frames.Frame] = []
            reader, writer = await asyncio.open_connection(
                HOST, there.port, ssl=client, server_hostname=SERVER_NAME
            )
            writer.write(frames.encode(Kind.HELLO, 0, encode(HELLO)))
            question = CODEC.encode(Question("hi"))
            writer.write(frames.encode(Kind.REQUEST, 1, question))
            heard, answer = FrameReader(), CODEC.encode(Answer("hi"))
            while answer not in [payload for _, _, payload in got]:
                got += heard.feed(await reader.read(1 << 16)) + heard.feed(b"")
            there.accepted[0].close()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            await there.accepted[0].gone

    run(story())


@pytest.mark.parametrize("leaver", ["one", "the other", "both"])
def test_both_sockets_are_let_go_of_at_once(leaver: str) -> None:
    async def story(there: Bob, here: Connection, far: Connection) -> None:
        if leaver != "the other":
            here.close()
        if leaver != "one":
            far.close()
        async with asyncio.timeout(3):  # before the grace of who waits in vain
            await here.gone
            await far.gone

    both(story)


def test_the_reason_for_leaving_is_heard_in_the_middle_of_a_body() -> None:
    async def story(there: Bob, here: Connection, far: Connection) -> None:
        there.ear.answer = lambda _, q, x: x.reply(Answer(q.text), BIG)
        _, body = await here.fetch(Question("body"))
        await anext(body)
        here.close(PeerError("has said enough"))
        await until(lambda: bool(there.ear.ends))
        assert "has said enough" in str(there.ear.ends[0])
        await far.gone

    both(story)


def test_what_was_said_before_a_goodbye_is_heard_before_it() -> None:
    async def story(there: Bob, here: Connection, far: Connection) -> None:
        def leave(_: Connection, __: Question, exchange: Exchange) -> None:
            exchange.reply(Answer("last words"))
            far.close()

        there.ear.answer = leave
        assert await here.request(Question("?")) == Answer("last words")
        await here.gone

    both(story)


def test_all_that_was_said_is_heard_by_who_reads_slowly() -> None:
    async def story(there: Bob, here: Connection, far: Connection) -> None:
        text = "#" * 100_000
        for _ in range(300):
            here.push(News(text))
        here.close()
        assert here.outbox.unsent  # more than the sockets take
        async with asyncio.timeout(20):
            await far.gone
            await here.gone
        assert len(there.ear.news) == 300

    both(story)


def test_leaving_who_has_torn_the_line_is_no_error() -> None:
    async def story(there: Bob, here: Connection, far: Connection) -> None:
        tls = far.outbox._transport
        assert isinstance(tls, Tls)
        sock = tls.get_extra_info("socket")
        at_once = struct.pack("ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)  # type: ignore[attr-defined]
        tls._socket.abort()
        await asyncio.sleep(0)  # he closes it; we have not looked yet
        here.close()
        await here.gone

    both(story)


def test_a_record_that_was_changed_on_its_way_ends_the_connection() -> None:
    async def story() -> None:
        async with (
            bob() as there,
            between(there.port, lambda data: data[:-1] + bytes([data[-1] ^ 1])) as way,
        ):
            port, meddle = way
            here = await dial(port)
            assert await here.request(Question("hi")) == Answer("hi")
            meddle.set()
            with pytest.raises(ConnectionLostError, match="was lost"):
                await here.request(Question("hi"))
            assert here.broke
            await here.gone

    run(story())


def test_an_end_without_a_goodbye_is_a_lost_connection() -> None:
    async def story(there: Bob, here: Connection, far: Connection) -> None:
        tls = far.outbox._transport
        assert isinstance(tls, Tls)
        tls._socket.close()  # as a process that is killed does
        await here.gone
        assert here.broke

    both(story)


def test_a_body_comes_whole_in_bits_of_any_size() -> None:
    async def story() -> None:
        async with bob() as there, between(there.port, lambda data: data) as way:
            there.ear.answer = lambda _, q, x: x.reply(Answer(q.text), BIG)
            here = await dial(way[0])
            _, body = await here.fetch(Question("body"))
            assert await body.read_all(len(BIG)) == BIG
            here.close()
            await here.gone

    run(story())


def test_who_does_not_show_a_certificate_is_refused() -> None:
    async def story() -> None:
        async with bob() as there:
            bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
            reader, writer = await asyncio.open_connection(HOST, there.port, ssl=bare)
            with contextlib.suppress(OSError):
                assert await reader.read() == b""
            writer.close()
            await until(lambda: there.listening.refused == 1)
            assert there.ear.opened_times == 0

    run(story())
