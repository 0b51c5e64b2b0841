"""A task is computed once more: the same code, arguments and chance, here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from p2pslinger.client.job import Job
from p2pslinger.client.keeping import Keeping
from p2pslinger.client.packing import pack_source
from p2pslinger.client.starting import start_job
from p2pslinger.wire.manifest import Policy
from p2pslinger.wire.needs import NOTHING
from tests.grid import tasks
from tests.grid.place import HANGING, Peer
from tests.grid.shell import Shell
from tests.sandbox.desk import another

pytestmark = pytest.mark.usefixtures("trio")

KINDS = ["chance", "array", "fails", "dies", "pid", "reads"]


@pytest.fixture(scope="module")
def job(anna: Peer, bert: Peer, cleo: Peer) -> Iterator[Job[object]]:
    """A computed job, one task of each kind."""
    with slinger.connect(data=anna.data) as grid:
        made = grid.start(tasks.differs, KINDS)
        assert made.wait(HANGING)
        yield made


@pytest.mark.parametrize("kind", ["chance", "array", "fails", "dies"])
def test_what_depends_on_nothing_else_is_the_same_again(
    job: Job[object], kind: str
) -> None:
    replay = job.replay(KINDS.index(kind))

    assert replay.same is True
    assert replay.output == f"now {kind}\n"
    assert replay.level in {"strong", "good", "weak"}


def test_what_depends_on_the_process_differs(job: Job[object]) -> None:
    replay = job.replay(KINDS.index("pid"))

    assert replay.same is False
    assert replay.before is not None
    assert replay.before.value() != replay.value
    assert "not the same" in repr(replay)


def test_the_sandbox_is_left_out_on_demand_only(job: Job[object]) -> None:
    confined = job.replay(KINDS.index("reads"))
    home = job.replay(KINDS.index("reads"), at_home=True)

    assert (home.level, home.same) == ("own", True)
    if confined.level != "weak":
        with pytest.raises(OSError):
            confined.value  # noqa: B018 - it raises
        assert confined.same is False


def test_a_value_that_is_too_big_for_a_message_is_fetched(anna: Peer) -> None:
    with slinger.connect(data=anna.data) as grid:
        big = np.arange(200_000)
        shared = grid.share(big)
        made = grid.start(lambda x: x + shared.value, [big, big * 2])
        assert made.wait(HANGING)
        replay = made.replay(1)

    assert replay.same is True
    assert np.array_equal(np.asarray(replay.value), big * 3)


def test_whoever_finds_the_job_can_replay_it_and_trusts_nobody(
    job: Job[object], bert: Peer
) -> None:
    with bert.connect() as grid:
        found = grid.job(job.id)
        chance = found.replay(KINDS.index("chance"))
        failed = found.replay(KINDS.index("fails"))
        array = found.replay(KINDS.index("array"))
        assert not found.is_ours

    assert chance.same is True  # by its bytes: sets are decoded by name
    assert failed.same is True
    assert isinstance(array.value, np.ndarray)  # read, and not unpickled


def test_a_cancelled_job_can_be_replayed_and_has_nothing_to_compare_with(
    anna: Peer,
) -> None:
    with anna.connect() as grid:
        made = grid.start(abs, [-1, -2])
        unfinished = made.facts().computed < 2
        made.cancel()
        replay = made.replay(1)

    assert replay.value == 2
    assert replay.same in ({None, True} if unfinished else {True})


SOURCE = """
import sys

def where(x):
    print("computing", x)
    return "{}.{}".format(*sys.version_info)
"""


def started_for(grid: Grid, python: str) -> Job[object]:
    """Start a job of one task, which needs some minor version of Python."""
    major, minor = map(int, python.split("."))
    package = replace(pack_source(SOURCE, "where"), python=(major, minor))
    return start_job(
        grid._link,
        grid._session,
        package,
        ["x"],
        name="where",
        policy=Policy(durable=True),
        keeping=Keeping(0),
        needs=NOTHING,
        require=False,
    )


def test_a_task_of_another_python_is_replayed_by_that_one(
    anna: Peer, here: Shell
) -> None:
    other = another()
    if other is None:
        pytest.skip("this machine has no other Python")
    with anna.connect() as grid:
        made = started_for(grid, other.python)
        replay = made.replay(0)
        code, out, _ = here.run("replay", f"{made.id}/0", "--debug", said="p x\nc\n")
        made.cancel()

    assert (replay.value, replay.output) == (other.python, "computing x\n")
    assert replay.same is not False
    assert code == 0
    assert "(Pdb) 'x'" in out
    assert "computing x" in out


def test_a_python_that_is_not_installed_is_named(anna: Peer, here: Shell) -> None:
    with anna.connect() as grid:
        made = started_for(grid, "3.19")
        with pytest.raises(
            slinger.UnavailableError, match=r"needs Python 3\.19, which"
        ):
            made.replay(0)
        code, _, err = here.run("replay", f"{made.id}/0", "--debug")
        made.cancel()

    assert code == 1
    assert "uv python install 3.19" in err


def test_what_is_missing_is_said_in_a_sentence(job: Job[object]) -> None:
    with pytest.raises(slinger.UsageError, match="no task 6: the job has tasks 0 to 5"):
        job.replay(6)
    with pytest.raises(slinger.UsageError, match="numbered from 0"):
        job.replay(-1)


# --- typed ----------------------------------------------------------------------------


def test_replay_says_whether_it_is_the_same(here: Shell) -> None:
    id = here.submit("script.py:square", "-", said="2\n-1\n")

    code, out, _ = here.run("results", id)
    assert code == 1
    code, out, err = here.run("replay", f"{id}/0")
    assert (code, out.splitlines()[0]) == (0, "squaring 2")
    assert out.splitlines()[1].startswith("the same as before, on ")
    assert out.splitlines()[1].endswith(": 4")
    assert "task 0 of square, in a sandbox" in err
    told = json.loads(here.out("replay", f"{id[:7]}/1", "--json"))
    assert (told["same"], told["here"]["text"]) == (True, "ValueError: no -1 today")
    assert "in square" in told["here"]["traceback"]


def test_replay_explains_what_it_can_not_do(here: Shell) -> None:
    for place, said in (
        ("k3mvb2a", "names no task: write JOB/TASK"),
        ("k3mvb2a/x", "names no task: write JOB/TASK"),
        ("k3mvb2a/1", "knows no job 'k3mvb2a'"),
    ):
        code, _, err = here.run("replay", place)
        assert code in {1, 2}
        assert said in err


def test_the_debugger_stops_in_the_function_and_where_it_has_failed(
    here: Shell,
) -> None:
    id = here.submit("script.py:square", "-", said="2\n-1\n")
    here.run("results", id)

    said = "p 'x is', x\nx = 3\nc\n"
    code, out, err = here.run("replay", f"{id}/0", "--debug", said=said)
    assert "the task is not confined" in err
    assert "('x is', 2)" in out
    assert "squaring 3" in out
    assert code == 1  # it was meddled with
    code, out, err = here.run("replay", f"{id}/1", "--debug", said="c\np 'at', x\nq\n")
    assert code == 0
    assert "('at', -1)" in out
    assert "the same as before" in out


def test_a_debugger_that_was_left_has_no_result(here: Shell) -> None:
    id = here.submit("script.py:square", "-", said="2\n")
    here.run("results", id)

    code, _, err = here.run("replay", f"{id}/0", "--debug", said="q\n")
    assert code == 1
    assert "the debugger was left before the task was done" in err


def test_another_machines_code_is_not_debugged_without_a_yes(
    here: Shell, there: Shell
) -> None:
    id = here.submit("script.py:square", "-", said="2\n")
    here.run("results", id)

    code, out, err = there.run("replay", f"{id}/0", "--debug", said="n\n")
    assert code == 130
    assert "submitted on another machine" in err
    assert "squaring" not in out
