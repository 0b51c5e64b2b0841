"""A slot computes what it is ordered, in order, and says how far it came."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import sys
import threading
import time
from pathlib import Path

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.packed import (
    CALLS,
    ITEM_VALUES,
    ITEMS,
    RUN_BYTES,
    SCALAR_VALUES,
    STAR,
)
from p2pslinger.sandbox.slot import Failure, Order, Piece
from tests.sandbox.desk import (
    Desk,
    Worker,
    at_a_desk,
    decoded,
    packaged,
    until,
    with_a_worker,
)


def double(x: int) -> int:
    return 2 * x


def add(*args: int, extra: int = 0) -> int:
    return sum(args) + extra


def grow(items: list[int]) -> list[int]:
    items.append(1)
    return items


def wait_for(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.001)
    return path


def test_each_form_of_arguments_reaches_the_function() -> None:
    async def scenario(worker: Worker) -> None:
        assert await worker.compute(packaged(double), [1, 2, 3]) == [2, 4, 6]
        pairs = [(1, 2), (3, 4)]
        assert await worker.compute(packaged(add), pairs, form=STAR) == [3, 7]
        calls = [((1, 2), {"extra": 10}), ((), {})]
        assert await worker.compute(packaged(add), calls, form=CALLS) == [13, 0]
        lists = [[5], [6]]
        assert await worker.compute(packaged(grow), lists, form=ITEMS) == [
            [5, 1],
            [6, 1],
        ]

    with_a_worker(scenario)


def test_arguments_are_unpickled_anew_for_every_call() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(grow), [[]], form=ITEMS)
        for _ in range(2):
            worker.order(job, 0, 1)
            assert decoded(await worker.outcome()) == [[1]]

    with_a_worker(scenario)


def test_values_are_pickled_before_the_next_task_can_change_them() -> None:
    def shared(x: int, seen: list[int] = []) -> list[int]:  # noqa: B006 - that is it
        seen.append(x)
        return seen

    async def scenario(worker: Worker) -> None:
        assert await worker.compute(packaged(shared), [1, 2]) == [[1], [1, 2]]

    with_a_worker(scenario)


def test_plain_values_travel_as_one_list_and_others_as_items() -> None:
    def mixed(x: int) -> object:
        return [1, 2.5, "three", b"4", None, True, (7,)][x]

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(mixed), range(7))
        worker.order(job, 0, 6)
        outcome = await worker.outcome()
        assert outcome.form == SCALAR_VALUES
        assert decoded(outcome) == [1, 2.5, "three", b"4", None, True]
        worker.order(job, 0, 7)
        outcome = await worker.outcome()
        assert outcome.form == ITEM_VALUES
        assert decoded(outcome)[5:] == [True, (7,)]

    with_a_worker(scenario)


def test_an_order_may_take_pieces_of_several_shards() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(double), range(10))
        worker.slot.shard(job, 1, 0, pickle.dumps([100, 101, 102]))
        order = Order(job, 8, (Piece(0, 8, 10), Piece(1, 0, 2)), math.inf)
        worker.slot.run(order)
        outcome = await worker.outcome()
        assert (outcome.job, outcome.start, outcome.stop) == (job, 8, order.stop)
        assert decoded(outcome) == [16, 18, 200, 202]

    with_a_worker(scenario)


def test_orders_that_queue_are_computed_in_order() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(double), range(50))
        for low in range(50):
            worker.order(job, low, low + 1)
        outcomes = [await worker.outcome() for _ in range(50)]
        assert [outcome.start for outcome in outcomes] == list(range(50))

    with_a_worker(scenario)


def test_a_slice_ends_a_run_early_but_after_one_task_at_least() -> None:
    def nap(x: int) -> int:
        time.sleep(0.02)
        return x

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(nap), range(100))
        worker.order(job, 0, 100, slice=0.05)
        outcome = await worker.outcome()
        assert 2 <= outcome.stop <= 4
        assert decoded(outcome) == list(range(outcome.stop))
        assert 0.05 <= outcome.wall < 1
        worker.order(job, 50, 100, slice=0.0)
        assert (await worker.outcome()).stop == 51

    with_a_worker(scenario)


def test_many_bytes_of_values_end_a_run_early() -> None:
    def megabyte(x: int) -> bytes:
        return bytes(1 << 20)

    def megabytes(x: int) -> list[bytes]:
        return [bytes(1 << 20)]

    async def scenario(worker: Worker) -> None:
        for function in (megabyte, megabytes):
            job = worker.load(packaged(function), range(100))
            worker.order(job, 0, 100)
            outcome = await worker.outcome()
            assert outcome.stop in {4, 5}
            assert RUN_BYTES <= len(outcome.values) <= 2 * RUN_BYTES

    with_a_worker(scenario)


def test_large_arguments_and_values_come_through() -> None:
    async def scenario(worker: Worker) -> None:
        data = os.urandom(1 << 20) * 32
        (value,) = await worker.compute(packaged(bytes), [data], form=ITEMS)
        assert value == data

    with_a_worker(scenario)


def test_cpu_time_counts_threads_and_children() -> None:
    def busy() -> None:
        def burn() -> None:
            until = time.thread_time() + 0.1
            while time.thread_time() < until:
                pass

        if os.fork() == 0:
            burn()
            os._exit(0)
        os.wait()
        thread = threading.Thread(target=burn)
        thread.start()
        thread.join()

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(busy), [((), {})], form=CALLS)
        worker.order(job, 0, 1)
        assert 0.19 <= (await worker.outcome()).cpu <= 1

    with_a_worker(scenario)


def test_the_task_being_computed_can_be_seen_from_outside(tmp_path: Path) -> None:
    async def scenario(worker: Worker) -> None:
        paths = [str(tmp_path / name) for name in "ab"]
        job = worker.load(packaged(wait_for), paths)
        assert worker.slot.index is None
        worker.order(job, 0, 2, start=40)
        await until(lambda: worker.slot.index == 40)
        (tmp_path / "a").touch()
        await until(lambda: worker.slot.index == 41)
        (tmp_path / "b").touch()
        assert (await worker.outcome()).stop == 42
        assert worker.slot.index is None

    with_a_worker(scenario)


def test_an_order_that_has_not_begun_can_be_withdrawn(tmp_path: Path) -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(wait_for), [str(tmp_path / "go")] * 3)
        worker.order(job, 0, 1)
        worker.order(job, 1, 2)
        worker.slot.withdraw()
        (tmp_path / "go").touch()
        assert (await worker.outcome()).stop == 1
        assert (await worker.outcome()).stop == 1
        worker.order(job, 2, 3)
        assert (await worker.outcome()).stop == 3

    with_a_worker(scenario)


def test_an_order_that_has_begun_is_finished_though_withdrawn(tmp_path: Path) -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(wait_for), [str(tmp_path / "go")])
        worker.order(job, 0, 1)
        await until(lambda: worker.slot.index is not None)
        worker.slot.withdraw()
        (tmp_path / "go").touch()
        assert (await worker.outcome()).stop == 1

    with_a_worker(scenario)


def test_what_is_forgotten_is_not_there_any_more() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(double), range(3))
        worker.slot.forget(job, [0, 7])
        worker.order(job, 0, 1)
        (failure,) = decoded(await worker.outcome())
        assert isinstance(failure, Failure)
        assert failure.message == "shard 0 is not in this slot"
        worker.slot.forget(job, None)
        worker.slot.forget(job, None)
        worker.order(job, 0, 1)
        (failure,) = decoded(await worker.outcome())
        assert isinstance(failure, Failure)

    with_a_worker(scenario)


def test_slots_share_neither_hash_seeds_nor_folders_with_the_daemon() -> None:
    def surroundings() -> object:
        return (
            hash("p2pslinger"),
            dict(os.environ),
            str(Path.cwd()),
            sys.flags.utf8_mode,
        )

    async def scenario(desk: Desk) -> None:
        os.environ["SECRET_OF_THE_DAEMON"] = "x"
        first, second = [
            await (await desk.worker()).call(surroundings) for _ in range(2)
        ]
        del os.environ["SECRET_OF_THE_DAEMON"]
        assert isinstance(first, tuple)
        assert isinstance(second, tuple)
        assert first[0] == second[0]
        assert "SECRET_OF_THE_DAEMON" not in first[1]
        assert "PYTHONPATH" not in first[1]
        assert first[2] == first[1]["TMPDIR"] != second[2]

    at_a_desk(scenario)


def test_runs_start_in_a_tidy_process() -> None:
    def untidy() -> None:
        os.chdir("/")
        os.close(1)
        sys.stdout.close()
        sys.stderr = None
        os.environ["PATH"] = ""

    def tidy() -> str:
        print("hello")
        print("world", file=sys.stderr)
        return str(Path.cwd())

    async def scenario(worker: Worker) -> None:
        home = await worker.call(tidy)
        assert await worker.call(untidy) is None
        job = worker.load(packaged(tidy), [((), {})], form=CALLS)
        worker.order(job, 0, 1)
        outcome = await worker.outcome()
        assert decoded(outcome) == [home]
        assert outcome.output == b"hello\nworld\n"

    with_a_worker(scenario)


def test_a_system_without_fork_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")

    async def play() -> None:
        with pytest.raises(UnavailableError, match="slots need fork"):
            await Launcher(tmp_path).start()

    asyncio.run(play())


def test_a_zygote_that_can_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    async def play() -> None:
        with pytest.raises(UnavailableError, match="/no/such/python"):
            await Launcher(tmp_path).start()

    asyncio.run(play())


def test_closing_twice_is_as_good_as_once(tmp_path: Path) -> None:
    async def play() -> None:
        launcher = Launcher(tmp_path)
        await launcher.start()
        for _ in range(2):
            await launcher.close()
        assert launcher.zygote is None

    asyncio.run(play())
