"""Peers meet over TLS on real sockets; strangers, stallers and typing errors do not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import cast

import pytest

from p2pslinger.errors import (
    ConnectionLostError,
    IncompatibleError,
    PeerError,
    UnavailableError,
    WrongGridError,
)
from p2pslinger.net import streams as module
from p2pslinger.net.connection import Connection
from p2pslinger.net.streams import (
    Listening,
    Make,
    TlsListening,
    TlsStreams,
)
from p2pslinger.wire import authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.messages import Hello
from tests.net.pair import CODEC, HELLO, Answer, Ear, News, Question, until

GRID = authkey.from_random(bytes(range(40)))
OTHER_GRID = authkey.from_random(bytes(40))
ANN, BOB = Identity(b"a" * 32), Identity(b"b" * 32)
HOST = "127.0.0.1"


def maker(streams: TlsStreams, ear: Ear, hello: Hello = HELLO) -> Make:
    def make() -> Connection:
        return Connection(
            codec=CODEC,
            service=ear,
            hello=lambda: hello,
            check=lambda _, __: None,
            peer_key=streams.peer_key,
        )

    return make


class Bob:
    """A peer that listens."""

    def __init__(self, listening: Listening, ear: Ear) -> None:
        self.listening = listening
        self.port = listening.port
        self.ear = ear
        self.accepted: list[Connection] = []


@contextlib.asynccontextmanager
async def bob(
    host: str | None = HOST, port: int = 0, hello: Hello = HELLO
) -> AsyncIterator[Bob]:
    streams, ear = TlsStreams(BOB, GRID), Ear()
    make = maker(streams, ear, hello)

    def note() -> Connection:
        made.accepted.append(make())
        return made.accepted[-1]

    made = Bob(await streams.listen(host, port, note), ear)
    try:
        yield made
    finally:
        made.listening.close()
        for connection in made.accepted:
            connection.close()
        await until(lambda: len(ear.ends) == ear.opened_times)
        await cast(TlsListening, made.listening).wait_closed()


def run(story: Coroutine[None, None, None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await story

    asyncio.run(main())


async def dial(
    port: int,
    host: str = HOST,
    *,
    grid: authkey.Authkey = GRID,
    hello: Hello = HELLO,
    timeout: float = 10,
) -> Connection:
    streams = TlsStreams(ANN, grid)
    return await streams.dial(host, port, maker(streams, Ear(), hello), timeout)


def test_two_peers_meet_and_know_each_other_by_their_keys() -> None:
    async def story() -> None:
        async with bob() as there:
            here = await dial(there.port)
            assert here.key == BOB.public
            assert here.peer == BOB.id
            assert await here.request(Question("hi")) == Answer("hi")
            (accepted,) = there.accepted
            assert accepted.peer == ANN.id
            assert await accepted.request(Question("and you")) == Answer("and you")
            assert f"at {HOST}:{there.port}" in here.other
            here.push(News("bye"))
            here.close()
            await until(lambda: bool(there.ear.ends))
            assert there.ear.news == ["bye"]
            assert there.listening.refused == 0

    run(story())


def test_sockets_are_tuned_at_both_ends() -> None:
    async def story() -> None:
        async with bob() as there:
            here = await dial(there.port)
            for end in (here, *there.accepted):
                transport = end.outbox._transport
                assert transport is not None
                sock = transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    kept = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                    assert kept == 30_000
            here.close()

    run(story())


def test_ipv4_and_ipv6_share_a_port() -> None:
    async def story() -> None:
        async with bob(host=None) as there:
            hosts = [HOST, "localhost"]
            if socket.has_ipv6 and there.listening.port:
                hosts.append("::1")
            for host in hosts:
                here = await dial(there.port, host)
                assert await here.request(Question(host)) == Answer(host)
                here.close()

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    run(story())


def test_a_wrong_authkey_is_named_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with bob() as there:
            with pytest.raises(WrongGridError, match="does not hold this grid's"):
                await dial(there.port, grid=OTHER_GRID)
            await until(lambda: there.listening.refused == 1)
            assert there.ear.opened_times == 0
            here = await dial(there.port)
            here.close()

    with caplog.at_level(logging.WARNING):
        run(story())
    assert not caplog.records


@pytest.mark.parametrize("protocols", [(1, 2), (2, 1)])
def test_another_protocol_is_refused_with_a_word_on_who_must_update(
    protocols: tuple[int, int],
) -> None:
    ours, theirs = (Hello(p, f"0.{p}.0", "peer", 0.0) for p in protocols)

    async def story() -> None:
        async with bob(hello=theirs) as there:
            side = "this" if protocols[0] < protocols[1] else "that"
            with pytest.raises(IncompatibleError, match=f"on {side} machine") as caught:
                await dial(there.port, hello=ours)
            assert f"{HOST}:{there.port}" in str(caught.value)
            await until(lambda: there.listening.refused == 1)

    run(story())


def test_strangers_who_do_not_speak_tls_are_counted_and_the_port_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with bob() as there:
            for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100, os.urandom(2000), b""):
                reader, writer = await asyncio.open_connection(HOST, there.port)
                writer.write(junk)
                if not junk:
                    writer.close()
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            await until(lambda: there.listening.refused == 4)
            here = await dial(there.port)
            here.close()

    with caplog.at_level(logging.WARNING):
        run(story())
    assert not caplog.records


def test_a_stalled_handshake_holds_up_nobody() -> None:
    async def story() -> None:
        async with bob() as there:
            stalled = [socket.create_connection((HOST, there.port)) for _ in range(20)]
            here = await dial(there.port)
            assert await here.request(Question("?")) == Answer("?")
            here.close()
            for sock in stalled:
                sock.close()
            await until(lambda: there.listening.refused == 20)

    run(story())


def test_a_handshake_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE", 0.05)

    async def story() -> None:
        async with bob() as there:
            with socket.create_connection((HOST, there.port)):
                await until(lambda: there.listening.refused == 1)

    run(story())


def test_closing_the_port_ends_handshakes_and_keeps_connections() -> None:
    async def story() -> None:
        async with bob() as there:
            here = await dial(there.port)
            with socket.create_connection((HOST, there.port)) as stalled:
                await until(lambda: len(there.accepted) == 2)
                there.listening.close()
                await cast(TlsListening, there.listening).wait_closed()
                assert stalled.recv(10) == b""
            assert await here.request(Question("still")) == Answer("still")
            with pytest.raises(UnavailableError, match="refuses connections"):
                await dial(there.port)
            here.close()

    run(story())


def test_nobody_there_is_said_with_the_address() -> None:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]

    async def story() -> None:
        with pytest.raises(UnavailableError, match=f"{HOST}:{port} refuses"):
            await dial(port)

    run(story())


def test_an_unknown_name_is_said() -> None:
    async def story() -> None:
        with pytest.raises(UnavailableError, match=r"no-such-host.invalid:1 is unkn"):
            await dial(1, "no-such-host.invalid", timeout=20)

    run(story())


def test_a_machine_that_is_silent_is_given_up() -> None:
    async def story() -> None:
        with socket.create_server((HOST, 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(UnavailableError, match=r"not answer within 0\.05 s"):
                await dial(port, timeout=0.05)

    run(story())


def test_a_service_that_is_no_peer_is_said() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    async def story() -> None:
        async with await asyncio.start_server(greet, HOST, 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(UnavailableError, match="not as a peer of p2pslinger"):
                await dial(port)

    run(story())


def test_cancelling_a_dial_leaves_nothing_open() -> None:
    async def story() -> None:
        with socket.create_server((HOST, 0)) as silent:
            port = silent.getsockname()[1]
            dialling = asyncio.ensure_future(dial(port))
            silent.setblocking(False)
            loop = asyncio.get_running_loop()
            accepted, _ = await loop.sock_accept(silent)
            assert await loop.sock_recv(accepted, 10)
            dialling.cancel()
            await asyncio.wait([dialling])
            while await loop.sock_recv(accepted, 1000):
                pass
            accepted.close()

    run(story())


def test_a_peer_killed_in_the_middle_is_a_lost_connection() -> None:
    async def story() -> None:
        async with bob() as there:
            there.ear.answer = there.ear.hold
            here = await dial(there.port)
            asked = [
                asyncio.ensure_future(here.request(Question("?"))) for _ in range(10)
            ]
            await until(lambda: len(there.ear.held) == 10)
            transport = there.accepted[0].outbox._transport
            assert transport is not None
            transport.abort()
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(answer, ConnectionLostError)
                assert f"{HOST}:{there.port}" in str(answer)

    run(story())


def test_bodies_cross_tls_in_both_directions_while_requests_flow() -> None:
    data = bytes(range(256)) * (1 << 16)

    async def story() -> None:
        async with bob() as there:
            there.ear.answer = lambda _, q, x: x.reply(
                Answer(q.text), data if q.text == "body" else None
            )
            here = await dial(there.port)
            _, body = await here.fetch(Question("body"))
            reading = asyncio.ensure_future(body.read_all(len(data)))
            rounds = 0
            while not reading.done():
                await here.request(Question("small"))
                rounds += 1
            assert await reading == data
            assert rounds > 10
            here.close()

    run(story())


def test_a_certificate_is_asked_of_a_transport_that_has_none() -> None:
    async def story() -> None:
        a, b = socket.socketpair()
        with b:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
            with pytest.raises(PeerError, match="no certificate"):
                TlsStreams(ANN, GRID).peer_key(transport)
            transport.close()

    run(story())
