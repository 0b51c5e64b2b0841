"""What a running task says is seen before it is done: by programs, by `slinger job`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2pslinger.client.calls import GridFuture
from p2pslinger.client.grid import Grid
from p2pslinger.client.job import Job
from tests.grid import tasks
from tests.grid.place import HANGING, Peer, line, output, until
from tests.grid.shell import Shell


@pytest.fixture
def later(gate: Path) -> Path:
    """A second file that tasks wait for; it is there when the first one is."""
    return gate.with_suffix(".later")


def test_a_future_knows_how_far_its_call_is(
    grid: Grid, gate: Path, later: Path
) -> None:
    future = grid.submit(tasks.says_and_waits, str(later), str(gate))
    assert isinstance(future, GridFuture)

    until(lambda: future.progress == 0.5)
    later.touch()
    until(lambda: future.progress == 0.75)
    (facts,) = [one for one in grid.jobs() if one.under_way]
    (running,) = facts.under_way
    assert (running.task, running.share) == (0, 0.75)
    assert running.line == "task 0: more"
    gate.touch()
    assert future.result(HANGING) == (0, facts.job)
    assert not any(one.under_way for one in grid.jobs())


@pytest.fixture
def job(anna: Peer, trio: object, gate: Path, later: Path) -> Job[object]:
    """A started job of one task, which another machine computes."""
    with anna.connect() as grid:
        return grid.start(tasks.says_and_waits, [(str(later), str(gate))])


def test_a_started_jobs_progress_counts_what_its_tasks_say(
    job: Job[object], trio: tuple[Peer, Peer, Peer], gate: Path, later: Path
) -> None:
    first, second, third = trio
    with first.connect() as grid, second.connect() as one, third.connect() as other:
        found = [each.job(job.id) for each in (grid, one, other)]
        for each in found:  # whichever of them has granted it
            until(lambda each=each: each.progress.within == {0: 0.5})  # type: ignore[misc]
            assert each.progress.fraction == 0.5
        later.touch()
        gate.touch()
        for each in found:
            assert each.wait(HANGING)
            assert (each.progress.within, each.progress.fraction) == ({}, 1.0)


def test_the_command_shows_it_live_and_nothing_twice(
    job: Job[object], here: Shell, gate: Path, later: Path
) -> None:
    follower = here.start("job", job.id, "--follow")
    said: list[str] = []
    for awaited in ("half of it", "task 0 at 50.0 %"):  # in either order
        while not any(awaited in one for one in said):
            said.append(line(follower))
    told = json.loads(here.out("job", job.id, "--json"))
    assert [one["share"] for one in told["under_way"]] == [0.5], told["under_way"]
    shown = here.out("job", job.id)
    assert "50.0 %" in shown
    assert "task 0: half of it" in shown
    later.touch()
    gate.touch()
    said += output(follower).splitlines()
    for text in ("half of it", "more"):
        lines = [one for one in said if text in one]
        assert len(lines) == len(set(lines)) > 0  # of each peer that computes it
