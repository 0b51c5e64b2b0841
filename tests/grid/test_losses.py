"""Peers die or fall silent in the middle of work: nothing is lost, nothing waits."""

from __future__ import annotations

import signal
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from p2pslinger.wire.facts import ReasonFacts
from tests.grid import tasks
from tests.grid.place import HANGING, Place, until


def volunteers(place: Place) -> list[psutil.Process]:
    """Return the peers of a local grid but the program's own, in order."""
    named = {process.environ()["SLINGER_NAME"]: process for process in place.peers()}
    return [named[name] for name in sorted(named) if name != "peer 1"]


def runs_in(folder: Path) -> set[str]:
    """Return the processes that compute `tasks.runs`, by their ids."""
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("own_slots", [0, 1])
def test_a_volunteer_killed_in_the_middle_of_a_map_costs_no_result(
    place: Place, own_slots: int
) -> None:
    with slinger.local(peers=3, slots=[own_slots, 3, 3]) as grid:
        victim = volunteers(place)[0]
        results, arrivals = [], []
        for value in grid.map(tasks.nap, range(200)):
            results.append(value)
            arrivals.append(time.monotonic())
            if len(results) == 60:
                victim.kill()

        assert results == list(range(200))
        # The lost ranges, of a second's work each at most, were granted again at once:
        # they waited for what their new volunteers were computing, and no more.
        gaps = [late - early for early, late in pairwise(arrivals)]
        assert max(gaps) < 4.0
        assert grid.jobs()[0].lost
        assert len(grid.peers()) == 2
        assert sum(row.tasks for row in grid.tally()) == 200


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        pytest.param(signal.SIGKILL, 1.0, id="killed"),
        pytest.param(signal.SIGSTOP, 5.5, id="silent"),
    ],
)
def test_the_tasks_of_a_volunteer_that_is_gone_are_granted_again_in_time(
    place: Place, number: signal.Signals, seconds: float
) -> None:
    notes = place.folder / "notes"
    notes.mkdir()
    gate = place.folder / "gate"
    with slinger.local(peers=3, slots=[0, 1, 1]) as grid:
        future = grid.submit(tasks.runs, str(notes), str(gate))
        (first,) = until(lambda: runs_in(notes))
        victim = peer_of(place, int(first))
        victim.send_signal(number)
        lost = time.monotonic()
        until(lambda: len(runs_in(notes)) == 2)
        assert time.monotonic() - lost < seconds

        gate.touch()
        assert future.result(HANGING) == str(gate)
        if number == signal.SIGSTOP:
            victim.send_signal(signal.SIGCONT)
        assert list(grid.map(tasks.square, range(20))) == [i * i for i in range(20)]


def peer_of(place: Place, slot: int) -> psutil.Process:
    """Return the peer whose slot has the process id `slot`."""
    ancestors = psutil.Process(slot).parents()
    return next(peer for peer in place.peers() if peer in ancestors)


def test_all_volunteers_may_go_as_long_as_one_comes_back(place: Place) -> None:
    first = place.peer("first", "--slots", "0", SLINGER_AUTHKEY=place.key)
    second = place.volunteer("second", first)
    with first.connect() as grid:
        results = grid.map(tasks.nap, range(40))
        assert next(results) == 0
        second.kill()
        assert waiting(grid).code == "no-volunteer"

        place.volunteer("third", first)
        assert list(results) == list(range(1, 40))
        assert len({row.peer for row in grid.tally()}) == 2


def test_a_job_without_a_free_slot_says_why_and_runs_when_one_comes(
    place: Place,
) -> None:
    first = place.peer("first", "--slots", "0", SLINGER_AUTHKEY=place.key)
    with first.connect() as grid:
        future = grid.submit(tasks.square, 5)
        reason = waiting(grid)
        assert reason.code == "no-volunteer"
        assert "slinger up --slots N" in reason.advice
        idle = grid.status().idle_because
        assert idle is not None
        assert idle.code == "no-slots"

        strict = {"SLINGER_REQUIRE": "strong", "PATH": "/nowhere"}  # no bubblewrap
        place.volunteer("unwilling", first, trusting=False, **strict)
        assert waiting(grid).code == "no-volunteer"
        assert not future.done()
        place.volunteer("willing", first)
        assert future.result(HANGING) == 25
        (row,) = grid.tally()
        assert row.name == "willing"


def waiting(grid: Grid) -> ReasonFacts:
    """Return why the only job does not run, once it does not."""
    reason = until(lambda: grid.jobs()[0].waiting)
    assert reason is not None
    return reason


def test_a_peer_that_leaves_politely_gives_its_work_back(place: Place) -> None:
    first = place.peer("first", "--slots", "1", SLINGER_AUTHKEY=place.key)
    second = place.volunteer("second", first)
    with first.connect() as grid:
        results = grid.map(tasks.nap, range(40))
        assert next(results) == 0
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(HANGING) == 0

        assert list(results) == list(range(1, 40))
        assert len(grid.peers()) == 1
