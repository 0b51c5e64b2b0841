"""The command line of chaos: many seeds, or one with its story."""

from __future__ import annotations

import argparse
import os
import sys
import time

from p2pslinger.testing.chaos.crew import judge_all
from p2pslinger.testing.chaos.trial import Verdict, judge
from p2pslinger.testing.hashseed import ensure_hash_seed

#: Seeds between two lines that say how far we are.
STEP = 50

#: Failed trials whose whole story is told; of others, what is wrong.
TOLD = 3


def main() -> None:
    """Run trials; the exit code is 1 if one of them failed."""
    ensure_hash_seed()
    parser = argparse.ArgumentParser(prog="python -m p2pslinger.testing.chaos")
    parser.add_argument(
        "--seed", type=int, help="carry out this one and tell its story"
    )
    parser.add_argument("--seeds", type=int, default=50, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.seed is not None:
        sys.exit(_tell(judge(options.seed)))
    seeds = range(options.first, options.first + options.seeds)
    sys.exit(_run(seeds, options.jobs))


def _run(seeds: range, jobs: int) -> int:
    began, failed = time.monotonic(), list[int]()
    for done, verdict in enumerate(judge_all(seeds, jobs=jobs), 1):
        if verdict.complaints:
            failed.append(verdict.seed)
            _complain(verdict, whole=len(failed) <= TOLD)
        if done % STEP == 0 or done == len(seeds):
            spent = time.monotonic() - began
            print(
                f"chaos: {done} of {len(seeds)} seeds in {spent:.0f} s"
                f" ({_processor_minutes():.1f} minutes of processors),"
                f" {len(failed)} failed",
                flush=True,
            )
    if failed:
        print("chaos: FAILED with the seeds", *sorted(failed))
    return int(bool(failed))


def _processor_minutes() -> float:
    """Return the processor time that all trials so far have taken."""
    spent = os.times()
    return (spent.children_user + spent.children_system) / 60


def _tell(verdict: Verdict) -> int:
    print(*verdict.story, sep="\n")
    print(
        f"seed {verdict.seed}: {verdict.faults} faults, {verdict.tasks} tasks,"
        f" {verdict.length:.0f} s, trace {verdict.trace}"
    )
    for complaint in verdict.complaints:
        print(f"WRONG: {complaint}")
    return int(bool(verdict.complaints))


def _complain(verdict: Verdict, *, whole: bool) -> None:
    print(f"seed {verdict.seed} FAILED")
    if whole:
        print(*verdict.story, sep="\n")
    for complaint in verdict.complaints:
        print(f"WRONG: {complaint}")
    command = f"python -m p2pslinger.testing.chaos --seed {verdict.seed}"
    print(f"to have it again: {command}", flush=True)


if __name__ == "__main__":
    main()
