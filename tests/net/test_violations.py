"""What no honest peer sends: the connection ends, the other end hears why, we go on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.net import outbox
from p2pslinger.net.body import FIRST_CREDIT
from p2pslinger.wire.frames import Kind, encode_credit, header
from p2pslinger.wire.messages import decode_fail, encode
from tests.net.pair import CODEC, HELLO, Answer, Ear, Question, raw_pair, until

QUESTION = CODEC.encode(Question("?"))
ANSWER = CODEC.encode(Answer("!"))

Said = list[tuple[Kind, int, bytes]]

#: What is said, and the reason that comes back. The end that hears it has one question
#: open, number 1, and holds every question that it is asked.
VIOLATIONS: dict[str, tuple[Said, str]] = {
    "a second hello": ([(Kind.HELLO, 0, encode(HELLO))], "hello twice"),
    "an unreadable request": ([(Kind.REQUEST, 1, b"\xc1")], "can't be read"),
    "an unreadable push": ([(Kind.PUSH, 0, b"")], "can't be read"),
    "an unreadable answer": ([(Kind.REPLY, 1, b"?")], "can't be read"),
    "an unreadable failure": ([(Kind.FAIL, 1, b"?")], "without a reason"),
    "a message nobody takes": ([(Kind.REQUEST, 1, ANSWER)], "not for us"),
    "a number left out": ([(Kind.REQUEST, 2, QUESTION)], "request 2 after 0"),
    "request 0": ([(Kind.REQUEST, 0, QUESTION)], "request 0 after 0"),
    "a number used twice": ([(Kind.REQUEST, 1, QUESTION)] * 2, "request 1 after 1"),
    "an answer nobody asked for": ([(Kind.REPLY, 2, ANSWER)], "nobody waits"),
    "two answers": ([(Kind.REPLY, 1, ANSWER)] * 2, "nobody waits"),
    "a failure of nothing": ([(Kind.FAIL, 9, encode(HELLO))], "without a reason"),
    "a cancelled nothing": ([(Kind.CANCEL, 5, b"")], "never made"),
    "a piece of nothing": ([(Kind.PIECE, 1, b"x")], "never made"),
    "a piece unannounced": (
        [(Kind.REQUEST, 1, QUESTION), (Kind.PIECE, 1, b"x")],
        "unannounced",
    ),
    "an end unannounced": (
        [(Kind.REQUEST, 1, QUESTION), (Kind.END, 1, b"")],
        "unannounced",
    ),
    "an empty piece": (
        [(Kind.REQUEST_BODY, 1, QUESTION), (Kind.PIECE, 1, b"")],
        "0 bytes of a body",
    ),
    "a piece without credit": (
        [(Kind.REQUEST_BODY, 1, QUESTION), (Kind.PIECE, 1, bytes(FIRST_CREDIT + 1))],
        "had room for",
    ),
    "pieces without credit": (
        [(Kind.REQUEST_BODY, 1, QUESTION), *[(Kind.PIECE, 1, bytes(40000))] * 2],
        "had room for 25536",
    ),
    "a piece behind the end": (
        [
            (Kind.REQUEST_BODY, 1, QUESTION),
            (Kind.END, 1, b""),
            (Kind.PIECE, 1, b"x"),
        ],
        "had ended",
    ),
    "an answer's piece unannounced": ([(Kind.ANSWER_PIECE, 1, b"x")], "nobody waits"),
    "an answer's piece without credit": (
        [(Kind.REPLY_BODY, 1, ANSWER), (Kind.ANSWER_PIECE, 1, bytes(FIRST_CREDIT + 1))],
        "had room for",
    ),
    "an answer's piece behind the end": (
        [
            (Kind.REPLY_BODY, 1, ANSWER),
            (Kind.ANSWER_END, 1, b""),
            (Kind.ANSWER_PIECE, 1, b"x"),
        ],
        "nobody waits",
    ),
    "credit for nothing": ([(Kind.CREDIT, 2, encode_credit(1))], "never made"),
    "credit of nothing": ([(Kind.CREDIT, 1, encode_credit(0))], "grants nothing"),
    "an answer's credit for nothing": (
        [(Kind.ANSWER_CREDIT, 1, encode_credit(1))],
        "never made",
    ),
    "an answer's credit beyond a window before there is an answer": (
        [
            (Kind.REQUEST, 1, QUESTION),
            (Kind.ANSWER_CREDIT, 1, encode_credit(limits.BODY_WINDOW)),
            (Kind.ANSWER_CREDIT, 1, encode_credit(1)),
        ],
        "more than a window",
    ),
    "too many requests": (
        [(Kind.REQUEST, i + 1, QUESTION) for i in range(limits.OPEN_REQUESTS + 1)],
        "more than 4096 requests",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_ends_the_connection_with_a_reason(name: str) -> None:
    said, reason = VIOLATIONS[name]
    ear = Ear()
    ear.answer = ear.hold
    answers: list[object] = []

    async def main() -> None:
        made, raw = await raw_pair(ear)
        made.ask(Question("?"), lambda answer, _: answers.append(answer))
        await asyncio.sleep(0)
        for frame in said:
            raw.say(*frame)
        frames = await raw.heard()
        goodbye = frames[-1]
        assert goodbye[:2] == (Kind.FAIL, 0)
        assert decode_fail(goodbye.payload).kind == "peer"
        assert reason in decode_fail(goodbye.payload).text
        raw.writer.close()

    asyncio.run(main())

    assert [type(why) for why in ear.ends] == [PeerError]
    assert len(answers) == 1
    assert all(exchange.cancelled for exchange in ear.held)
    assert not ear.bugs


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind != Kind.HELLO])
def test_nothing_may_be_said_before_the_hello(kind: Kind) -> None:
    ear = Ear()

    async def main() -> None:
        made, raw = await raw_pair(ear, hello=False)
        raw.say(kind, 1, QUESTION)
        with pytest.raises(PeerError):
            await made.ready
        await raw.heard()
        raw.writer.close()

    asyncio.run(main())
    assert ear.opened_times == 0


def test_a_frame_before_the_hello_is_small() -> None:
    async def main() -> None:
        made, raw = await raw_pair(Ear(), hello=False)
        raw.say(Kind.HELLO, 0, bytes(limits.HELLO_FRAME))
        with pytest.raises(PeerError, match="16384 are allowed"):
            await made.ready
        raw.writer.close()

    asyncio.run(main())


def test_a_frame_too_large_is_refused_before_it_has_arrived() -> None:
    ear = Ear()

    async def main() -> None:
        made, raw = await raw_pair(ear)
        raw.writer.write(header(Kind.PUSH, 0, limits.FRAME))
        goodbye = (await raw.heard())[-1]
        assert "4194304 are allowed" in decode_fail(goodbye.payload).text
        assert not made.is_open
        raw.writer.close()

    asyncio.run(main())
    assert [type(why) for why in ear.ends] == [PeerError]


def test_late_frames_of_what_is_over_are_ignored() -> None:
    ear = Ear()

    async def main() -> None:
        made, raw = await raw_pair(ear)
        raw.say(Kind.REQUEST_BODY, 1, QUESTION)  # answered at once
        raw.say(Kind.PIECE, 1, b"late")
        raw.say(Kind.END, 1)
        raw.say(Kind.ANSWER_CREDIT, 1, encode_credit(5))
        raw.say(Kind.CANCEL, 1)
        number = made.ask(Question("?"), lambda _, __: None)
        made.cancel(number)
        raw.say(Kind.CREDIT, 1, encode_credit(5))
        raw.say(Kind.REPLY_BODY, 1, ANSWER)
        raw.say(Kind.ANSWER_PIECE, 1, b"late")
        raw.say(Kind.ANSWER_END, 1)
        raw.say(Kind.REQUEST, 2, QUESTION)
        await until(
            lambda: made.outbox.frames == 5
        )  # hello, question, cancel, 2 x reply
        assert made.is_open
        made.close()
        raw.writer.close()

    asyncio.run(main())
    assert ear.ends == [None]


def test_an_end_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "CLOSE_GRACE", 0.05)
    ear = Ear()

    async def main() -> None:
        made, raw = await raw_pair(ear)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        text = "x" * limits.MIB
        for _ in range(100):
            if made.is_open:
                made.ask(Question(text), lambda _, __: None)
                await asyncio.sleep(0)
        await until(lambda: bool(ear.ends))
        await until(lambda: made.outbox._transport is None)
        raw.writer.close()

    asyncio.run(main())
    assert isinstance(ear.ends[0], UnavailableError)
    assert "reads too slowly: 64 MiB wait for it" in str(ear.ends[0])


# --- fuzzing ----------------------------------------------------------------------

#: Bytes that look like frames often enough to get past the first check.
almost_frames = st.lists(
    st.tuples(
        st.sampled_from([int(kind) for kind in Kind]),
        st.integers(0, 4),
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([QUESTION, ANSWER, encode_credit(9), encode(HELLO)]),
        ),
    ),
    max_size=12,
)


def survive(hello: bool, said: list[tuple[int, int, bytes]], junk: bytes) -> None:
    """Say all this, then junk, then leave; every promise must still hold."""
    ear = Ear()
    counts = [0] * 3

    def count(i: int) -> None:
        counts[i] += 1

    async def main() -> None:
        made, raw = await raw_pair(ear, hello=hello)
        for i in range(3):
            made.ask(Question("?"), lambda *_, i=i: count(i), [None, b"body"][i % 2])
        for frame in said:
            raw.say(*frame)
        raw.writer.write(junk)
        raw.writer.write_eof()
        await raw.heard()
        raw.writer.close()
        with contextlib.suppress(ConnectionError):
            await raw.writer.wait_closed()
        with contextlib.suppress(PeerError, UnavailableError):
            await made.ready
        await until(lambda: counts == [1, 1, 1])
        await until(lambda: len(ear.ends) == ear.opened_times)

    asyncio.run(main())
    assert not ear.bugs
    assert all(exchange.cancelled or exchange.answered for exchange in ear.held)


@settings(max_examples=150, deadline=None)
@given(said=almost_frames, junk=st.binary(max_size=100), hello=st.booleans())
def test_garbage_ends_a_connection_and_nothing_else(
    said: list[tuple[int, int, bytes]], junk: bytes, hello: bool
) -> None:
    survive(hello, said, junk)
