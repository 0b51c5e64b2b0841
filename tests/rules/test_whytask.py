"""Every task that waits has one reason, its job's or its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import PeerId
from p2pslinger.rules.grants import Held
from p2pslinger.rules.reasons import Reason, explain
from p2pslinger.rules.where import Where
from p2pslinger.rules.whytask import TaskSituation, state_of, why_not_running

ANN = PeerId(b"a" * 20)
OPEN = Where(
    done=False,
    held=None,
    elsewhere=None,
    alone=False,
    losers=set(),
    tries=0,
    before=0,
    theirs=False,
)
GRANTED = Held(1, ANN, 0, 10, 60.0, 5)

#: A task whose job runs.
TASK = TaskSituation(
    task=5,
    total=10,
    over="",
    where=OPEN,
    holder="attic",
    setback="",
    job=None,
    excluded=(),
)

TASK_CASES: list[tuple[dict[str, Any], Reason, str]] = [
    ({"task": 10}, Reason.NOT_SENT, "its job has 10 tasks so far"),
    (
        {"where": replace(OPEN, held=GRANTED), "task": 8},
        Reason.IN_LINE,
        "attic computes 3 tasks before it",
    ),
    (
        {"where": replace(OPEN, held=GRANTED), "task": 4},
        Reason.REPORTING,
        "attic has computed it, and is about to send the result",
    ),
    (
        {"where": replace(OPEN, held=replace(GRANTED, suspended=True))},
        Reason.SUSPENDED,
        "attic has it, and stands still, as its owner wishes",
    ),
    (
        {"where": replace(OPEN, elsewhere=ANN)},
        Reason.OTHER_KEEPER,
        "another keeper, attic, has it computed",
    ),
    (
        {"where": replace(OPEN, alone=True, tries=1)},
        Reason.ONE_AT_A_TIME,
        "1 try ended with the process: it is computed alone, by a peer that has not "
        "lost it if there is one",
    ),
    (
        {"where": replace(OPEN, alone=True, tries=2), "setback": "attic had it"},
        Reason.ONE_AT_A_TIME,
        "2 tries ended with the process (attic had it): it is computed alone, by a "
        "peer that has not lost it if there is one",
    ),
    (
        {"setback": "attic had it, but it has been silent"},
        Reason.RETRIED,
        "attic had it, but it has been silent, and it waits to be handed out",
    ),
    (
        {"where": replace(OPEN, theirs=True)},
        Reason.LEFT_TO_OTHERS,
        "another keeper of its job hands it out",
    ),
    (
        {"where": replace(OPEN, before=1)},
        Reason.ITS_TURN,
        "1 task of its job is before it",
    ),
    (
        {"where": replace(OPEN, before=7)},
        Reason.ITS_TURN,
        "7 tasks of its job are before it",
    ),
    ({}, Reason.ITS_TURN, "it is the next of its job that a slot is given"),
    (
        {"job": explain(Reason.ALL_BUSY, "they are busy")},
        Reason.ALL_BUSY,
        "they are busy",
    ),
]


@pytest.mark.parametrize(("changed", "reason", "text"), TASK_CASES)
def test_a_task_that_is_not_running_says_why(
    changed: dict[str, Any], reason: Reason, text: str
) -> None:
    now = replace(TASK, **changed)
    assert reason_of(now) == (reason.value, text)
    assert state_of(now) == "waiting"


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"where": replace(OPEN, held=GRANTED)}, "running"),
        ({"where": replace(OPEN, done=True)}, "done"),
        ({"where": replace(OPEN, done=True), "over": "cancelled"}, "done"),
        ({"over": "cancelled"}, "cancelled"),
    ],
)
def test_a_task_that_does_not_wait_explains_nothing(
    changed: dict[str, Any], state: str
) -> None:
    now = replace(TASK, **changed)
    assert (why_not_running(now), state_of(now)) == (None, state)


@given(
    st.builds(
        TaskSituation,
        task=st.integers(0, 12),
        total=st.just(10),
        over=st.sampled_from(["", "cancelled"]),
        where=st.builds(
            Where,
            st.booleans(),
            st.sampled_from([None, GRANTED, replace(GRANTED, suspended=True)]),
            st.sampled_from([None, ANN]),
            st.booleans(),
            st.just({ANN}),
            st.integers(0, 3),
            st.integers(0, 3),
            st.booleans(),
        ),
        holder=st.just("attic"),
        setback=st.sampled_from(["", "attic had it"]),
        job=st.sampled_from([None, explain(Reason.ALL_BUSY, "they are busy")]),
        excluded=st.just(()),
    )
)
def test_there_is_a_reason_whenever_a_task_waits(now: TaskSituation) -> None:
    assert (why_not_running(now) is not None) is (state_of(now) == "waiting")


def reason_of(now: TaskSituation) -> tuple[str, str]:
    reason = why_not_running(now)
    assert reason is not None
    return reason.code, reason.text
