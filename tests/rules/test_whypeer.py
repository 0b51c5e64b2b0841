"""Every peer that does not compute has one reason; it reads well for one and many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.fitting import Lack
from p2pslinger.rules.reasons import Reason, reason_for
from p2pslinger.rules.whypeer import PeerSituation, why_idle, why_not_for_others
from p2pslinger.wire.facts import ReasonFacts

PYTHON, NUMPY = Lack("python", "3.12"), Lack("package", "numpy>=2")
LINUX = Lack("platform", "linux-arm64")

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
    misfits=(),
    unreachable=0,
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
        {"fetching": 1},
        Reason.FETCHING,
        "what the task of 1 slot needs is on its way here",
    ),
    ({"fetching": 2}, Reason.FETCHING, "what tasks need is on its way here"),
    (
        {"own": 0, "others": 0, "neighbours": 0},
        Reason.ALONE,
        "no job is open, and no other peer is known",
    ),
    ({"own": 0, "others": 0}, Reason.NO_WORK, "no job is open in the grid"),
    (
        {
            "own": 0,
            "others": 0,
            "neighbours": 0,
            "withheld": reason_for(Reason.PAUSED, "it is paused until Mon 06:31"),
        },
        Reason.PAUSED,
        "this peer does not compute for others: it is paused until Mon 06:31",
    ),
    (
        {"others": 0, "paused": 1},
        Reason.JOBS_PAUSED,
        "the 1 open job is paused",
    ),
    (
        {"own": 3, "others": 0, "paused": 3},
        Reason.JOBS_PAUSED,
        "all 3 open jobs are paused",
    ),
    (
        {"own": 0, "unconfined": "its sandbox is weak"},
        Reason.SANDBOX_TOO_WEAK,
        "the 1 open job is another member's, and its sandbox is weak",
    ),
    (
        {"paused": 1, "others": 3, "unconfined": "its sandbox is weak"},
        Reason.SANDBOX_TOO_WEAK,
        "the 3 open jobs are other members', and its sandbox is weak",
    ),
    (
        {"own": 0, "unconfined": "nobody knows yet", "probing": True},
        Reason.PROBING,
        "the 1 open job is another member's, and nobody knows yet",
    ),
    (
        {"others": 0, "misfits": (PYTHON,)},
        Reason.OTHER_PYTHON,
        "the 1 open job needs Python 3.12, which this peer does not have",
    ),
    (
        {"misfits": (NUMPY, NUMPY)},
        Reason.LACKS_PACKAGE,
        "all 2 open jobs need numpy>=2, which this peer does not have",
    ),
    (
        {"others": 2, "misfits": (PYTHON, LINUX, LINUX)},
        Reason.OTHER_PLATFORM,
        "this peer does not have what open jobs need: a machine like linux-arm64 "
        "(2 jobs), Python 3.12 (1 job)",
    ),
    (
        {"others": 7, "unconfined": "its sandbox is weak", "misfits": (NUMPY,)},
        Reason.LACKS_PACKAGE,
        "the 1 open job needs numpy>=2, which this peer does not have",
    ),
    (
        {"others": 0, "misfits": (Lack("memory", "2 GiB"),)},
        Reason.LESS_MEMORY,
        "the 1 open job needs 2 GiB of memory for a slot, which this peer does not "
        "have",
    ),
    (
        {"others": 0, "misfits": (Lack("sandbox", ""),)},
        Reason.SANDBOX_TOO_WEAK,
        "the 1 open job needs a good sandbox, which this peer does not have",
    ),
    (
        {"misfits": (PYTHON,), "unreachable": 1},
        Reason.KEEPER_AWAY,
        "the keepers of 1 open job can't be reached",
    ),
    (
        {"unreachable": 2},
        Reason.KEEPER_AWAY,
        "the keepers of 2 open jobs can't be reached",
    ),
    ({}, Reason.ALL_TAKEN, "all tasks of the open jobs are taken"),
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


FEW = st.integers(0, 3)
WORDS = st.sampled_from(["", "a reason"])
LACKS = st.lists(st.sampled_from([PYTHON, NUMPY, LINUX]), max_size=4).map(tuple)


@given(
    st.builds(
        PeerSituation,
        wanted=FEW,
        ready=FEW,
        busy=FEW,
        broken=WORDS,
        neighbours=FEW,
        own=FEW,
        others=FEW,
        unconfined=WORDS,
        misfits=LACKS,
        unreachable=FEW,
        withheld=st.sampled_from([None, reason_for(Reason.PAUSED, "why")]),
        fetching=FEW,
        paused=FEW,
        probing=st.booleans(),
    )
)
def test_there_is_a_reason_whenever_a_peer_does_nothing(now: PeerSituation) -> None:
    assert (why_idle(now) is None) is (now.busy > 0)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"ready": 0}, None),
        ({"own": 0, "others": 0}, None),
        ({"unconfined": "nobody knows yet", "probing": True}, None),
        ({"wanted": 0}, Reason.NO_SLOTS),
        ({"ready": 0, "broken": "no python3.12"}, Reason.SLOTS_BROKEN),
        ({"unconfined": "its sandbox is weak"}, Reason.SANDBOX_TOO_WEAK),
        ({"withheld": reason_for(Reason.IN_USE, "why")}, Reason.IN_USE),
    ],
)
@pytest.mark.parametrize("busy", [0, 1])
def test_a_card_says_what_keeps_a_peer_from_others_work_whatever_jobs_there_are(
    changed: dict[str, Any], reason: Reason | None, busy: int
) -> None:
    found = why_not_for_others(replace(IDLE, **changed, busy=busy))
    assert (found and found.code) == (reason and reason.value)
