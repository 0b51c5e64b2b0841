"""Every wait has one reason, and its sentence reads well for one and for many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.fitting import Lack
from p2pslinger.rules.reasons import Reason, explain, reason_for
from p2pslinger.rules.whyjob import JobSituation, Prospect, excluded_by, why_waiting
from p2pslinger.rules.whypeer import PeerSituation, why_idle, why_not_for_others
from p2pslinger.rules.whytask import why_not_running
from p2pslinger.wire.facts import ExcludedFacts, ReasonFacts
from p2pslinger.wire.needs import NOTHING, Needs, Offer, Offered
from tests.rules.test_whytask import TASK, TASK_CASES

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

ELEVEN, TWELVE = (
    Offer("linux-x86_64", (Offered("3.11"),)),
    Offer("linux-x86_64", (Offered("3.12", ("numpy>=2",)),)),
)

#: Peers: one that fits, and others, each with something that keeps it from the job.
FITS = Prospect(1, "", TWELVE, idle=True)
OTHER = Prospect(1, "", ELEVEN, idle=True)
BUSY = Prospect(1, "", TWELVE, idle=False)
NONE = Prospect(0, "no-slots", Offer(), idle=False)
SILENT = Prospect(1, "", Offer(), idle=False)
PAUSED = Prospect(2, "paused", TWELVE, idle=False)
NEWER = Prospect(2, "out-for-lunch", TWELVE, idle=False)
LOST = Prospect(1, "", TWELVE, idle=True, lost=True)
BARRED = Prospect(1, "", TWELVE, idle=True, barred=True)

#: A job that waits although a peer is there to compute it.
WAITING = JobSituation(
    open=5,
    running=0,
    left=0,
    sealed=True,
    paused=False,
    here=True,
    learning=False,
    python="3.12",
    needs=NOTHING,
    prospects=(FITS, NONE),
)

JOB_CASES: list[tuple[dict[str, Any], Reason, str]] = [
    (
        {"here": False},
        Reason.KEPT_ELSEWHERE,
        "this machine only reads it: others hand out its work",
    ),
    ({"paused": True, "open": 0}, Reason.JOB_PAUSED, "its owner has paused it"),
    (
        {"learning": True, "open": 0},
        Reason.LEARNING,
        "its other keepers are asked what has been computed",
    ),
    (
        {"open": 0, "left": 1},
        Reason.LEFT_TO_OTHERS,
        "its other keepers hand out its 1 open task",
    ),
    (
        {"open": 0, "sealed": False},
        Reason.NO_ARGUMENTS,
        "all tasks that it has so far are done",
    ),
    (
        {"prospects": (NONE, SILENT)},
        Reason.NO_VOLUNTEER,
        "no peer offers a slot to this machine's jobs",
    ),
    (
        {"prospects": (NONE, BARRED)},
        Reason.NOT_TRUSTED,
        "only this machine, and peers that count as its own, may compute it, and none "
        "of them offers a slot",
    ),
    (
        {"prospects": (BARRED, BUSY)},
        Reason.ALL_BUSY,
        "all slots of 1 peer that could compute it are busy",
    ),
    (
        {"prospects": (OTHER,)},
        Reason.NO_PYTHON,
        "it needs Python 3.12, and the 1 peer that offers slots does not have it",
    ),
    (
        {"prospects": (OTHER, OTHER, NONE)},
        Reason.NO_PYTHON,
        "it needs Python 3.12, and none of the 2 peers that offer slots has it",
    ),
    (
        {"needs": Needs(("scipy",))},
        Reason.NO_PACKAGE,
        "it needs scipy, and the 1 peer that offers slots does not have it",
    ),
    (
        {"needs": Needs(platform="darwin")},
        Reason.NO_PLATFORM,
        "it needs a machine like darwin, and the 1 peer that offers slots does not "
        "have it",
    ),
    (
        {"prospects": (BUSY, OTHER)},
        Reason.ALL_BUSY,
        "all slots of 1 peer that could compute it are busy",
    ),
    ({}, Reason.STARTING, "a peer is about to take its tasks"),
]


def facts(reason: ReasonFacts | None) -> tuple[str, str]:
    assert reason is not None
    return reason.code, reason.text


# --- peers --------------------------------------------------------------------------


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


# --- jobs ---------------------------------------------------------------------------


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


def test_a_job_that_is_done_explains_nothing() -> None:
    assert why_waiting(replace(WAITING, open=0)) is None


PROSPECTS = st.lists(
    st.builds(
        Prospect,
        FEW,
        st.sampled_from(["", "paused"]),
        st.sampled_from([Offer(), ELEVEN, TWELVE]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=4,
).map(tuple)
NEEDS = st.sampled_from([NOTHING, Needs(("numpy>=2",)), Needs((), "darwin")])


@given(
    st.builds(
        JobSituation,
        open=FEW,
        running=FEW,
        left=FEW,
        sealed=st.booleans(),
        paused=st.booleans(),
        here=st.booleans(),
        learning=st.booleans(),
        python=st.sampled_from([None, "3.12"]),
        needs=NEEDS,
        prospects=PROSPECTS,
    )
)
def test_there_is_a_reason_whenever_nothing_of_an_open_job_runs(
    now: JobSituation,
) -> None:
    reason = why_waiting(now)
    waits = now.open or now.left or now.paused or now.learning or not now.sealed
    if now.running:
        assert reason is None
    elif waits or not now.here:
        assert reason is not None
        assert sum(one.peers for one in reason.excluded) <= len(now.prospects)


def test_peers_are_excluded_once_by_the_first_thing_that_keeps_them() -> None:
    everyone = (FITS, OTHER, OTHER, BUSY, NONE, SILENT, PAUSED, NEWER, LOST)
    assert excluded_by("3.12", NOTHING, everyone) == (
        ExcludedFacts(2, "no-python", "need Python 3.12"),
        ExcludedFacts(1, "all-busy", "busy"),
        ExcludedFacts(1, "no-slots", "no slots"),
        ExcludedFacts(1, "no-volunteer", "do not ask this machine for work"),
        ExcludedFacts(1, "one-at-a-time", "have lost it before"),
        ExcludedFacts(1, "out-for-lunch", "out for lunch"),
        ExcludedFacts(1, "paused", "paused"),
    )
    assert excluded_by(None, NOTHING, (BARRED,)) == (
        ExcludedFacts(1, "not-trusted", "not trusted as this machine's own"),
    )
    needs = Needs(("numpy>=2",), "linux")
    assert excluded_by(None, needs, (FITS, OTHER)) == (
        ExcludedFacts(1, "no-package", "no numpy>=2"),
    )
    assert excluded_by(None, Needs((), "darwin"), (FITS,)) == (
        ExcludedFacts(1, "no-platform", "not darwin"),
    )


# --- all of them --------------------------------------------------------------------


def test_every_reason_can_be_given_and_says_what_ends_it_and_what_to_do() -> None:
    peers = [why_idle(replace(IDLE, **changed)) for changed, _, _ in PEER_CASES]
    jobs = [why_waiting(replace(WAITING, **changed)) for changed, _, _ in JOB_CASES]
    tasks = [why_not_running(replace(TASK, **changed)) for changed, _, _ in TASK_CASES]
    given = [reason for reason in (*peers, *jobs, *tasks) if reason is not None]

    assert {reason.code for reason in given} == {reason.value for reason in Reason}
    for reason in Reason:
        said = explain(reason, "so it is")
        for text in (said.advice, said.ends):
            assert text
            assert not text.endswith(".")
