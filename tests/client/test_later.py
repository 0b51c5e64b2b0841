"""Big results stay with the peer until they are read, and are let go when they were."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import msgspec
import pytest

from p2pslinger.client.feeding import put_all
from p2pslinger.client.grid import Grid
from p2pslinger.client.packing import pack_function
from p2pslinger.client.parts import AHEAD, RANGES
from p2pslinger.client.rows import Rows
from p2pslinger.client.session import Session
from p2pslinger.errors import UnavailableError
from p2pslinger.wire.control import Blob, GetValues, JobEnded, RangeOut, Seal
from p2pslinger.wire.manifest import Policy
from tests.client.scripted import (
    ScriptedPeer,
    elsewhere,
    is_quiet,
    scalars,
    scripted_grid,
    scripted_peer,
)

#: Bytes that one value is said to have: a quarter of what is asked for ahead.
BIG = AHEAD // 4


def big(task: int, size: int = BIG) -> RangeOut:
    """Return the result of one task, which the peer has."""
    return msgspec.structs.replace(
        elsewhere(task, task + 1, bytes([task]) * 32), size=size
    )


def give(peer: ScriptedPeer, *tasks: int) -> None:
    """Answer the program's next requests, which must be for these values."""
    asked = [peer.expect(GetValues) for _ in tasks]
    assert [(ask.digest[0], ask.wanted) for _, ask in asked] == [
        (task, True) for task in tasks
    ]
    for number, ask in asked:
        data = pickle.dumps([ask.digest[0]])
        peer.reply_body(number, Blob(len(data)), data)


@contextmanager
def answering(peer: ScriptedPeer, *tasks: int) -> Iterator[None]:
    """Answer requests while a program waits for the answers."""
    thread = threading.Thread(target=give, args=(peer, *tasks))
    thread.start()
    yield
    thread.join()


def declined(peer: ScriptedPeer, count: int) -> set[int]:
    """Return which values the program says that it does not want."""
    asked = [peer.expect(GetValues)[1] for _ in range(count)]
    assert not any(ask.wanted for ask in asked)
    return {ask.digest[0] for ask in asked}


def mapped(peer: ScriptedPeer, grid: Grid, count: int) -> tuple[int, Iterator[int]]:
    """Map a function; return the job's handle and the results to come."""
    values = grid.map(abs, list(range(count)))
    handle = peer.open_job()
    peer.take(count)
    return handle, values


def test_values_are_asked_for_as_far_ahead_as_there_is_room() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 8)
        peer.results(handle, *map(big, range(8)))
        give(peer, 0, 1, 2, 3)
        assert is_quiet(peer)

        assert next(values) == 0  # and as long as the program works with it
        assert is_quiet(peer)
        assert next(values) == 1
        give(peer, 4)
        assert is_quiet(peer)
        assert [next(values), next(values)] == [2, 3]
        give(peer, 5, 6)
        assert next(values) == 4
        give(peer, 7)
        assert list(values) == [5, 6, 7]


def test_what_comes_out_of_order_is_asked_for_in_order() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 6)
        peer.results(handle, big(5), big(4), big(3))
        assert is_quiet(peer)

        peer.results(handle, scalars(0, 3, [0, 1, 2]))
        give(peer, 3, 4, 5)
        assert list(values) == [0, 1, 2, 3, 4, 5]


def test_a_value_larger_than_the_room_for_it_comes_alone() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 2)
        peer.results(handle, big(0, 3 * AHEAD), big(1))
        give(peer, 0)
        assert is_quiet(peer)
        assert next(values) == 0
        with answering(peer, 1):
            assert list(values) == [1]


def test_many_small_ones_are_asked_for_a_few_at_a_time() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 2 * RANGES)
        peer.results(handle, *(big(task, 1) for task in range(2 * RANGES)))
        for task in range(RANGES):
            give(peer, task)
        assert is_quiet(peer)
        assert next(values) == 0
        assert next(values) == 1
        give(peer, RANGES)
        values.close()  # type: ignore[attr-defined]


def test_values_that_nobody_will_read_are_declined() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 6)
        peer.results(handle, *map(big, range(6)))
        give(peer, 0, 1, 2, 3)
        assert is_quiet(peer)

        assert next(values) == 0
        values.close()  # type: ignore[attr-defined]
        assert declined(peer, 2) == {4, 5}


def test_values_of_a_map_that_nobody_ever_looks_at_are_declined() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 5)
        peer.results(handle, *map(big, range(5)))
        give(peer, 0, 1, 2, 3)
        assert is_quiet(peer)

        del values
        gc.collect()
        assert declined(peer, 1) == {4}


def test_the_end_of_a_grid_brings_what_can_still_be_read() -> None:
    with scripted_peer() as (peer, link):
        grid = Grid(link, trust="mine")
        handle, values = mapped(peer, grid, 6)
        peer.results(handle, *map(big, range(6)))
        give(peer, 0, 1, 2, 3)
        assert is_quiet(peer)

        grid.shutdown(wait=False)
        give(peer, 4, 5)
        assert list(values) == [0, 1, 2, 3, 4, 5]


def test_values_that_do_not_come_fail_their_own_tasks() -> None:
    with scripted_grid() as (peer, grid):
        handle, values = mapped(peer, grid, 2)
        peer.results(handle, big(0), scalars(1, 2, [1]))
        number, _ = peer.expect(GetValues)
        peer.fail(number, "unavailable", "these values are no longer here")
        with pytest.raises(UnavailableError, match="no longer here"):
            next(values)


def test_a_coroutine_asks_for_values_as_it_goes_on() -> None:
    with scripted_grid() as (peer, grid):

        async def read() -> list[int]:
            values = grid.amap(abs, list(range(6)))
            first = asyncio.ensure_future(anext(values))
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()

            def answer() -> None:
                handle = peer.open_job()
                peer.take(6)
                peer.results(handle, *map(big, range(6)))
                give(peer, 0, 1, 2, 3)
                assert is_quiet(peer)

            await loop.run_in_executor(None, answer)
            found = [await first, await anext(values)]
            await loop.run_in_executor(None, give, peer, 4)
            found.append(await anext(values))
            await loop.run_in_executor(None, give, peer, 5)
            return found + [value async for value in values]

        assert asyncio.run(read()) == [0, 1, 2, 3, 4, 5]


# --- started jobs -------------------------------------------------------------------


@contextmanager
def started(count: int) -> Iterator[tuple[ScriptedPeer, int, Rows]]:
    """Start a job; give the peer, the job's handle, and its results."""
    with scripted_peer() as (peer, link):
        session, rows = Session(link, "mine", None), Rows(keep=True)
        stream = session.stream()
        package = pack_function(abs)
        stream.open("job", package, Policy())
        put_all(stream, rows, package, list(range(count)), star=False)
        stream.seal()
        handle = peer.open_job()
        peer.take(count)
        peer.expect(Seal)
        try:
            yield peer, handle, rows
        finally:
            session.close()


def test_results_that_fit_are_kept_to_be_read_again() -> None:
    with started(4) as (peer, handle, rows):
        peer.results(handle, *map(big, range(4)))
        give(peer, 0, 1, 2, 3)
        assert list(rows.read()) == [0, 1, 2, 3]
        assert list(rows.read()) == [0, 1, 2, 3]
        assert is_quiet(peer)


def test_results_that_do_not_fit_are_asked_for_again() -> None:
    with started(6) as (peer, handle, rows):
        peer.results(handle, *map(big, range(6)))
        give(peer, 0, 1, 2, 3)
        values = rows.read()
        assert next(values) == 0
        assert is_quiet(peer)
        assert next(values) == 1
        give(peer, 4)
        assert next(values) == 2
        give(peer, 5)
        assert list(values) == [3, 4, 5]
        with answering(peer, 4, 5):
            assert list(rows.read_ready(since=4)) == [(4, 4), (5, 5)]


def test_values_that_did_not_come_are_asked_for_again_by_the_next_reader() -> None:
    with started(1) as (peer, handle, rows):
        peer.results(handle, big(0))
        number, _ = peer.expect(GetValues)
        peer.fail(number, "unavailable", "nobody in reach has them")
        (error,) = rows.read(errors="return")
        assert "nobody in reach" in str(error)
        assert rows.failed == 0  # the task has not

        with answering(peer, 0):
            assert list(rows.read()) == [0]
        assert rows.failed == 0


def test_a_cancelled_job_is_closed_when_nobody_can_read_it_any_more() -> None:
    with started(7) as (peer, handle, rows):
        peer.results(handle, *map(big, range(6)))
        give(peer, 0, 1, 2, 3)
        peer.push(JobEnded(handle, "cancelled", "the job was cancelled"))
        assert is_quiet(peer)

        values = cast("Iterator[int]", rows.read())
        found = [next(values), next(values)]
        give(peer, 4)
        found.append(next(values))
        give(peer, 5)
        found += [next(values) for _ in range(3)]
        assert found == [0, 1, 2, 3, 4, 5]
        with pytest.raises(UnavailableError, match="was cancelled"):
            next(values)
