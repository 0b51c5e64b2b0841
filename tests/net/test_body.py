"""Bodies: whole in both directions, no faster than they are read, and stoppable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import pytest

from p2pslinger import limits
from p2pslinger.errors import (
    ConnectionLostError,
    PeerError,
    SlingerError,
    UnavailableError,
)
from p2pslinger.net.body import FIRST_CREDIT, Body, BodySource
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from tests.net.pair import Answer, Ear, Question, talk, until

MIB = limits.MIB


def serving(source: BodySource) -> Ear:
    """Return a service that answers everything with this body."""

    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        exchange.reply(Answer("here"), source)

    return Ear(answer)


def keeping() -> tuple[Ear, dict[str, Exchange]]:
    """Return a service that answers at once what has no body, and keeps the rest."""
    kept: dict[str, Exchange] = {}

    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        if exchange.body is None:
            exchange.reply(Answer(question.text))
        else:
            kept[question.text] = exchange

    return Ear(answer), kept


def counted(pulled: list[int], pieces: int, size: int) -> Iterator[bytes]:
    """Yield pieces, and note how many were asked for."""
    for number in range(pieces):
        pulled.append(number)
        yield bytes([number % 256]) * size


@pytest.mark.parametrize(
    "size", [0, 1, FIRST_CREDIT, FIRST_CREDIT + 1, limits.BODY_WINDOW, 5 * MIB + 3]
)
def test_a_body_arrives_whole_whatever_its_size(size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]

    async def story(one: Connection, two: Connection) -> None:
        reply, body = await one.fetch(Question("?"))
        assert reply == Answer("here")
        assert await body.read_all(size) == data

    talk(story, Ear(), serving(data))


@pytest.mark.parametrize("step", [1, 1000, limits.PIECE, limits.BODY_WINDOW])
def test_a_body_from_an_iterator_arrives_whole(step: int) -> None:
    data = bytes(range(256)) * (step * 3 // 256 + 1)
    pieces = (data[at : at + step] for at in range(0, len(data), step))

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        assert await body.read_all(len(data)) == data

    talk(story, Ear(), serving(pieces))


def test_an_iterator_may_yield_nothing_now_and_then() -> None:
    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        assert await body.read_all(10) == b"abc"

    talk(story, Ear(), serving(iter([b"", b"ab", b"", b"c", b""])))


def test_64_mib_both_ways_at_once_with_a_slow_reader_while_requests_flow() -> None:
    """A reader that stops holds up its own body, and no message."""
    size = 64 * MIB
    data = memoryview(bytes(range(256)) * (size // 256))
    wanted = hashlib.sha256(data).digest()
    ear, kept = keeping()
    small_ones = 0

    async def twenty_more() -> None:
        wanted_ones = small_ones + 20
        await until(lambda: small_ones >= wanted_ones)

    async def read(body: Body, pause: bool) -> bytes:
        digest, nth = hashlib.sha256(), 0
        async for piece in body:
            digest.update(piece)
            nth += 1
            if pause and nth % 8 == 0:  # let 20 requests pass by
                await twenty_more()
        return digest.digest()

    async def chat(one: Connection) -> None:
        nonlocal small_ones
        while True:
            await one.request(Question("small"))
            small_ones += 1

    async def story(one: Connection, two: Connection) -> None:
        chatting = asyncio.ensure_future(chat(one))
        sending = asyncio.ensure_future(one.request(Question("up"), data))
        await until(lambda: "up" in kept)
        up = kept["up"]
        assert up.body is not None
        down = asyncio.ensure_future(two.fetch(Question("down")))
        fast, slow = await asyncio.gather(
            read(up.body, pause=False), read((await down)[1], pause=True)
        )
        assert fast == slow == wanted
        up.reply(Answer("thanks"))
        assert await sending == Answer("thanks")
        chatting.cancel()
        await asyncio.wait([chatting])

    talk(story, serving(data), ear)
    assert small_ones > 500


def test_both_directions_of_one_exchange_carry_bodies() -> None:
    data = bytes(range(256)) * 20_000
    ear, kept = keeping()

    async def story(one: Connection, two: Connection) -> None:
        answers: list[Body] = []

        def done(answer: object, body: Body | None) -> None:
            assert body is not None
            answers.append(body)

        one.ask(Question("mirror"), done, data)
        await until(lambda: bool(kept))
        request = kept["mirror"].body
        assert request is not None
        kept["mirror"].reply(Answer("watch"), data[::-1])
        await until(lambda: bool(answers))
        # the request first: an exchange ends with its answer
        assert await request.read_all(len(data)) == data
        assert await answers[0].read_all(len(data)) == data[::-1]

    talk(story, Ear(), ear)


def test_an_unread_body_gets_its_first_credit_and_no_more() -> None:
    pulled: list[int] = []
    ear = serving(counted(pulled, 1000, 16 * limits.KIB))

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        for _ in range(100):
            await one.request(Question("!"))
        # four pieces fill the first credit; nobody asks for a fifth before
        assert len(pulled) == FIRST_CREDIT // (16 * limits.KIB)
        await anext(body)
        ear.answer = Ear().answer
        for _ in range(100):
            await one.request(Question("!"))
        assert len(pulled) <= limits.BODY_WINDOW // (16 * limits.KIB) + 1
        body.close()

    ear_first = ear.answer

    def first_only(c: Connection, question: Question, exchange: Exchange) -> None:
        if question.text == "?":
            ear_first(c, question, exchange)
        else:
            exchange.reply(Answer(""))

    ear.answer = first_only
    talk(story, Ear(), ear)


def test_a_sender_stops_when_its_reader_leaves() -> None:
    pulled: list[int] = []
    source = counted(pulled, 10**9, limits.PIECE)

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        await anext(body)
        body.close()
        await until(lambda: not len(two._answering))
        assert [piece async for piece in body] == []

    talk(story, Ear(), serving(source))
    assert len(pulled) < 100
    assert next(source, None) is None  # the generator was closed


def test_an_answer_ends_what_is_left_of_the_request_body() -> None:
    pulled: list[int] = []
    source = counted(pulled, 10**9, limits.PIECE)

    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        exchange.fail(UnavailableError("disk full"))

    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(UnavailableError, match="disk full"):
            await one.request(Question("?"), source)
        assert next(source, None) is None
        with pytest.raises(UnavailableError):
            await one.request(Question("the connection goes on"))

    talk(story, Ear(), Ear(answer))


def test_cancelling_a_request_stops_its_body_at_both_ends() -> None:
    source = counted([], 10**9, limits.PIECE)
    ear, kept = keeping()

    async def story(one: Connection, two: Connection) -> None:
        sending = asyncio.ensure_future(one.request(Question("up"), source))
        await until(lambda: "up" in kept)
        body = kept["up"].body
        assert body is not None
        await anext(body)
        sending.cancel()
        with pytest.raises(UnavailableError, match="cancelled"):
            async for _ in body:
                pass
        assert next(source, None) is None

    talk(story, Ear(), ear)


@pytest.mark.parametrize("error", [UnavailableError("disk broke"), OSError("disk")])
def test_a_source_that_fails_ends_the_body_with_an_error(error: Exception) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * 1000
        raise error

    ear = serving(failing())

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        with pytest.raises(UnavailableError, match="disk"):
            await body.read_all(10**6)
        with pytest.raises(UnavailableError, match="disk"):
            await one.request(Question("!"), failing())
        assert one.is_open

    left = Ear()
    talk(story, left, ear)
    ours = [] if isinstance(error, SlingerError) else [error]
    assert ear.bugs == ours
    assert left.bugs == ours


def test_a_body_over_the_reader_limit_is_not_read_on() -> None:
    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        with pytest.raises(PeerError, match="more than 1000 bytes"):
            await body.read_all(1000)

    talk(story, Ear(), serving(bytes(10 * MIB)))


def test_a_reader_hears_that_the_connection_is_lost() -> None:
    source = counted([], 10**9, limits.PIECE)

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        await anext(body)
        two.close()
        with pytest.raises(ConnectionLostError):
            async for _ in body:
                pass

    talk(story, Ear(), serving(source))
    assert next(source, None) is None


def test_an_unexpected_body_is_declined() -> None:
    async def story(one: Connection, two: Connection) -> None:
        assert await one.request(Question("?")) == Answer("here")
        await until(lambda: not len(two._answering))

    talk(story, Ear(), serving(bytes(10 * MIB)))


def test_a_missing_body_is_the_other_ends_fault() -> None:
    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(PeerError, match="without a body"):
            await one.fetch(Question("?"))

    talk(story, Ear(), Ear())


def test_many_bodies_take_turns() -> None:
    async def story(one: Connection, two: Connection) -> None:
        fetched = await asyncio.gather(*(one.fetch(Question("?")) for _ in range(40)))
        wholes = await asyncio.gather(*(body.read_all(MIB) for _, body in fetched))
        assert wholes == [bytes(MIB)] * 40

    talk(story, Ear(), serving(bytes(MIB)))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_body_that_was_given_room_comes_whole_and_without_further_credit(
    lazy: bool,
) -> None:
    data = bytes(range(256)) * (MIB // 256)

    async def story(one: Connection, two: Connection) -> None:
        before = one.outbox.frames
        _, body = await one.fetch(Question("?"), room=MIB)
        assert await body.read_all(MIB) == data
        assert one.outbox.frames == before + 2  # the request, and one credit
        assert await one.request(Question("no body this time")) == Answer("here")
        assert not one._asking._rooms

    talk(story, Ear(), serving(iter([data]) if lazy else data))


def test_more_than_the_room_that_was_given_is_a_breach() -> None:
    ear = Ear()

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"), room=MIB)
        two._answering._known(1).sender.credit += MIB  # type: ignore[union-attr]
        with pytest.raises((ConnectionLostError, PeerError)):
            await body.read_all(3 * MIB)
        assert [type(why) for why in ear.ends] == [PeerError]

    talk(story, ear, serving(bytes(3 * MIB)))


@pytest.mark.parametrize("size", [0, 1, FIRST_CREDIT + 1, 5 * MIB + 3])
def test_a_body_that_is_poured_arrives_whole(size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]

    async def story(one: Connection, two: Connection) -> None:
        got = bytearray()
        _, body = await one.fetch(Question("?"))
        await asyncio.sleep(0)  # some of it may be here before anybody reads
        await body.pour(got.extend)
        assert got == data

    talk(story, Ear(), serving(data))


def test_what_a_sink_raises_ends_the_pouring_and_nothing_else() -> None:
    poured: list[int] = []

    def full(piece: bytes) -> None:
        poured.append(len(piece))
        if sum(poured) > MIB:
            raise OSError("no room")

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        with pytest.raises(OSError, match="no room"):
            await body.pour(full)
        body.close()
        count = len(poured)
        await until(lambda: not len(two._answering))
        assert len(poured) == count
        assert one.is_open

    talk(story, Ear(), serving(bytes(64 * MIB)))


def test_a_body_that_breaks_off_says_so_to_who_pours_it() -> None:
    def breaking() -> Iterator[bytes]:
        yield bytes(MIB)
        raise UnavailableError("the disk has died")

    async def story(one: Connection, two: Connection) -> None:
        _, body = await one.fetch(Question("?"))
        with pytest.raises(UnavailableError, match="the disk has died"):
            await body.pour(lambda _: None)

    talk(story, Ear(), serving(breaking()))
