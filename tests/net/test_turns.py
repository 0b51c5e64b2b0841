"""What is said while an event is handled leaves when that is done, and all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.net.turns import Turn, turn_of
from tests.net.pair import Answer, Ear, Question, talk, until


def test_what_is_said_leaves_at_the_end_of_the_outermost_event() -> None:
    turn, left = Turn(), list[str]()
    with turn:
        with turn:
            turn.at_end(lambda: left.append("inner"))
        assert left == []
        turn.at_end(lambda: left.append("outer"))
    assert left == ["inner", "outer"]
    assert not turn.is_running


def test_what_leaving_leads_to_leaves_as_well() -> None:
    turn, left = Turn(), list[int]()

    def leave(number: int) -> Callable[[], None]:
        def flush() -> None:
            left.append(number)
            if number < 3:
                turn.at_end(leave(number + 1))

        return flush

    with turn:
        turn.at_end(leave(0))
    assert left == [0, 1, 2, 3]


def test_an_event_that_fails_ends_all_the_same() -> None:
    turn, left = Turn(), list[str]()

    def failing() -> None:
        with turn:
            turn.at_end(lambda: left.append("said before"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert left == ["said before"]
    assert not turn.is_running


def test_what_cannot_leave_holds_nobody_else_up() -> None:
    turn, left = Turn(), list[str]()

    def fail() -> None:
        raise RuntimeError

    def event() -> None:
        with turn:
            turn.at_end(fail)
            turn.at_end(lambda: left.append("said behind it"))

    with pytest.raises(RuntimeError):
        event()
    with turn:
        pass
    assert left == ["said behind it"]


def test_each_loop_has_a_turn_of_its_own() -> None:
    async def mine() -> Turn:
        loop = asyncio.get_running_loop()
        assert turn_of(loop) is turn_of(loop)
        return turn_of(loop)

    assert asyncio.run(mine()) is not asyncio.run(mine())


def test_an_answer_has_been_written_when_its_question_has_been_handled() -> None:
    """No look at the sockets lies between; and several answers are one write."""
    writes: list[int] = []

    def answer(connection: Connection, question: Question, exchange: Exchange) -> None:
        exchange.reply(Answer("at once"))
        asyncio.get_running_loop().call_soon(
            lambda: writes.append(connection.outbox.writes)
        )

    async def story(one: Connection, two: Connection) -> None:
        before = two.outbox.writes
        for _ in range(3):
            one.ask(Question("?"), lambda _, __: None)
        await until(lambda: len(writes) == 3)
        assert writes == [before + 1] * 3

    talk(story, Ear(), Ear(answer))
