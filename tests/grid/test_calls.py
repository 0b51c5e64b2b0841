"""Calling functions on a grid: the everyday ways, on three real peers."""

from __future__ import annotations

import operator
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.grid import tasks
from tests.grid.place import HANGING, Place, within


def test_map_gives_the_results_in_order(grid: Grid) -> None:
    assert list(grid.map(tasks.square, range(1000))) == [i * i for i in range(1000)]


def test_a_result_comes_before_the_last_one_is_computed(
    grid: Grid, module_place: Place
) -> None:
    gate = module_place.folder / "gate"
    open_door = module_place.folder / "door"
    open_door.touch()
    results = grid.map(tasks.waits_for, [str(open_door), str(gate)])

    assert next(results) == str(open_door)
    gate.touch()
    assert next(results) == str(gate)


def test_submit_gives_a_future(grid: Grid) -> None:
    future = grid.submit(tasks.square, 7)

    assert future.result(HANGING) == 49
    assert future.done()
    assert isinstance(grid, Executor)


def test_positional_and_keyword_arguments_arrive(grid: Grid) -> None:
    assert grid.submit(tasks.kwargs, 1, 2, c=3).result(HANGING) == (1, 2, 3)
    assert grid.submit(tasks.kwargs, a=5).result(HANGING) == (5, 0, 0)


def test_several_iterables_stop_with_the_shortest(grid: Grid) -> None:
    assert list(grid.map(pow, [2, 3, 4], [5, 2])) == [32, 9]
    assert list(grid.starmap(pow, [(2, 5), (3, 2)])) == [32, 9]


def test_source_text_runs_without_being_pickled(grid: Grid) -> None:
    source = "from math import floor\ndef half(x):\n    return floor(x / 2)\n"

    assert list(grid.map_source(source, "half", [5, 8])) == [2, 4]


def test_an_empty_list_of_arguments_has_an_empty_result_at_once(grid: Grid) -> None:
    with within(1.0):
        assert list(grid.map(tasks.square, [])) == []
        assert list(grid.start(tasks.square, []).results()) == []


def test_equal_and_unhashable_arguments_are_fine(grid: Grid) -> None:
    assert list(grid.map(len, [[1], [1], {}, {1: 2}, [[]], [1]])) == [1, 1, 0, 1, 1, 1]
    assert list(grid.map(tasks.square, [3] * 100)) == [9] * 100


def test_a_generator_that_raises_does_so_in_the_program(grid: Grid) -> None:
    def numbers() -> Iterator[int]:
        yield from range(100)
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        grid.map(tasks.nap, numbers())
    assert grid.submit(tasks.square, 2).result(HANGING) == 4


def test_lambdas_and_closures_are_called(grid: Grid) -> None:
    factor = 3

    def scaled(x: int) -> int:
        return x * factor

    assert list(grid.map(lambda x: x + factor, range(5))) == [3, 4, 5, 6, 7]
    assert list(grid.map(scaled, range(5))) == [0, 3, 6, 9, 12]
    assert list(grid.map(operator.neg, range(3))) == [0, -1, -2]


def test_sets_have_the_same_order_everywhere(grid: Grid) -> None:
    first = list(grid.map(tasks.words, [0] * 30))

    assert first == [first[0]] * 30


def test_chance_differs_from_task_to_task(grid: Grid) -> None:
    assert len(set(grid.map(tasks.chance, range(50)))) == 50


@pytest.mark.parametrize("seeded", [True, False])
def test_a_task_that_is_tried_again_has_the_same_chance_if_seeded(
    grid: Grid, module_place: Place, seeded: bool
) -> None:
    file = module_place.folder / f"tries {seeded}"
    here = grid.options(seeded=seeded)
    value = here.submit(tasks.dies_once, str(file)).result(HANGING)
    first, second = map(float, file.read_text().split())

    assert second == value
    assert (first == second) is seeded


def test_a_program_uses_a_grid_from_many_threads(grid: Grid) -> None:
    def use(number: int) -> list[int]:
        rng = random.Random(number)
        futures = [grid.submit(tasks.square, number * 1000 + i) for i in range(40)]
        mapped = list(grid.map(tasks.square, range(rng.randrange(200))))
        assert mapped == [i * i for i in range(len(mapped))]
        return [future.result(HANGING) for future in futures]

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(use, range(16)))

    assert found == [[(n * 1000 + i) ** 2 for i in range(40)] for n in range(16)]


def test_callbacks_may_submit_more(grid: Grid) -> None:
    done = threading.Event()
    seen: list[int] = []

    def again(value: int) -> None:
        seen.append(value)
        if value > 100:
            done.set()
        else:
            grid.submit(tasks.square, value).add_done_callback(
                lambda future: again(future.result())
            )

    again(2)
    assert done.wait(HANGING)
    assert seen == [2, 4, 16, 256]


def test_callbacks_may_submit_what_is_big_and_may_not_wait(grid: Grid) -> None:
    big = bytes(1 << 20)
    later: list[Future[int]] = []
    refused: list[Exception] = []
    done = threading.Event()

    def more(_: Future[int]) -> None:
        later.append(grid.submit(len, big))
        later.append(grid.submit(lambda: len(big)))  # a big function
        try:
            grid.peers()
        except slinger.UsageError as error:
            refused.append(error)
        done.set()

    grid.submit(tasks.nap, 2).add_done_callback(more)  # not done yet
    assert done.wait(HANGING)
    assert [future.result(HANGING) for future in later] == [1 << 20] * 2
    assert "callback can't wait" in str(refused[0])


def test_thousands_of_closures_are_as_many_functions(grid: Grid) -> None:
    def adder(n: int) -> Callable[[int], int]:
        return lambda x: x + n

    with within(15.0):
        futures = [grid.submit(adder(n), 1) for n in range(500)]
        assert [future.result(HANGING) for future in futures] == list(range(1, 501))
        for n in range(500, 700):
            assert grid.submit(adder(n), 1).result(HANGING) == n + 1
    assert len([job for job in grid.jobs() if job.state == "open"]) < 200


def test_a_result_that_is_not_there_in_time_is_a_time_out(
    grid: Grid, module_place: Place
) -> None:
    never = str(module_place.folder / "never")
    results = grid.map(tasks.waits_for, [never], timeout=0.2)

    with within(5.0), pytest.raises(TimeoutError):
        next(results)
    future = grid.submit(tasks.waits_for, never)
    with within(5.0), pytest.raises(TimeoutError):
        future.result(0.1)
    assert future.cancel()


def test_a_map_that_nobody_reads_on_is_given_up(grid: Grid) -> None:
    results = grid.map(tasks.nap, range(2000))  # 33 s of work
    assert next(results) == 0
    del results

    with within(5.0):
        futures = [grid.submit(tasks.square, i) for i in range(10)]
        assert [future.result(HANGING) for future in futures] == [
            i * i for i in range(10)
        ]
        assert list(grid.map(tasks.nap, range(3))) == [0, 1, 2]


def test_a_cancelled_future_frees_its_slot(grid: Grid, module_place: Place) -> None:
    never = str(module_place.folder / "never")
    futures = [grid.submit(tasks.waits_for, never) for _ in range(20)]
    assert all(future.cancel() for future in futures)

    assert all(future.cancelled() for future in as_completed(futures, HANGING))
    with within(5.0):
        assert list(grid.map(tasks.nap, range(12))) == list(range(12))


def test_64_mib_go_in_and_come_out(grid: Grid) -> None:
    numpy = pytest.importorskip("numpy")
    big = numpy.arange(8 << 20, dtype=numpy.float64)

    assert grid.submit(lambda a: float(a.sum()), big).result(HANGING) == big.sum()
    back = grid.submit(lambda n: numpy.arange(n, dtype="f8"), 8 << 20).result(HANGING)
    assert (back == big).all()


def test_equal_big_values_are_all_delivered(grid: Grid) -> None:
    size = 1 << 20
    futures = [grid.submit(bytes, size) for _ in range(12)]
    assert [len(future.result(HANGING)) for future in futures] == [size] * 12

    assert list(grid.map(len, [bytes(size)] * 6)) == [size] * 6


def test_an_argument_that_is_too_large_is_refused_before_it_is_packed(
    grid: Grid,
) -> None:
    numpy = pytest.importorskip("numpy")
    huge = numpy.zeros(3 << 30, dtype=numpy.uint8)  # which touches no memory
    fine = grid.submit(tasks.square, 3)

    with within(5.0), pytest.raises(slinger.UsageError) as caught:
        grid.submit(len, huge).result(HANGING)
    assert "at most 2,147,483,648 can be sent" in str(caught.value)
    assert fine.result(HANGING) == 9


def test_a_function_that_cannot_be_sent_is_named_with_the_object_in_it(
    grid: Grid,
) -> None:
    lock = threading.Lock()

    with pytest.raises(slinger.PackingError) as caught:
        grid.submit(lambda: lock)
    assert "`lock`" in str(caught.value)
    with pytest.raises(slinger.PackingError, match="argument 1"):
        list(grid.map(tasks.square, [1, lock]))
    with pytest.raises(slinger.PackingError):
        grid.submit(tasks.square, lock).result(HANGING)  # type: ignore[arg-type]
    assert grid.submit(tasks.square, 4).result(HANGING) == 16


def test_leaving_the_block_waits_for_maps_and_futures(module_place: Place) -> None:
    with slinger.local(peers=1, slots=2) as grid:
        future = grid.submit(tasks.nap, 1)
        results = grid.map(tasks.nap, range(10))
    assert future.result(0) == 1
    assert list(results) == list(range(10))

    with pytest.raises(slinger.UsageError, match="has been shut down"):
        grid.submit(tasks.nap, 1)
    with pytest.raises(slinger.UsageError, match="has been shut down"):
        grid.map(tasks.nap, [1])


def test_leaving_the_block_by_an_exception_cancels(module_place: Place) -> None:
    grid = slinger.local(peers=1)
    futures = [grid.submit(tasks.nap, i) for i in range(1000)]
    job = grid.start(tasks.nap, range(1000))
    assert futures[0].result(HANGING) == 0

    with within(3.0), pytest.raises(ZeroDivisionError), grid:
        raise ZeroDivisionError
    assert futures[-1].cancelled()
    with pytest.raises(slinger.SlingerError):
        list(job.results(timeout=HANGING))
