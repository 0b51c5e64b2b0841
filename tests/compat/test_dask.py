"""Dask's graphs on a grid."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator

import pytest

from p2pslinger.client.grid import Grid
from p2pslinger.client.values import RemoteTraceback
from tests.compat import tasks
from tests.grid.place import HANGING, Place, within

dask = pytest.importorskip("dask")
compat = pytest.importorskip("p2pslinger.compat.dask")


@pytest.fixture(autouse=True)
def on_the_grid(grid: Grid) -> Iterator[None]:
    """Have Dask use the module's peer."""
    with dask.config.set(scheduler=compat.scheduler(grid)):
        yield


def test_delayed_functions_run_elsewhere_in_the_order_they_need() -> None:
    @dask.delayed  # type: ignore[untyped-decorator]
    def add(x: int, y: int) -> int:
        return x + y

    level = [dask.delayed(operator.neg)(x) for x in range(16)]
    while len(level) > 1:
        level = [add(x, y) for x, y in zip(level[::2], level[1::2], strict=True)]
    assert level[0].compute() == -sum(range(16))
    pids = dask.compute(*(dask.delayed(tasks.host)(x) for x in range(100)))
    assert [x for x, _ in pids] == list(range(100))
    assert len({pid for _, pid in pids}) > 1


def test_bags_are_mapped_filtered_and_folded() -> None:
    bag = pytest.importorskip("dask.bag")
    numbers = bag.from_sequence(range(1000), npartitions=20)

    assert numbers.map(lambda x: x * x).filter(lambda x: x % 2).sum().compute() == sum(
        x * x for x in range(1000) if x % 2
    )
    groups = numbers.foldby(lambda x: x % 3, operator.add, 0, operator.add, 0)
    assert dict(groups.compute()) == {k: sum(range(k, 1000, 3)) for k in range(3)}


def test_arrays_are_computed_in_blocks() -> None:
    numpy = pytest.importorskip("numpy")
    array = pytest.importorskip("dask.array")
    big = array.arange(100_000, chunks=5_000)

    assert (big * big).sum().compute() == (numpy.arange(100_000) ** 2).sum()
    squares = big.reshape(20, 5_000).T * 2
    assert (squares.compute() == numpy.arange(100_000).reshape(20, -1).T * 2).all()


def test_what_a_task_raises_is_raised_with_its_traceback(grid: Grid) -> None:
    slow = [dask.delayed(tasks.nap)(600) for _ in range(3)]
    with within(HANGING), pytest.raises(RuntimeError, match="7") as caught:
        dask.compute(dask.delayed(tasks.fail)(7), *slow)

    assert type(caught.value.__cause__) is RemoteTraceback
    assert "some comment" in str(caught.value.__cause__)
    assert grid.submit(abs, -1).result(HANGING) == 1


def test_tasks_may_travel_together(grid: Grid) -> None:
    numbers = [dask.delayed(operator.neg)(x) for x in range(300)]
    together = compat.scheduler(grid, chunksize=50, optimize_graph=False)

    assert dask.compute(numbers, scheduler=together)[0] == [-x for x in range(300)]
    assert dask.compute(numbers, num_workers=3)[0] == [-x for x in range(300)]


def test_without_a_trusted_slot_the_program_computes_alone_and_says_so(
    place: Place,
) -> None:
    lonely = place.peer("lonely", "--slots", "0", SLINGER_AUTHKEY=place.key)
    with (
        lonely.connect() as grid,
        pytest.warns(UserWarning, match="Dask computes in this process"),
    ):
        found = dask.delayed(os.getpid)().compute(scheduler=compat.scheduler(grid))
    assert found == os.getpid()
