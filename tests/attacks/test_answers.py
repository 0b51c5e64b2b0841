"""Attacks by what a task answers: values, errors, output that hurt whoever reads them.

The daemon unpickles nothing that comes from a slot, and holds no more of it than its
bounds say. What a program does with a value is its own matter: see `trust=`.
"""

from __future__ import annotations

import os
import pickle
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import pytest

from p2pslinger.sandbox import output
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.packed import VALUE_BYTES
from p2pslinger.sandbox.slot import Failure
from tests.sandbox.desk import Desk, Worker, at_a_desk, packaged


def double(x: int) -> int:
    return 2 * x


def played(confinement: Confinement, play: Callable[[Worker], Awaitable[None]]) -> None:
    """Play with one slot, which must go on afterwards, and so must another."""

    async def scenario(desk: Desk) -> None:
        bystander = await desk.worker(confinement=confinement)
        worker = await desk.worker(confinement=confinement)
        await play(worker)
        assert await worker.call(double, 21) == 42
        assert await bystander.call(double, 21) == 42

    at_a_desk(scenario)


class Bomb:
    """A value whose unpickling runs a function of its maker's choice."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.mark,)


def test_a_value_that_acts_when_unpickled_is_not_unpickled(
    confinement: Confinement, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    def answer(mark: str) -> Bomb:
        return Bomb(mark)

    async def play(worker: Worker) -> None:
        job = worker.load(packaged(answer), [str(mark)])
        worker.order(job, 0, 1)
        outcome = await worker.outcome()
        assert b"mkdir" in outcome.values, "it has arrived"

    played(confinement, play)
    assert not mark.exists()


def test_an_error_that_acts_when_unpickled_is_shown_and_not_unpickled(
    confinement: Confinement, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    class Loaded(Exception):
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(self),)

    def fail(mark: str) -> NoReturn:
        raise Loaded(mark)

    async def play(worker: Worker) -> None:
        failure = await worker.fail(fail, str(mark))
        assert failure.type.endswith("Loaded")
        assert failure.pickled == b"", "its unpickling was refused to it there as well"

    played(confinement, play)
    assert not mark.exists()


def test_an_error_with_a_hostile_text_is_cut(confinement: Confinement) -> None:
    class Endless(Exception):
        def __str__(self) -> str:
            return "x" * 50_000_000

        def __repr__(self) -> str:
            raise SystemExit("no repr")

    class Argument:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    def fail() -> NoReturn:
        def deeper(left: int, argument: Argument) -> None:
            if left:
                deeper(left - 1, argument)
            raise Endless

        deeper(500, Argument())
        raise AssertionError

    async def play(worker: Worker) -> None:
        failure = await worker.fail(fail)
        size = len(failure.message) + len(failure.traceback) + len(failure.arguments)
        assert size < 50_000

    played(confinement, play)


def test_a_value_that_is_too_large_or_too_deep_fails_alone(
    confinement: Confinement,
) -> None:
    def large(size: int) -> bytes:
        return bytes(size)

    def deep(levels: int) -> list[object]:
        value: list[object] = []
        for _ in range(levels):
            value = [value]
        return value

    async def play(worker: Worker) -> None:
        too_large = await worker.fail(large, VALUE_BYTES + 1)
        assert "too large" in too_large.message
        too_deep = await worker.fail(deep, 100_000)
        assert "recursion" in too_deep.message

    played(confinement, play)


def test_a_value_that_is_small_only_when_packed_stays_packed(
    confinement: Confinement,
) -> None:
    """Its pickle says "the same list again": unpacked it has 10**30 elements."""

    def folded() -> list[object]:
        value: list[object] = [0]
        for _ in range(30):
            value = [value] * 10
        return value

    async def play(worker: Worker) -> None:
        job = worker.load(packaged(folded), [((), {})], form=2)
        worker.order(job, 0, 1)
        assert len((await worker.outcome()).values) < 10_000

    played(confinement, play)


def test_endless_output_is_held_in_part_and_slows_nobody_else(
    confinement: Confinement,
) -> None:
    size = 100_000_000

    def talk(size: int) -> int:
        for _ in range(size // 1_000_000):
            sys.stdout.write("x" * 1_000_000)
        return size

    async def play(worker: Worker) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        job = worker.load(packaged(talk), [size])
        worker.order(job, 0, 1)
        outcome = await worker.outcome()
        assert pickle.loads(outcome.values) == [size]
        assert len(outcome.output) <= output.KEPT + 100, "and a word about the rest"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * 1024 < size / 2

    played(confinement, play)


def test_an_argument_that_acts_when_unpickled_acts_in_the_slot(
    confinement: Confinement, tmp_path: Path
) -> None:
    """The other way round: a submitter against the volunteer."""
    mark = tmp_path / "mark"

    def take(value: object) -> object:
        return value

    async def play(worker: Worker) -> None:
        (refused,) = await worker.compute(packaged(take), [Bomb(str(mark))], form=1)
        assert isinstance(refused, Failure)
        assert refused.type in {"PermissionError", "FileNotFoundError", "OSError"}

    played(confinement, play)
    assert not mark.exists()


@pytest.mark.parametrize("form", [0, 1])
def test_a_shard_of_nonsense_fails_its_tasks(
    form: int, confinement: Confinement
) -> None:
    async def play(worker: Worker) -> None:
        worker.slot.load(77, packaged(double), None)
        worker.slot.shard(77, 0, form, b"\x80\x05nonsense")
        worker.order(77, 0, 3)
        failures = (await worker.outcome()).failures
        assert [failure.index for failure in failures] == [0, 1, 2]

    played(confinement, play)
