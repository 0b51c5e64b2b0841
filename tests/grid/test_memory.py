"""A job says what memory its tasks need, and whether its own machine confines it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from p2pslinger.errors import UntrustedValueError, UsageError
from tests.grid import tasks
from tests.grid.place import HANGING, Place, until

MIB = 1 << 20


def test_a_task_gets_the_memory_that_its_job_asks_for_and_no_more(grid: Grid) -> None:
    some = grid.options(memory="200 MiB")
    assert some.submit(tasks.memory_limit).result(HANGING) == 200 * MIB
    assert some.submit(tasks.hoard, 50 * MIB).result(HANGING) == 50 * MIB
    assert isinstance(
        some.submit(tasks.hoard, 300 * MIB).exception(HANGING), MemoryError
    )
    assert grid.submit(tasks.memory_limit).result(HANGING) > 200 * MIB
    job = grid.start(tasks.memory_limit, [()], memory=100 * MIB)
    assert list(job.results()) == [100 * MIB]


@pytest.mark.usefixtures("module_place")
def test_peers_whose_owners_give_less_never_see_the_task_and_it_says_so() -> None:
    with slinger.local(2, slots=[0, 1], strangers=True, prefs={"memory": 0.01}) as grid:
        much = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 50
        future = grid.options(memory=max(much, 64 * MIB)).submit(tasks.memory_limit)
        until(lambda: excluded(grid) == [(1, "give less memory"), (1, "no slots")])
        waiting = grid.jobs()[0].waiting
        assert waiting is not None
        assert waiting.code == "no-memory"
        future.cancel()
        less = grid.options(memory=64 * MIB).submit(tasks.memory_limit)
        assert less.result(HANGING) == 64 * MIB


def test_ones_own_task_is_confined_if_one_asks_for_it(
    grid: Grid, module_place: Place
) -> None:
    secret = Path(module_place.folder / "own secret")
    secret.write_text("x")
    assert grid.submit(tasks.read, str(secret)).result(HANGING) == "x"
    shut = grid.options(sandbox=True)
    assert isinstance(shut.submit(tasks.read, str(secret)).exception(HANGING), OSError)
    assert shut.submit(tasks.square, 3).result(HANGING) == 9
    job = grid.start(tasks.read, [str(secret)], sandbox=True)
    until(lambda: job.progress.done == 1)
    assert job.progress.failed == 1


def test_what_a_confined_task_of_ones_own_returns_is_not_unpickled(grid: Grid) -> None:
    shut = grid.options(sandbox=True)
    with pytest.raises(UntrustedValueError):
        shut.submit(tasks.make_an_object).result(HANGING)
    assert grid.submit(tasks.make_an_object).result(HANGING) is not None


@pytest.mark.parametrize(
    ("memory", "why"),
    [
        ("lots", 'no size such as "2 GiB"'),
        (-1, "no size"),
        ("1 MB", "too little"),
        ("900000 TB", "more than any machine has"),
    ],
)
def test_what_is_no_size_is_refused_before_anything_is_sent(
    grid: Grid, memory: int | str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        grid.options(memory=memory)
    with pytest.raises(UsageError, match=why):
        grid.start(abs, [1], memory=memory)


def excluded(grid: Grid) -> list[tuple[int, str]]:
    waiting = grid.jobs()[0].waiting  # of the newest
    return [(one.peers, one.text) for one in waiting.excluded] if waiting else []
