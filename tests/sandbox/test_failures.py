"""A task that fails, fails alone, and says what happened; the slot goes on."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from typing import NoReturn

import pytest

from p2pslinger.sandbox.frames import FAILURES
from p2pslinger.sandbox.jobs import explained
from p2pslinger.sandbox.packed import CALLS, ITEMS, RUN_BYTES
from p2pslinger.sandbox.slot import Failure
from tests.sandbox.desk import (
    Desk,
    Worker,
    at_a_desk,
    decoded,
    packaged,
    with_a_worker,
)


def third_fails(x: int) -> int:
    if x == 2:
        raise ValueError("not two")
    return x


def goes_on(worker: Worker) -> None:
    assert worker.slot.pid
    assert worker.exits.empty()


def test_one_of_many_fails_and_the_others_do_not() -> None:
    async def scenario(worker: Worker) -> None:
        values = await worker.compute(packaged(third_fails), range(5))
        assert values[:2] + values[3:] == [0, 1, 3, 4]
        failure = values[2]
        assert isinstance(failure, Failure)
        assert (failure.index, failure.type) == (2, "ValueError")
        assert (failure.message, failure.arguments) == ("not two", "2")
        error = pickle.loads(failure.pickled)
        assert isinstance(error, ValueError)
        assert error.args == ("not two",)

    with_a_worker(scenario)


def test_failures_are_told_from_values_in_both_forms() -> None:
    def odd(x: int) -> object:
        if x % 3 == 0:
            raise KeyError(x)
        return None if x < 5 else [x]

    async def scenario(worker: Worker) -> None:
        values = await worker.compute(packaged(odd), range(8))
        failed = [i for i, value in enumerate(values) if isinstance(value, Failure)]
        assert failed == [0, 3, 6]
        assert values[1:3] + values[4:6] + values[7:] == [None, None, None, [5], [7]]

    with_a_worker(scenario)


def test_a_traceback_shows_the_tasks_frames_and_no_others() -> None:
    async def scenario(worker: Worker) -> None:
        for form, arguments in ((CALLS, [((2,), {})]), (ITEMS, [2])):
            (failure,) = await worker.compute(
                packaged(third_fails), arguments, form=form, seed=b"s"
            )
            assert isinstance(failure, Failure)
            lines = failure.traceback.splitlines()
            assert lines[0] == "Traceback (most recent call last):"
            assert "in third_fails" in lines[1]
            assert lines[-1] == "ValueError: not two"
            assert "sandbox/calls.py" not in failure.traceback

    with_a_worker(scenario)


def test_causes_of_an_exception_are_in_its_traceback() -> None:
    def chained() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise RuntimeError("second") from error

    async def scenario(worker: Worker) -> None:
        text = (await worker.fail(chained)).traceback
        assert text.index("KeyError: 'first'") < text.index("RuntimeError: second")

    with_a_worker(scenario)


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "exited with 3"), (None, "exited with 0"), ("x", "exited with x")],
)
def test_exiting_fails_the_task_only(code: object, said: str) -> None:
    def leave(code: object) -> NoReturn:
        sys.exit(code)  # type: ignore[arg-type]

    async def scenario(worker: Worker) -> None:
        failure = await worker.fail(leave, code)
        assert (failure.type, failure.message) == ("SystemExit", said)
        assert failure.pickled == b"", "nobody wants it raised in a program"
        goes_on(worker)

    with_a_worker(scenario)


def test_interrupts_and_other_base_exceptions_fail_the_task_only() -> None:
    class Odd(BaseException):
        pass

    def interrupt(which: int) -> None:
        raise [KeyboardInterrupt, GeneratorExit, Odd][which]

    async def scenario(worker: Worker) -> None:
        kinds = [(await worker.fail(interrupt, i)).type for i in range(3)]
        assert kinds[:2] == ["KeyboardInterrupt", "GeneratorExit"]
        assert kinds[2].endswith("Odd")
        goes_on(worker)

    with_a_worker(scenario)


def test_endless_recursion_fails_the_task_with_a_short_traceback() -> None:
    def down(x: int) -> int:
        return down(x + 1)

    async def scenario(worker: Worker) -> None:
        failure = await worker.fail(down, 0)
        assert failure.type == "RecursionError"
        assert len(failure.traceback) < 21_000
        goes_on(worker)

    with_a_worker(scenario)


def test_running_out_of_memory_fails_the_task() -> None:
    def hoard() -> int:
        return len(bytearray(4 << 30))

    async def scenario(worker: Worker) -> None:
        assert (await worker.fail(hoard)).type == "MemoryError"
        goes_on(worker)

    with_a_worker(scenario)


def test_exceptions_that_can_not_be_printed_or_pickled_are_described() -> None:
    class Rude(Exception):
        def __str__(self) -> str:
            raise SystemExit("no")

        def __reduce__(self) -> str:
            raise KeyboardInterrupt

    class Demanding(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__("demanding")

    def rude() -> None:
        raise Rude

    def demanding() -> None:
        raise Demanding(code=3)

    async def scenario(worker: Worker) -> None:
        failure = await worker.fail(rude)
        assert failure.message == "<not printable: SystemExit>"
        assert failure.pickled == b""
        failure = await worker.fail(demanding)
        assert failure.message == "demanding"
        assert failure.pickled == b""
        goes_on(worker)

    with_a_worker(scenario)


def test_arguments_that_can_not_be_shown_are_described() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("do not look")

    def fails(*args: object, **kwargs: object) -> None:
        raise ValueError

    async def scenario(worker: Worker) -> None:
        arguments = [
            ((Shy(), list(range(1000))), {"key": "x" * 10_000}),
            (tuple(range(20)), {}),
        ]
        first, second = await worker.compute(packaged(fails), arguments, form=CALLS)
        assert isinstance(first, Failure)
        assert isinstance(second, Failure)
        # reprlib has an answer of its own for the first
        assert "Shy" in first.arguments
        assert ", [0, 1, 2, 3, 4, 5, ...], key='xxxxx" in first.arguments
        assert len(first.arguments) < 420
        assert second.arguments == "0, 1, 2, 3, 4, 5, ..."

    with_a_worker(scenario)


def test_arguments_that_can_not_be_unpickled_fail_their_task_only() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return int, ("not a number",)

    def same(x: object) -> object:
        return x

    async def scenario(worker: Worker) -> None:
        values = await worker.compute(packaged(same), [1, Trap(), 3], form=ITEMS)
        assert values[0] == 1
        assert values[2] == 3
        assert isinstance(values[1], Failure)
        assert values[1].arguments == "<can't be unpacked here: ValueError>"

    with_a_worker(scenario)


def test_a_shard_that_can_not_be_unpacked_fails_its_tasks() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(third_fails), [])
        worker.slot.shard(job, 0, 0, b"garbage")
        worker.slot.shard(job, 0, 3, b"garbage")
        worker.order(job, 0, 2)
        values = decoded(await worker.outcome())
        assert all(isinstance(value, Failure) for value in values)
        worker.slot.shard(job, 0, 0, pickle.dumps([0, 1]))
        worker.order(job, 0, 2)
        assert decoded(await worker.outcome()) == [0, 1]

    with_a_worker(scenario)


def test_a_value_that_can_not_be_sent_fails_its_task_only() -> None:
    def some(x: int) -> object:
        return threading.Lock() if x == 1 else {x}

    async def scenario(worker: Worker) -> None:
        values = await worker.compute(packaged(some), range(3))
        assert values[0] == {0}
        assert values[2] == {2}
        failure = values[1]
        assert isinstance(failure, Failure)
        assert failure.type == "PackingError"
        assert failure.message.startswith(
            "the result, of type _thread.lock, can't be sent back: "
        )

    with_a_worker(scenario)


def test_a_value_that_is_too_large_fails_its_task_only() -> None:
    def huge(x: int) -> object:
        return bytes(x << 20)

    async def scenario(worker: Worker) -> None:
        values = await worker.compute(packaged(huge), [1, 257, 1])
        assert values[0] == values[2] == bytes(1 << 20)
        failure = values[1]
        assert isinstance(failure, Failure)
        assert failure.message.startswith("the result is too large: 269,4")

    async def roomy(desk: Desk) -> None:
        await scenario(await desk.worker(memory=4 << 30))

    at_a_desk(roomy)


def test_values_of_classes_of_main_come_back_by_value() -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    text = "class Point:\n x = 5\ndef make(): return Point()"
    exec(text, namespace)
    make = namespace["make"]
    assert callable(make)

    async def scenario(worker: Worker) -> None:
        point = await worker.call(make)
        assert isinstance(point, namespace["Point"])  # type: ignore[arg-type]
        assert point.x == 5  # type: ignore[attr-defined]

    with_a_worker(scenario)


def test_many_failures_end_a_run_early() -> None:
    def fails(x: int) -> None:
        raise ValueError("x" * 4000)

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(fails), range(5000))
        worker.order(job, 0, 5000)
        outcome = await worker.outcome()
        assert 0 < outcome.stop < 1000
        size = sum(len(f.message) for f in outcome.failures)
        assert size <= 2 * RUN_BYTES

    with_a_worker(scenario)


def test_a_task_that_wrecks_the_modules_wrecks_nothing_but_itself() -> None:
    def wreck() -> None:
        for name in ("pickle", "traceback", "random", "os", "p2pslinger.sandbox"):
            sys.modules[name] = None  # type: ignore[assignment]
        os.environ.clear()
        raise ValueError("wrecked")

    async def scenario(worker: Worker) -> None:
        assert (await worker.fail(wreck)).message == "wrecked"
        assert await worker.compute(packaged(third_fails), [1], seed=b"x") == [1]

    with_a_worker(scenario)


@pytest.mark.parametrize("code", ["plain", "items", "nonsense"])
def test_a_run_ends_when_very_many_tasks_have_failed(code: str) -> None:
    def fails(x: int) -> object:
        if x == 0 and code == "items":
            return []
        raise ValueError(x)

    async def scenario(worker: Worker) -> None:
        package = b"nonsense" if code == "nonsense" else packaged(fails)
        job = worker.load(package, range(5000))
        worker.order(job, 0, 5000)
        outcome = await worker.outcome()
        assert len(outcome.failures) == FAILURES
        assert outcome.stop == FAILURES + (code == "items")
        assert len(decoded(outcome)) == outcome.stop

        worker.order(job, outcome.stop, outcome.stop + 10)
        assert len((await worker.outcome()).failures) == 10

    with_a_worker(scenario)


def test_a_missing_module_is_named_with_the_python_that_lacks_it_and_a_remedy() -> None:
    error = explained(ModuleNotFoundError("No module named 'dask'", name="dask"))

    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "dask"
    assert f"'dask', which {sys.executable} lacks" in str(error)
    assert "requires=" in str(error)
    other = ImportError("cannot import name 'x'")
    assert explained(other) is other
