"""Every wait has one reason, and its sentence reads well for one and for many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.reasons import Reason, explain
from p2pslinger.rules.whyjob import JobSituation, Prospect, excluded_by, why_waiting
from p2pslinger.rules.whypeer import why_idle
from p2pslinger.rules.whytask import why_not_running
from p2pslinger.wire.facts import ExcludedFacts
from p2pslinger.wire.needs import NOTHING, Needs, Offer, Offered
from tests.rules.test_whypeer import FEW, IDLE, PEER_CASES, facts
from tests.rules.test_whytask import TASK, TASK_CASES

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
    suspended=0,
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
        {"needs": Needs(memory=1 << 41)},
        Reason.NO_MEMORY,
        "it needs 2 TiB of memory for a slot, and the 1 peer that offers slots does "
        "not have it",
    ),
    (
        {"needs": Needs(sandbox=True)},
        Reason.NO_SANDBOX,
        "it needs a good sandbox, and the 1 peer that offers slots does not have it",
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
    (
        {"running": 2, "suspended": 2},
        Reason.SUSPENDED,
        "the slots that have its tasks stand still",
    ),
    ({}, Reason.STARTING, "a peer is about to take its tasks"),
]


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
    assert why_waiting(replace(WAITING, **(changed | {"running": 3}))) is None


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
        suspended=FEW,
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
    waits = (
        now.running
        or now.open
        or now.left
        or now.paused
        or now.learning
        or not now.sealed
    )
    if now.running > now.suspended:
        assert reason is None
    elif waits or now.running or not now.here:
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
    assert excluded_by(None, Needs(memory=1 << 40), (FITS, FITS)) == (
        ExcludedFacts(2, "no-memory", "give less memory"),
    )
    assert excluded_by(None, Needs(sandbox=True), (FITS,)) == (
        ExcludedFacts(1, "no-sandbox", "can't confine tasks well enough"),
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
