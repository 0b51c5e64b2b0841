"""Every wait has one reason, and its sentence reads well for one and for many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from p2pslinger.rules.reasons import (
    JobSituation,
    PeerSituation,
    Reason,
    reason_for,
    why_idle,
    why_waiting,
)
from p2pslinger.wire.facts import ReasonFacts

#: A peer that waits although jobs are open, and nothing is wrong with it.
IDLE = PeerSituation(
    wanted=2,
    ready=2,
    busy=0,
    broken="",
    neighbours=1,
    own=1,
    others=1,
    unconfined="",
    misfits=0,
    unreachable=0,
)

#: A job that waits although a peer is there to compute it.
WAITING = JobSituation(
    open=5, running=0, sealed=True, python="3.12", volunteers=2, fitting=2, idle=1
)

PEER_CASES: list[tuple[dict[str, Any], Reason, str]] = [
    ({"wanted": 0, "ready": 0}, Reason.NO_SLOTS, "this peer has no slots"),
    ({"ready": 0}, Reason.SLOTS_STARTING, "its slots are being started"),
    (
        {"ready": 0, "broken": "no python3.12"},
        Reason.SLOTS_BROKEN,
        "no slot starts: no python3.12",
    ),
    (
        {"own": 0, "others": 0, "neighbours": 0},
        Reason.ALONE,
        "no job is open, and no other peer is known",
    ),
    ({"own": 0, "others": 0}, Reason.NO_WORK, "no job is open in the grid"),
    (
        {"own": 0, "unconfined": "its sandbox is weak"},
        Reason.SANDBOX_TOO_WEAK,
        "the 1 open job is another member's, and its sandbox is weak",
    ),
    (
        {"own": 0, "others": 3, "unconfined": "its sandbox is weak"},
        Reason.SANDBOX_TOO_WEAK,
        "the 3 open jobs are other members', and its sandbox is weak",
    ),
    (
        {"others": 0, "misfits": 1},
        Reason.OTHER_PYTHON,
        "the 1 open job needs another Python version",
    ),
    (
        {"misfits": 2},
        Reason.OTHER_PYTHON,
        "all 2 open jobs need another Python version",
    ),
    (
        {"others": 7, "unconfined": "its sandbox is weak", "misfits": 1},
        Reason.OTHER_PYTHON,
        "the 1 open job needs another Python version",
    ),
    (
        {"misfits": 1, "unreachable": 1},
        Reason.KEEPER_AWAY,
        "the keepers of 1 open job can't be reached",
    ),
    (
        {"unreachable": 2},
        Reason.KEEPER_AWAY,
        "the keepers of 2 open jobs can't be reached",
    ),
    ({}, Reason.NO_WORK, "all tasks of the open jobs are taken"),
]

#: What its owner's preferences say (see `test_permits`): a peer with others' work only.
PREFERENCES = (
    Reason.DISABLED,
    Reason.PAUSED,
    Reason.OUT_OF_HOURS,
    Reason.ON_BATTERY,
    Reason.IN_USE,
    Reason.FOREIGN_LOAD,
)
FOR_OTHERS = "this peer does not compute for others: "
PEER_CASES += [
    ({"own": 0, "withheld": reason_for(one, "why")}, one, FOR_OTHERS + "why")
    for one in PREFERENCES
]

JOB_CASES: list[tuple[dict[str, Any], Reason, str]] = [
    (
        {"open": 0, "sealed": False},
        Reason.NO_ARGUMENTS,
        "all tasks that it has so far are done",
    ),
    (
        {"volunteers": 0, "fitting": 0, "idle": 0},
        Reason.NO_VOLUNTEER,
        "no peer offers a slot to this machine's jobs",
    ),
    (
        {"volunteers": 1, "fitting": 0, "idle": 0},
        Reason.NO_PYTHON,
        "its function needs Python 3.12, and the 1 peer with slots does not offer it",
    ),
    (
        {"fitting": 0, "idle": 0},
        Reason.NO_PYTHON,
        "its function needs Python 3.12, and none of the 2 peers with slots offers it",
    ),
    (
        {"fitting": 1, "idle": 0},
        Reason.ALL_BUSY,
        "all slots of 1 peer are busy with other jobs",
    ),
    ({"idle": 0}, Reason.ALL_BUSY, "all slots of 2 peers are busy with other jobs"),
]


def facts(reason: ReasonFacts | None) -> tuple[str, str]:
    assert reason is not None
    return reason.code, reason.text


@pytest.mark.parametrize(("changed", "reason", "text"), PEER_CASES)
def test_a_peer_that_does_not_compute_says_why(
    changed: dict[str, Any], reason: Reason, text: str
) -> None:
    assert facts(why_idle(replace(IDLE, **changed))) == (reason.value, text)


@pytest.mark.parametrize(("changed", "reason", "text"), PEER_CASES)
def test_a_peer_that_computes_explains_nothing(
    changed: dict[str, Any], reason: Reason, text: str
) -> None:
    assert why_idle(replace(IDLE, **changed, busy=1)) is None


@pytest.mark.parametrize(("changed", "reason", "text"), JOB_CASES)
def test_a_job_that_does_not_run_says_why(
    changed: dict[str, Any], reason: Reason, text: str
) -> None:
    assert facts(why_waiting(replace(WAITING, **changed))) == (reason.value, text)


@pytest.mark.parametrize(("changed", "reason", "text"), JOB_CASES)
def test_a_job_that_runs_explains_nothing(
    changed: dict[str, Any], reason: Reason, text: str
) -> None:
    assert why_waiting(replace(WAITING, **changed, running=1)) is None


def test_a_job_that_is_done_or_about_to_run_explains_nothing() -> None:
    assert why_waiting(replace(WAITING, open=0)) is None
    assert why_waiting(WAITING) is None


def test_every_reason_can_be_given_and_comes_with_advice() -> None:
    peers = [why_idle(replace(IDLE, **changed)) for changed, _, _ in PEER_CASES]
    jobs = [why_waiting(replace(WAITING, **changed)) for changed, _, _ in JOB_CASES]
    given = [reason for reason in peers + jobs if reason is not None]

    assert {reason.code for reason in given} == {reason.value for reason in Reason}
    assert all(reason.advice for reason in given)
