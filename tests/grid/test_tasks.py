"""Tasks that misbehave: each fails alone, says how, and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid import tasks
from tests.grid.place import HANGING, Place, until, within


@pytest.fixture(autouse=True)
def the_grid_goes_on(grid: Grid) -> Iterator[None]:
    """Whatever a task did, all slots compute the next ones."""
    yield
    assert list(grid.map(tasks.square, range(30))) == [i * i for i in range(30)]


def test_an_exception_keeps_its_type_and_tells_where_it_was_raised(grid: Grid) -> None:
    with pytest.raises(ValueError, match="no 3 today") as caught:
        grid.submit(tasks.raises, 3).result(HANGING)

    told = str(caught.value.__cause__)
    assert "tasks.py" in told
    assert "in raises" in told
    assert "called with 3" in told
    assert "on peer " in told


def test_a_map_raises_at_its_turn_what_a_task_has_raised(grid: Grid) -> None:
    results = grid.map(lambda x: 10 // x, [5, 2, 0, 1])

    assert [next(results), next(results)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_task_that_never_ends_is_ended_when_its_time_is_up(grid: Grid) -> None:
    hurried = grid.options(timeout=0.3)
    with within(10.0), pytest.raises(slinger.TaskTimeoutError) as caught:
        hurried.submit(tasks.endless, 0).result(HANGING)

    assert "time-out of 0.3 s" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    assert list(hurried.map(tasks.square, range(5))) == [0, 1, 4, 9, 16]


def test_a_job_can_have_a_time_out_too(grid: Grid) -> None:
    job = grid.start(tasks.endless, [1], timeout=0.2)

    assert isinstance(next(job.results(errors="return")), slinger.TaskTimeoutError)


def test_a_task_that_calls_exit_fails_and_does_not_end_the_program(grid: Grid) -> None:
    with pytest.raises(slinger.RemoteError) as caught:
        grid.submit(tasks.exits, 3).result(HANGING)

    assert caught.value.type == "SystemExit"
    assert "exited with 3" in str(caught.value)


def test_a_task_that_leaves_is_tried_three_times(grid: Grid) -> None:
    with pytest.raises(slinger.TaskKilledError) as caught:
        grid.submit(tasks.exits_at_once, 4).result(HANGING)

    assert "exited with code 4" in str(caught.value)
    assert "tried 3 times" in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_task_that_is_killed_says_by_which_signal(
    grid: Grid, number: signal.Signals
) -> None:
    with pytest.raises(slinger.TaskKilledError) as caught:
        grid.submit(tasks.kills_itself, int(number)).result(HANGING)

    assert number.name in str(caught.value)
    assert "peak memory" in str(caught.value)
    assert "tried 3 times" in str(caught.value)


def test_the_neighbours_of_a_task_that_dies_are_not_affected(grid: Grid) -> None:
    job = grid.start(tasks.dies_at_25, range(200))
    results = list(job.results(errors="return"))

    assert isinstance(results.pop(25), slinger.TaskKilledError)
    assert results == [i for i in range(200) if i != 25]
    assert job.facts().lost == 3
    assert job.facts().failed == 1


def test_megabytes_of_output_disturb_nobody(grid: Grid) -> None:
    assert list(grid.map(tasks.prints, [5 << 20] * 4)) == [5 << 20] * 4


def test_a_process_that_a_task_leaves_behind_dies_with_its_slot(
    module_place: Place,
) -> None:
    with slinger.local(peers=1) as grid:
        pid = grid.submit(tasks.daemonises, 0).result(HANGING)
        assert psutil.pid_exists(pid)
    until(lambda: not psutil.pid_exists(pid))


def test_a_task_that_forks_has_one_result(grid: Grid) -> None:
    assert list(grid.map(tasks.forks, range(10))) == list(range(10))


def test_a_task_that_eats_more_memory_than_allowed_fails(module_place: Place) -> None:
    share = 400 * (1 << 20) / psutil.virtual_memory().total
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLINGER_MEMORY_SHARE", f"{share:.6f}")
        with slinger.local(peers=1) as grid:
            with pytest.raises((MemoryError, slinger.TaskKilledError)):
                grid.submit(tasks.eats, 2 << 30).result(HANGING)
            assert grid.submit(tasks.eats, 8 << 20).result(HANGING) == 8


def test_a_result_that_cannot_be_pickled_says_which_type_it_is(grid: Grid) -> None:
    def lock() -> object:
        import threading

        return threading.Lock()

    with pytest.raises(slinger.TaskError) as caught:
        grid.submit(lock).result(HANGING)
    assert "the result, of type _thread.lock, can't be sent back" in str(caught.value)


def test_a_result_that_is_too_large_says_how_large_it_is(grid: Grid) -> None:
    with pytest.raises(slinger.TaskError, match="the result is too large") as caught:
        grid.submit(bytes, 300 << 20).result(HANGING)
    assert "write it to a file" in str(caught.value)


def test_slots_are_gone_soon_after_their_zygote_is_killed(module_place: Place) -> None:
    with slinger.local(peers=1) as grid:
        pid = grid.submit(zygote).result(HANGING)
        psutil.Process(pid).kill()
        assert list(grid.map(tasks.square, range(20))) == [i * i for i in range(20)]


def zygote() -> int:
    """Return the process id of this slot's zygote."""
    import os

    return os.getppid()


def test_a_task_can_start_programs(grid: Grid) -> None:
    def ask(text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"print({text!r})"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert grid.submit(ask, "hello").result(HANGING) == "hello"
