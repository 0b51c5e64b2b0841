"""A started job outlives its program and its peer, and is found anywhere."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from p2pslinger.client.job import Job
from tests.grid import tasks
from tests.grid.place import HANGING, Peer, Place, until
from tests.grid.shell import SCRIPT, Shell, squares

pytestmark = pytest.mark.usefixtures("trio")


def test_a_started_job_is_kept_by_others_and_found_there(
    anna: Peer, bert: Peer
) -> None:
    with anna.connect() as grid, bert.connect() as other:
        job = grid.start(tasks.square, range(50), keep=timedelta(hours=1), priority=3)
        assert job.kept == (2, 2)
        assert job.why_not_kept == ""

        found = other.job(job.id)
        until(lambda: found.kept == (2, 2))  # when bert has heard of cleo
        assert list(found.results(timeout=HANGING)) == [x * x for x in range(50)]
        assert list(job.results(timeout=HANGING)) == [x * x for x in range(50)]
        mine, theirs = job.facts(), found.facts()
        assert (mine.owner, theirs.owner) == (True, False)
        assert (mine.priority, theirs.priority) == (3, 3)
        assert mine.keep_until == theirs.keep_until
        assert {one.name for one in mine.keepers} == {"data", "bert", "cleo"}


def test_more_keepers_than_there_are_is_a_warning_or_an_error(anna: Peer) -> None:
    def start_strictly() -> None:
        grid.start(tasks.square, [1], keepers=4, require_keepers=True, name="five")

    with anna.connect() as grid, ThreadPoolExecutor(1) as thread:
        strict = thread.submit(start_strictly)  # meanwhile: both take a while
        with pytest.warns(UserWarning, match="only 2 other peers"):
            job = grid.start(tasks.square, range(5), keepers=3)
        assert job.kept == (2, 3)
        job.forget()

        with pytest.raises(slinger.UnavailableError, match="not started: only 2 other"):
            strict.result(HANGING)
        until(lambda: state_of(grid, "five") == "cancelled")


def state_of(grid: Grid, name: str) -> str:
    return next(one.state for one in grid.jobs() if one.name == name)


def test_an_owners_ticket_lets_another_machine_decide(
    anna: Peer, bert: Peer, gate: Path
) -> None:
    with anna.connect() as grid, bert.connect() as other:
        job = grid.start(tasks.waits_for, [str(gate)] * 4)
        found = other.use_ticket(job.ticket())
        with pytest.raises(slinger.UsageError, match="does not own that job"):
            found.cancel()
        with pytest.raises(slinger.UsageError, match="has no key of it"):
            found.ticket(owner=True)

        owned: Job[object] = other.use_ticket(job.ticket(owner=True))
        assert owned.id == job.id
        owned.pause()
        until(lambda: job.facts().state == "paused")
        owned.cancel()
        with pytest.raises(slinger.UnavailableError, match="was cancelled"):
            job.wait(HANGING)


def test_cancelling_ends_running_tasks_of_other_machines_within_a_second(
    anna: Peer, bert: Peer, cleo: Peer, module_place: Place
) -> None:
    files = [module_place.folder / f"runs {i}" for i in range(2)]
    with anna.connect() as grid, bert.connect() as one, cleo.connect() as other:
        job = grid.start(tasks.touches_and_waits, [str(file) for file in files])
        until(lambda: all(file.exists() for file in files))
        job.cancel()
        until(lambda: not one.status().busy and not other.status().busy, 1.0)


def test_a_job_is_paused_resumed_and_extended(anna: Peer, gate: Path) -> None:
    with anna.connect() as grid:
        job = grid.start(tasks.waits_for, [str(gate)] * 40)
        until(lambda: job.facts().running)
        job.pause()
        assert job.facts().state == "paused"
        gate.touch()
        until(lambda: job.progress.done)
        assert not job.wait(0.5)  # what was not granted waits
        before = job.facts().keep_until
        job.extend(timedelta(days=30))
        assert job.facts().keep_until > before + 20 * 86400
        job.resume()
        assert job.wait(HANGING)


def test_a_job_outlives_its_submitters_peer(place: Place) -> None:
    (place.folder / "script.py").write_text(SCRIPT)
    anna = place.peer("data", "--slots", "0", SLINGER_AUTHKEY=place.key)
    bert = place.volunteer("bert", anna)
    cleo = place.volunteer("cleo", anna)
    with cleo.connect() as grid:
        until(lambda: len(grid.peers()) == 3)
    here, there = Shell(place, anna), Shell(place, cleo)
    gate = place.folder / "gate"
    job = here.submit("script.py:wait_for", "-", said=f"{json.dumps(str(gate))}\n" * 3)
    anna.kill()
    gate.touch()

    assert squares(there, job) == [str(gate)] * 3
    assert squares(Shell(place, bert), job) == [str(gate)] * 3
    again = place.peer(
        "data", "--slots", "0", "--bootstrap", bert.address, SLINGER_AUTHKEY=place.key
    )
    assert squares(Shell(place, again), job) == [str(gate)] * 3
