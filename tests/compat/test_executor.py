"""What an executor promises, asked of a grid in the grid's own words."""

from __future__ import annotations

import operator
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, as_completed, wait
from contextlib import suppress
from itertools import count

import pytest

import p2pslinger as slinger
from p2pslinger.client.feeding import BEGIN, FAR, LOT
from p2pslinger.client.grid import Grid
from p2pslinger.client.values import RemoteTraceback
from tests.compat import tasks
from tests.grid.place import HANGING, Peer, Place, within

# --- map: as in Python 3.14 -----------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 3, 7, 50, 1000])
def test_a_map_looks_ahead_as_far_as_it_may(grid: Grid, most: int) -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    results = grid.map(operator.neg, numbers(), buffersize=most)
    assert len(read) == most
    for yielded in range(100):
        assert next(results) == -yielded
        assert len(read) - (yielded + 1) <= most


def test_a_generator_is_not_listed_first(grid: Grid) -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for number in range(4 * FAR.most):
            read += 1
            yield number

    results = grid.map(operator.neg, numbers())
    assert read == BEGIN
    most = 0
    for yielded, value in enumerate(results, 1):
        assert value == 1 - yielded
        most = max(most, read - yielded)
    assert read == 4 * FAR.most
    assert most <= FAR.most


def test_of_large_arguments_fewer_are_read_ahead(grid: Grid) -> None:
    blocks_ahead = (FAR.size or 0) >> 22
    read = 0

    def blocks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(3 * blocks_ahead):
            read += 1
            yield bytes(1 << 22)

    results = grid.map(len, blocks())
    assert read <= blocks_ahead + LOT
    assert set(results) == {1 << 22}
    assert read == 3 * blocks_ahead


def test_of_large_results_fewer_are_waiting_to_be_read(grid: Grid) -> None:
    read = 0

    def sizes() -> Iterator[int]:
        nonlocal read
        for _ in range(1 << 16):
            read += 1
            yield 1 << 20

    results = grid.map(bytes, sizes())
    for yielded in range(1100):
        assert len(next(results)) == 1 << 20
        assert read - yielded <= BEGIN + LOT
    assert read - yielded <= ((FAR.size or 0) >> 20) + LOT
    results.close()  # type: ignore[attr-defined]


def test_a_map_that_looks_ahead_gives_everything_in_order(grid: Grid) -> None:
    for length in (0, 1, 5, 6, 7, 500):
        results = grid.map(operator.neg, range(length), buffersize=6)
        assert list(results) == [-x for x in range(length)]
    assert list(grid.map(pow, [2, 3, 4], count(2), buffersize=2)) == [4, 27, 256]
    assert list(grid.map(str, buffersize=2)) == []


def test_a_map_that_looks_ahead_can_be_the_argument_of_another(grid: Grid) -> None:
    inner = grid.map(operator.neg, count(), buffersize=20)
    outer = grid.map(abs, inner, buffersize=3)

    assert [next(outer) for _ in range(200)] == list(range(200))


def test_a_look_ahead_is_a_whole_number_of_at_least_one(grid: Grid) -> None:
    with pytest.raises(ValueError, match="buffersize must be None or > 0"):
        grid.map(str, [1], buffersize=0)
    with pytest.raises(TypeError, match="buffersize must be an integer or None"):
        grid.map(str, [1], buffersize="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunksize"):
        grid.map(str, [1], chunksize=0)


def test_what_goes_wrong_in_the_middle_of_a_map_ends_it_there(grid: Grid) -> None:
    def numbers() -> Iterator[int]:
        yield from range(10)
        raise LookupError("no more")

    results = grid.map(operator.neg, numbers(), buffersize=4)
    with pytest.raises(LookupError, match="no more"):
        list(results)
    failing = grid.map(tasks.inverse, [1, 2, 0, 4], buffersize=2)
    assert [next(failing), next(failing)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(failing)
    late = grid.map(tasks.nap, [0, 60], buffersize=1, timeout=2)
    assert next(late) == 0
    with pytest.raises(TimeoutError):
        next(late)


def test_a_map_that_nobody_reads_on_frees_its_slots(grid: Grid) -> None:
    results = grid.map(tasks.nap, [0, *[600] * 20], buffersize=10)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator

    assert grid.submit(abs, -1).result(HANGING) == 1


# --- futures --------------------------------------------------------------------------


def test_a_tasks_exception_brings_the_traceback_from_there(grid: Grid) -> None:
    with pytest.raises(RuntimeError) as caught:
        grid.submit(tasks.fail, 123).result(HANGING)

    assert caught.value.args == (123,)
    assert type(caught.value.__cause__) is RemoteTraceback
    shown = "".join(traceback.format_exception(caught.value))
    assert "raise RuntimeError(number)  # some comment" in shown


def test_callbacks_are_told_of_results_failures_and_cancellations(grid: Grid) -> None:
    told: dict[str, object] = {}
    all_told = threading.Event()

    def tell(name: str, outcome: object) -> None:
        told[name] = outcome
        if len(told) == 3:
            all_told.set()

    slow = grid.submit(tasks.nap, 600)
    slow.add_done_callback(lambda f: tell("slow", f.cancelled()))
    grid.submit(abs, -1).add_done_callback(lambda f: tell("abs", f.result()))
    failing = grid.submit(tasks.fail, 1)
    failing.add_done_callback(lambda f: tell("fail", type(f.exception())))
    assert slow.cancel()

    assert all_told.wait(HANGING)
    assert told == {"slow": True, "abs": 1, "fail": RuntimeError}
    assert set(as_completed([slow, slow], HANGING)) == {slow}


def test_shutting_down_with_cancel_futures_ends_what_is_running(peer: Peer) -> None:
    grid = peer.connect()
    quick = grid.submit(abs, -1)
    assert quick.result(HANGING) == 1
    slow = [grid.submit(tasks.nap, 600) for _ in range(20)]
    with within(10):
        grid.shutdown(cancel_futures=True)

    assert wait(slow, HANGING).done == set(slow)
    assert all(one.cancelled() for one in slow)
    with pytest.raises(CancelledError):
        slow[0].result()
    assert quick.result() == 1


def test_a_grid_that_was_shut_down_says_so_as_every_executor_does(peer: Peer) -> None:
    grid = peer.connect()
    grid.shutdown()
    grid.shutdown()

    for ask in (lambda: grid.submit(abs, 1), lambda: grid.map(abs, [1])):
        with pytest.raises(RuntimeError, match="has been shut down") as caught:
            ask()
        assert isinstance(caught.value, slinger.UsageError)


# --- the end of a program -------------------------------------------------------------


def test_a_program_that_is_ending_can_submit_nothing(place: Place, peer: Peer) -> None:
    said = place.run(
        """
import atexit

def last():
    try:
        grid.submit(abs, -2)
    except RuntimeError as error:
        print(error)

atexit.register(last)
import p2pslinger as slinger
grid = slinger.connect()
print(grid.submit(abs, -1).result())
""",
        SLINGER_DATA=str(peer.data),
    )

    assert said == "1\nthe grid has been shut down: connect again\n"


def test_a_program_waits_at_its_end_for_a_grid_that_was_shut_down(
    place: Place, peer: Peer
) -> None:
    said = place.run(
        """
import time
import p2pslinger as slinger

def slow(x):
    time.sleep(1)
    return x

grid = slinger.connect()
grid.submit(slow, "apple").add_done_callback(lambda future: print(future.result()))
grid.shutdown(wait=False)
""",
        SLINGER_DATA=str(peer.data),
    )

    assert said == "apple\n"


# --- initializers ---------------------------------------------------------------------


def pool(peer: Peer, *first: object) -> Grid:
    """Connect with an initializer and its arguments."""
    return slinger.connect(data=peer.data, initializer=first[0], initargs=first[1:])  # type: ignore[arg-type]


def test_every_slot_is_initialized_before_it_calls(peer: Peer) -> None:
    with pool(peer, tasks.prepare, "ready") as grid:
        futures = [grid.submit(tasks.prepared) for _ in range(20)]
        assert {one.result(HANGING) for one in futures} == {"ready"}
        assert list(grid.map(tasks.prepared_with, range(3))) == [
            ("ready", 0),
            ("ready", 1),
            ("ready", 2),
        ]
        with pytest.raises(TypeError):
            grid.submit(tasks.inverse, "no number").result(HANGING)  # type: ignore[arg-type]


def test_functions_of_a_script_share_their_globals_with_its_initializer(
    place: Place, peer: Peer
) -> None:
    said = place.run(
        """
import p2pslinger as slinger

STATE = None

def prepare(state):
    global STATE
    STATE = state

def use(x):
    return STATE, x

with slinger.connect() as grid:
    first = grid.options(initializer=prepare, initargs=("set",))
    print(first.submit(use, 1).result(), list(first.map(use, [2, 3])))
    print(first.submit(lambda: STATE).result(), grid.submit(use, 4).result())
""",
        SLINGER_DATA=str(peer.data),
    )

    assert said == "('set', 1) [('set', 2), ('set', 3)]\nset (None, 4)\n"


def test_an_initializer_that_fails_breaks_the_executor(peer: Peer) -> None:
    with pool(peer, tasks.fail, 7) as grid:
        results = grid.map(tasks.nap, [0] * 3)
        with pytest.raises(BrokenExecutor) as caught:
            next(results)
        assert "RuntimeError: 7" in str(caught.value)
        assert "some comment" in str(caught.value.__cause__)
        for ask in (lambda: grid.submit(abs, 1), lambda: grid.map(abs, [1])):
            with pytest.raises(BrokenExecutor):
                ask()


def test_an_initializer_that_fails_breaks_only_those_who_asked_for_it(
    grid: Grid,
) -> None:
    broken = grid.options(initializer=tasks.fail, initargs=(7,))
    futures = []
    with suppress(BrokenExecutor):  # as soon as the first failure is known
        futures += [broken.submit(abs, -1)]
        futures += [broken.submit(abs, -i) for i in range(100)]

    assert all(isinstance(one.exception(HANGING), BrokenExecutor) for one in futures)
    with pytest.raises(BrokenExecutor):
        broken.submit(abs, -1)
    assert grid.submit(abs, -1).result(HANGING) == 1


def test_an_initializer_must_be_a_function(grid: Grid) -> None:
    with pytest.raises(slinger.UsageError, match="is not a function"):
        grid.options(initializer="prepare")  # type: ignore[arg-type]
    with pytest.raises(slinger.UsageError, match="is not a function"):
        slinger.connect(initializer="prepare")  # type: ignore[arg-type]
    with pytest.raises(slinger.UsageError, match="is not a function"):
        slinger.local(initializer="prepare")  # type: ignore[arg-type]


def test_a_peer_that_goes_breaks_the_executor(place: Place) -> None:
    gone = place.peer("gone", SLINGER_AUTHKEY=place.key)
    with gone.connect() as grid:
        future = grid.submit(tasks.nap, 600)
        gone.kill()
        assert isinstance(future.exception(HANGING), BrokenExecutor)
        with pytest.raises(BrokenExecutor):
            grid.submit(abs, -1)
