"""A connection: asking, answering, pushing, leaving; and every ask has one answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from p2pslinger import limits
from p2pslinger.errors import (
    ConnectionLostError,
    PeerError,
    SlingerError,
    TooLargeError,
    UnavailableError,
    UsageError,
)
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Done, Exchange, from_fail
from p2pslinger.wire.messages import Fail
from tests.net.pair import (
    Answer,
    Ask,
    Ear,
    News,
    Question,
    echo,
    talk,
    until,
)


def raising(error: Exception) -> Ask:
    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        raise error

    return answer


def test_a_request_gets_its_reply_in_both_directions_at_once() -> None:
    async def story(one: Connection, two: Connection) -> None:
        asked = [one.request(Question(f"one {i}")) for i in range(50)]
        asked += [two.request(Question(f"two {i}")) for i in range(50)]
        replies = await asyncio.gather(*asked)
        wanted = [f"{end} {i}" for end in ("one", "two") for i in range(50)]
        assert replies == [Answer(text) for text in wanted]

    talk(story, Ear(), Ear())


def test_a_request_may_be_answered_much_later_and_out_of_order() -> None:
    ear = Ear()
    ear.answer = ear.hold

    async def story(one: Connection, two: Connection) -> None:
        first = asyncio.ensure_future(one.request(Question("first")))
        second = asyncio.ensure_future(one.request(Question("second")))
        await until(lambda: len(ear.held) == 2)
        ear.held[1].reply(Answer("b"))
        assert await second == Answer("b")
        assert not first.done()
        ear.held[0].reply(Answer("a"))
        assert await first == Answer("a")

    talk(story, Ear(), ear)


def test_pushes_arrive_in_order_with_the_requests_around_them() -> None:
    ear = Ear()

    async def story(one: Connection, two: Connection) -> None:
        for i in range(100):
            one.push(News(str(i)))
        await one.request(Question("?"))
        assert ear.news == [str(i) for i in range(100)]

    talk(story, Ear(), ear)


def test_what_one_loop_turn_says_leaves_in_one_write() -> None:
    ear = Ear()

    async def story(one: Connection, two: Connection) -> None:
        before = one.outbox.writes, two.outbox.writes
        await asyncio.gather(*(one.request(Question(str(i))) for i in range(500)))
        assert one.outbox.writes == before[0] + 1
        assert two.outbox.writes <= before[1] + 3  # as many as reads it took

    talk(story, Ear(), ear)


@pytest.mark.parametrize(
    ("raised", "heard"),
    [
        (UsageError("no such job"), UsageError),
        (UnavailableError("disk full"), UnavailableError),
        (TooLargeError("too big"), UsageError),
    ],
)
def test_what_a_handler_raises_comes_back_as_its_branch(
    raised: SlingerError, heard: type[SlingerError]
) -> None:
    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(heard, match=str(raised)) as caught:
            await one.request(Question("?"))
        assert type(caught.value) is heard
        assert one.is_open

    talk(story, Ear(), Ear(raising(raised)))


def test_what_the_other_end_complains_of_does_nothing_to_a_terminal() -> None:
    told = from_fail(Fail("unavailable", "no\x1b]0;x\x07 room\u202e\nhere"))

    assert str(told) == "no\\x1b]0;x\\x07 room\\u202e\nhere"


def test_a_breach_found_by_a_handler_ends_the_connection_for_both() -> None:
    left, right = Ear(), Ear(raising(PeerError("sent a bad signature")))

    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(PeerError, match="this end sent a bad signature"):
            await one.request(Question("?"))
        await until(lambda: bool(left.ends and right.ends))

    talk(story, left, right)

    assert isinstance(right.ends[0], PeerError)
    assert "hung up" in str(left.ends[0])
    assert "bad signature" in str(left.ends[0])


def test_a_bug_in_a_handler_is_reported_and_the_connection_goes_on() -> None:
    bug = ZeroDivisionError("oops")
    ear = Ear(raising(bug))

    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(UnavailableError, match="oops"):
            await one.request(Question("?"))
        one.push(News("still here"))
        await until(lambda: bool(ear.news))

    talk(story, Ear(), ear)
    assert ear.bugs == [bug]


def test_a_bug_in_a_callback_is_reported_and_other_answers_come() -> None:
    ear = Ear()

    async def story(one: Connection, two: Connection) -> None:
        def stumble(answer: object, body: Body | None) -> None:
            raise IndexError("oops")

        one.ask(Question("a"), stumble)
        assert await one.request(Question("b")) == Answer("b")

    talk(story, ear, Ear())
    assert isinstance(ear.bugs[0], IndexError)


def test_bugs_go_to_the_event_loop_unless_somebody_else_takes_them() -> None:
    contexts: list[dict[str, object]] = []

    async def story(one: Connection, two: Connection) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        two.on_bug = two._complain
        with pytest.raises(UnavailableError):
            await one.request(Question("?"))

    talk(story, Ear(), Ear(raising(KeyError("k"))))
    assert isinstance(contexts[0]["exception"], KeyError)


def test_cancelling_a_wait_cancels_the_request_at_the_other_end() -> None:
    ear = Ear()
    ear.answer = ear.hold
    told: list[str] = []

    async def story(one: Connection, two: Connection) -> None:
        waiting = asyncio.ensure_future(one.request(Question("?")))
        await until(lambda: bool(ear.held))
        exchange = ear.held[0]
        exchange.on_cancel = lambda: told.append("cancelled")
        waiting.cancel()
        await until(lambda: exchange.cancelled)
        exchange.reply(Answer("too late"))
        one.push(News("the connection is fine"))
        await until(lambda: bool(ear.news))
        assert one.is_open

    talk(story, Ear(), ear)
    assert told == ["cancelled"]


def test_an_answer_that_crosses_its_cancellation_is_dropped() -> None:
    ear = Ear()
    ear.answer = ear.hold
    answers: list[object] = []

    async def story(one: Connection, two: Connection) -> None:
        number = one.ask(Question("?"), lambda answer, _: answers.append(answer))
        await until(lambda: bool(ear.held))
        ear.held[0].reply(Answer("crossing"))
        one.cancel(number)
        ear.answer = Ear().answer
        assert await one.request(Question("next")) == Answer("next")

    talk(story, Ear(), ear)
    assert answers == []


def test_a_request_that_takes_too_long_is_given_up() -> None:
    ear = Ear()
    ear.answer = ear.hold

    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.01 s"):
            await one.request(Question("?"), timeout=0.01)
        await until(lambda: bool(ear.held) and ear.held[0].cancelled)

    talk(story, Ear(), ear)


def test_answering_twice_is_a_mistake() -> None:
    ear = Ear()
    ear.answer = ear.hold

    async def story(one: Connection, two: Connection) -> None:
        waiting = asyncio.ensure_future(one.request(Question("?")))
        await until(lambda: bool(ear.held))
        ear.held[0].reply(Answer("once"))
        with pytest.raises(UsageError, match="answered before"):
            ear.held[0].reply(Answer("twice"))
        ear.held[0].fail(UsageError("ignored"))
        assert await waiting == Answer("once")

    talk(story, Ear(), ear)


def test_a_message_larger_than_a_frame_is_refused_before_it_is_sent() -> None:
    huge = "x" * limits.FRAME

    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        exchange.reply(Answer(huge))

    async def story(one: Connection, two: Connection) -> None:
        with pytest.raises(TooLargeError, match="as a body"):
            await one.request(Question(huge))
        with pytest.raises(TooLargeError):
            one.push(News(huge))
        with pytest.raises(UsageError, match="as a body"):
            await one.request(Question("?"))

    talk(story, Ear(), Ear(answer))


def test_too_many_open_requests_are_refused_at_home() -> None:
    ear = Ear()
    ear.answer = ear.hold
    answers: list[object] = []

    async def story(one: Connection, two: Connection) -> None:
        for _ in range(limits.OPEN_REQUESTS):
            one.ask(Question("?"), lambda answer, _: answers.append(answer))
        with pytest.raises(UnavailableError, match="4096 requests wait"):
            await one.request(Question("one more"))
        await until(lambda: len(ear.held) == limits.OPEN_REQUESTS)
        assert two.is_open
        ear.held[0].reply(Answer("room"))
        await until(lambda: len(answers) == 1)
        one.ask(Question("?"), lambda answer, _: answers.append(answer))
        await until(lambda: len(ear.held) == limits.OPEN_REQUESTS + 1)
        one.close()
        await until(lambda: len(answers) == limits.OPEN_REQUESTS + 1)

    talk(story, Ear(), ear)


def lose_by_abort(one: Connection, two: Connection) -> None:
    transport = two.outbox._transport
    assert transport is not None
    transport.abort()


LOSSES: list[Callable[[Connection, Connection], None]] = [
    lambda one, two: one.close(),
    lambda one, two: two.close(),
    lambda one, two: two.close(UnavailableError("bye")),
    lambda one, two: one.close(UnavailableError("bye")),
    lose_by_abort,
]


def counting(counts: list[int], i: int) -> Done:
    """Return a callback that counts the answers of one ask."""

    def done(answer: msgspec.Struct | SlingerError, body: Body | None) -> None:
        counts[i] += 1
        assert isinstance(answer, Answer | ConnectionLostError)

    return done


def answering_every_second(ear: Ear) -> Ask:
    coin = itertools.cycle([echo, ear.hold])

    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        next(coin)(connection, question, exchange)

    return answer


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
def test_a_connection_lost_in_the_middle_answers_every_ask_exactly_once(
    lose: Callable[[Connection, Connection], None], turns: int
) -> None:
    left, right = Ear(), Ear()
    right.answer = answering_every_second(right)
    counts = [0] * 200

    async def story(one: Connection, two: Connection) -> None:
        bodies = [None, b"x" * 300_000]
        for i in range(100):
            one.ask(Question("?"), counting(counts, i), bodies[i % 7 == 0])
        for _ in range(turns):
            await asyncio.sleep(0)
        lose(one, two)
        for i in range(100, 200):
            one.ask(Question("?"), counting(counts, i))
        await until(lambda: all(counts) and bool(left.ends and right.ends))

    talk(story, left, right)

    assert counts == [1] * 200
    assert left.opened_times == len(left.ends) == 1
    assert right.opened_times == len(right.ends) == 1
    assert not left.bugs
    assert not right.bugs
    assert all(exchange.cancelled for exchange in right.held)


def test_open_requests_hear_once_that_the_connection_is_lost() -> None:
    ear = Ear()
    ear.answer = ear.hold
    told: list[int] = []

    async def story(one: Connection, two: Connection) -> None:
        for _ in range(5):
            one.ask(Question("?"), lambda _, __: None)
        await until(lambda: len(ear.held) == 5)
        for number, exchange in enumerate(ear.held):
            exchange.on_cancel = partial(told.append, number)
        one.close()
        await until(lambda: bool(ear.ends))

    talk(story, Ear(), ear)
    assert told == [0, 1, 2, 3, 4]


def test_the_reason_for_leaving_reaches_the_other_end() -> None:
    left, right = Ear(), Ear()

    async def story(one: Connection, two: Connection) -> None:
        one.push(News("last words"))
        one.close(UnavailableError("this peer shuts down"))
        await until(lambda: bool(left.ends and right.ends))

    talk(story, left, right)
    assert right.news == ["last words"]
    assert "hung up: this peer shuts down" in str(right.ends[0])


def test_leaving_without_a_reason_is_no_error_here_and_a_loss_there() -> None:
    left, right = Ear(), Ear()

    async def story(one: Connection, two: Connection) -> None:
        one.close()
        await until(lambda: bool(left.ends and right.ends))

    talk(story, left, right)
    assert left.ends == [None]
    assert isinstance(right.ends[0], ConnectionLostError)
