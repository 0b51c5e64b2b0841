"""Many trials on several cores: each seed in a process of its own.

So a trial is the same whatever ran before it, and one that never ends or dies with its
process is a failure like any other.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext

from p2pslinger.testing.chaos.trial import Verdict, judge

#: Processor seconds after which a trial is taken to be endless: it needs about three,
#: and thirty where the grid does not settle. How busy the machine is does not matter.
ENDLESS = 240.0

#: Wall-clock seconds likewise, for a trial that waits in real time, which none should,
#: and where the system does not count processor time.
STUCK = 3600.0

#: Seconds between two looks at whether one is.
LOOK = 1.0

#: What is wrong with a trial that takes too long.
NO_END = "the trial does not come to its end"

Judge = Callable[[int], Verdict]


@dataclass(frozen=True, slots=True)
class _Running:
    seed: int
    process: multiprocessing.process.BaseProcess
    until: float


def judge_all(
    seeds: Iterable[int],
    *,
    jobs: int,
    judge: Judge = judge,
    endless: float = ENDLESS,
    stuck: float = STUCK,
) -> Iterator[Verdict]:
    """Yield a verdict for each seed, as they come.

    Args:
        seeds: The trials.
        jobs: How many processes at once.
        judge: Carries out one.
        endless: Processor seconds that one may take.
        stuck: Wall-clock seconds that one may take.
    """
    context = _context()
    gc.freeze()  # what is loaded stays shared
    waiting, running = iter(seeds), dict[Connection, _Running]()
    try:
        while True:
            while len(running) < jobs:
                seed = next(waiting, None)
                if seed is None:
                    break
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=_answer, args=(judge, seed, theirs, endless)
                )
                process.start()
                theirs.close()
                running[ours] = _Running(seed, process, time.monotonic() + stuck)
            if not running:
                return
            yield from _finished(running)
    finally:
        for one in running.values():
            one.process.kill()
            one.process.join()


def _context() -> ForkContext | SpawnContext:
    """Return how processes begin: as copies of this one, where that is possible."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("fork")


def _answer(judge: Judge, seed: int, answer: Connection, endless: float) -> None:
    """Judge one seed; runs in the process made for it, and ends with it if endless."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, endless)
    answer.send(judge(seed))
    answer.close()


def _finished(running: dict[Connection, _Running]) -> Iterator[Verdict]:
    """Yield the verdicts that are there, and those of trials that will never end."""
    for pipe in wait(list(running), timeout=LOOK):
        assert isinstance(pipe, Connection)
        one = running.pop(pipe)
        try:
            verdict = pipe.recv()
            one.process.join()
        except EOFError:
            one.process.join()
            verdict = Verdict(one.seed, [_how_it_died(one.process.exitcode)])
        yield verdict
    for pipe, one in list(running.items()):
        if time.monotonic() > one.until:
            del running[pipe]
            one.process.kill()
            one.process.join()
            yield Verdict(one.seed, [NO_END])


def _how_it_died(exitcode: int | None) -> str:
    if sys.platform != "win32" and exitcode == -signal.SIGPROF:  # the timer's
        return NO_END
    return "the process of the trial has died"
