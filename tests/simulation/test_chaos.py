"""Chaos in small: a handful of seeds, which hold, and are the same every time.

`make chaos` does it at large.
"""

from __future__ import annotations

import os
import time

import pytest

from p2pslinger.testing.chaos.crew import judge_all
from p2pslinger.testing.chaos.plans import FAULTS, JOBS, PEERS, TASKS, plan
from p2pslinger.testing.chaos.trial import Verdict, judge

SEEDS = range(4)


def test_a_plan_has_the_size_that_the_proof_needs_and_follows_from_its_seed() -> None:
    for seed in range(100):
        one = plan(seed)
        assert len(one.peers) >= PEERS[0] >= 12
        assert len(one.jobs) == JOBS == 3
        assert sum(job.tasks for job in one.jobs) >= JOBS * TASKS[0] >= 200
        assert len(one.faults) >= FAULTS[0] >= 10
        assert one == plan(seed)
    assert len({plan(seed).faults for seed in range(100)}) == 100


@pytest.mark.parametrize("seed", SEEDS)
def test_what_must_hold_holds_after_all_that_a_seed_does_to_a_grid(seed: int) -> None:
    verdict = judge(seed)

    assert verdict.complaints == [], "\n".join(verdict.story)
    assert verdict.length >= 1800.0


def dies(seed: int) -> Verdict:
    os._exit(seed)


def never_ends(_: int) -> Verdict:
    while True:
        pass


def is_stuck(seed: int) -> Verdict:
    time.sleep(3600)
    return Verdict(seed)


def test_a_trial_that_dies_or_never_ends_has_failed_like_any_other() -> None:
    dead, endless, stuck = (
        next(judge_all([7], jobs=1, judge=judge, endless=0.2, stuck=stuck))
        for judge, stuck in ((dies, 60.0), (never_ends, 60.0), (is_stuck, 0.2))
    )

    assert (dead.seed, dead.complaints) == (7, ["the process of the trial has died"])
    assert endless.complaints == ["the trial does not come to its end"]
    assert stuck.complaints == ["the trial does not come to its end"]


def test_a_trial_is_the_same_in_a_process_of_its_own() -> None:
    (there,) = judge_all([SEEDS[0]], jobs=2)

    assert there == judge(SEEDS[0])
