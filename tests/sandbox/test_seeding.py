"""A task's random numbers depend on its job and its index, and on nothing else."""

from __future__ import annotations

import math

from p2pslinger.sandbox.packed import CALLS
from tests.sandbox.desk import SEED, Desk, Worker, at_a_desk, decoded, packaged


def draw(x: int) -> object:
    import random

    return random.random()


def draw_numpy(x: int) -> object:
    import numpy as np

    return float(np.random.random())


def loaded(x: int) -> object:
    import sys

    return [name for name in ("random", "numpy", "hashlib") if name in sys.modules]


async def drawn(
    worker: Worker, function: object, cuts: list[int], seed: bytes | None
) -> list[object]:
    """Compute tasks 0 to 9 in runs that end at the cuts."""
    assert callable(function)
    job = worker.load(packaged(function), range(10), seed=seed)
    values: list[object] = []
    for low, high in zip([0, *cuts], [*cuts, 10], strict=True):
        worker.order(job, low, high, slice=math.inf)
        values += decoded(await worker.outcome())
    return values


def test_nothing_is_loaded_that_a_task_does_not_load() -> None:
    async def scenario(desk: Desk) -> None:
        worker = await desk.worker()
        assert await worker.compute(packaged(loaded), [0], seed=SEED) == [[]]

    at_a_desk(scenario)


def test_numbers_are_the_same_in_every_slot_and_however_tasks_are_grouped() -> None:
    async def scenario(desk: Desk) -> None:
        for function in (draw, draw_numpy):
            first, second = await desk.worker(), await desk.worker()
            values = await drawn(first, function, [], SEED)
            assert len(set(values)) == 10
            assert await drawn(first, function, [1, 5], SEED) == values
            assert await drawn(second, function, [3, 4, 9], SEED) == values

    at_a_desk(scenario)


def test_numbers_differ_between_jobs() -> None:
    async def scenario(desk: Desk) -> None:
        worker = await desk.worker()
        one = await drawn(worker, draw, [], SEED)
        assert not set(one) & set(await drawn(worker, draw, [], b"other"))

    at_a_desk(scenario)


def test_without_a_seed_numbers_are_left_to_chance() -> None:
    async def scenario(desk: Desk) -> None:
        worker = await desk.worker()
        await drawn(worker, draw, [], SEED)
        one, two = [await drawn(worker, draw, [], None) for _ in range(2)]
        assert one != two
        assert len({*one, *two}) == 20

    at_a_desk(scenario)


def test_numbers_drawn_while_the_function_is_loaded_are_the_same_in_every_slot() -> (
    None
):
    source = "import random\nDRAWN = random.random()"

    def show() -> float:
        import luck  # type: ignore[import-not-found]

        return float(luck.DRAWN)

    class Early:
        def __call__(self) -> float:
            return show()

        def __setstate__(self, state: object) -> None:
            show()

        def __getstate__(self) -> object:
            return 1

    early = Early()

    def task(x: int) -> float:
        return early()

    async def scenario(desk: Desk) -> None:
        drawn = []
        for low in range(3):
            worker = await desk.worker()
            job = worker.load(
                packaged(task, modules=[("luck", source)]), range(3), seed=SEED
            )
            worker.order(job, low, low + 1)
            drawn += decoded(await worker.outcome())
        assert len(set(drawn)) == 1

    at_a_desk(scenario)


def test_a_module_of_the_submitters_may_be_called_random() -> None:
    def own() -> object:
        import random

        return random.random

    async def scenario(desk: Desk) -> None:
        worker = await desk.worker()
        code = packaged(own, modules=[("random", "random = 4")])
        assert await worker.compute(code, [((), {})], form=CALLS, seed=SEED) == [4]
        values = await drawn(worker, draw, [], SEED)
        assert await drawn(await desk.worker(), draw, [], SEED) == values

    at_a_desk(scenario)
