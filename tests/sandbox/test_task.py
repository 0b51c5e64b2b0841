"""What a task can say and ask while it runs, and what its daemon sees of it."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2pslinger
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.frames import AT, CELLS_BYTES, IDLE, PROGRESS, PROGRESS_OF
from p2pslinger.sandbox.output import FRESH, LINE, Output
from p2pslinger.sandbox.packed import CALLS
from p2pslinger.sandbox.slot import Failure, Glimpse
from p2pslinger.sandbox.task import Lent, Task, share_of
from tests.sandbox.desk import (
    Desk,
    Worker,
    at_a_desk,
    decoded,
    packaged,
    until,
    with_a_worker,
)


@pytest.fixture
def said() -> list[str]:
    """What a slot's task has said."""
    return []


@pytest.fixture
def cells() -> memoryview:
    """A slot's shared memory, at task 7."""
    cells = memoryview(bytearray(CELLS_BYTES)).cast("B").cast("Q")
    cells[AT] = 7
    return cells


@pytest.fixture
def lent(cells: memoryview, said: list[str], tmp_path: Path) -> Iterator[Task]:
    """A task in a slot."""
    one = Task()
    one.enter(Lent(cells, said.append, str(tmp_path)))
    one.begin("k3mv-job")
    yield one
    one.clear()


def test_it_knows_which_it_is(lent: Task, cells: memoryview) -> None:
    assert (lent.index, lent.job) == (7, "k3mv-job")
    cells[AT] = IDLE
    assert (lent.index, lent.job) == (None, None)


def test_progress_is_a_share_or_a_part_of_a_total(
    lent: Task, cells: memoryview
) -> None:
    for given, share in (((0.25,), 0.25), ((3, 4), 0.75), ((0, 0), 1.0), ((5, 5), 1.0)):
        lent.progress(*given)
        assert (cells[PROGRESS_OF], share_of(cells[PROGRESS])) == (7, share)


@pytest.mark.parametrize("given", [(-1,), (2,), (5, 4), (math.nan,), (1, -2)])
def test_what_is_no_share_is_refused_in_a_sentence(
    lent: Task, given: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="give a share of 0 to 1"):
        lent.progress(*given)


def test_another_jobs_task_of_that_number_has_not_said_anything(
    lent: Task, cells: memoryview
) -> None:
    lent.progress(0.5)
    lent.begin("other")

    assert cells[PROGRESS_OF] != 7


def test_a_log_line_says_which_task_it_is_of(lent: Task, said: list[str]) -> None:
    lent.log("epoch", 3)

    assert said == ["task 7: epoch 3\n"]


def test_scratch_is_another_folder_for_each_task(lent: Task, cells: memoryview) -> None:
    first = lent.scratch
    (first / "file").write_text("x")
    assert lent.scratch == first
    cells[AT] = 8
    second = lent.scratch
    assert second != first
    assert (first.exists(), list(second.iterdir())) == (False, [])
    lent.clear()
    assert not second.exists()


def test_outside_of_a_slot_it_does_what_it_can(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = Task()
    one.progress(0.5)
    one.log("by", "hand")
    (one.scratch / "file").write_text("x")
    folder = one.scratch
    one.clear()

    assert (one.index, one.job) == (None, None)
    assert capsys.readouterr().err == "by hand\n"
    assert not folder.exists()


def test_it_is_the_same_one_wherever_it_is_sent() -> None:
    assert pickle.loads(pickle.dumps(p2pslinger.task)) is p2pslinger.task


def test_bits_that_are_no_share_are_none() -> None:
    assert share_of(2**64 - 1) is None
    assert share_of(0x4000_0000_0000_0000) is None  # 2.0


# --- in a real slot -------------------------------------------------------------------


def tells(kind: str) -> object:
    from p2pslinger import task

    if kind == "who":
        return task.index, task.job
    if kind == "writes":
        (task.scratch / "file").write_text("x")
        return str(task.scratch), [one.name for one in task.scratch.parent.iterdir()]
    return None


def waits(file: str) -> int:
    from p2pslinger import task

    print("begun")
    task.progress(1, 4)
    task.log("first")
    while not Path(file).exists():
        time.sleep(0.001)
    task.progress(3, 4)
    task.log("second")
    while Path(file).exists():
        time.sleep(0.001)
    return 1


def test_a_slots_task_knows_itself_and_has_its_folder() -> None:
    folders = []

    async def scenario(worker: Worker) -> None:
        code = packaged(tells)
        calls: list[object] = [
            ((kind,), {}) for kind in ("who", "writes", "writes", "writes")
        ]
        job = worker.load(code, calls, form=CALLS)
        worker.order(job, 0, 4, start=10)
        who, first, second, third = decoded(await worker.outcome())
        assert who == (10, None)  # the desk gives its jobs no names
        for value in (first, second, third):
            assert isinstance(value, tuple)
            folders.append(value[0])
            assert len(value[1]) == 1  # the one before is gone

    with_a_worker(scenario)
    assert len(set(folders)) == 3
    assert not any(Path(one).exists() for one in folders)


def test_a_confined_task_has_a_folder_or_is_told_why_not() -> None:
    async def scenario(desk: Desk) -> None:
        worker = await desk.worker(confinement=Confinement.GOOD)
        failure = await worker.call(tells, "writes")
        assert isinstance(failure, Failure)
        assert "this slot has no folder to write to (sandbox level good)" in (
            failure.message
        )

    at_a_desk(scenario)


def test_the_daemon_sees_how_a_task_goes_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(worker: Worker) -> None:
        seen: list[Glimpse] = []

        def look() -> bool:
            glimpse = worker.slot.glimpse()
            seen.extend([glimpse] if glimpse else [])
            return bool(seen) and b"second" in seen[-1].text

        job = worker.load(packaged(waits), [((str(gate),), {})], form=CALLS)
        worker.order(job, 0, 1, start=5)
        await until(lambda: look() or any(b"first" in one.text for one in seen))
        again = worker.slot.glimpse()  # how far it is, and nothing new
        assert again is not None
        assert (again.share, again.text) == (0.25, b"")
        gate.touch()
        await until(look)
        gate.unlink()
        outcome = await worker.outcome()
        assert {one.index for one in seen} == {5}
        assert seen[-1].share == 0.75
        assert b"".join(one.text for one in seen) == outcome.output
        assert outcome.output == b"begun\ntask 5: first\ntask 5: second\n"
        offset = 0
        for one in seen:
            assert one.offset == offset
            offset += len(one.text)
        assert worker.slot.glimpse() is None

    with_a_worker(scenario)


# --- the end of what is new -----------------------------------------------------------


def test_fresh_output_comes_in_whole_lines_and_is_bounded() -> None:
    output = Output(b"mark")
    output.feed(b"one\ntw", 1)
    assert output.fresh() == (0, b"one\n")
    assert output.fresh() == (4, b"")
    output.feed(b"o\n", 1)
    assert output.fresh() == (4, b"two\n")
    output.feed(b"x" * (LINE + 1), 1)
    assert output.fresh() == (8, b"x" * (LINE + 1))
    output.feed(b"y" * 10_000 + b"\n", 1)
    offset, text = output.fresh()
    assert (len(text), offset + len(text)) == (FRESH, 8 + LINE + 1 + 10_001)
    output.feed(b"z" * 200_000 + b"\n", 1)
    offset, text = output.fresh()
    assert (len(text), offset + len(text)) == (FRESH, 8 + LINE + 1 + 10_001 + 200_001)


def test_what_is_new_begins_anew_with_each_run() -> None:
    output = Output(b"mark")
    output.feed(b"one\n", 1)
    output.fresh()
    output.feed(b"markof the next\n", 1)

    assert output.take() == b"one\n"
    assert output.fresh() == (0, b"of the next\n")
