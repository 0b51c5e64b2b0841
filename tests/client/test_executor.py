"""What an executor's options come to in what is said to the peer, and when."""

from __future__ import annotations

import asyncio
import pickle
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from p2pslinger.client.initializer import Initializer
from p2pslinger.client.packing import pack_function
from p2pslinger.client.session import ShutDownError
from p2pslinger.client.values import RemoteTraceback
from p2pslinger.sandbox.prepared import InitializerFailedError
from p2pslinger.wire.control import Append, AppendBig, CloseJob, OpenJob, RangeOut
from p2pslinger.wire.records import Failure
from tests.client.scripted import (
    HANGING,
    is_quiet,
    scalars,
    scripted_grid,
    scripted_peer,
)

TRACEBACK = "Traceback: the initializer's own lines"


def prepare(*_: object) -> None:
    """Stand for an initializer."""


def failing(start: int, stop: int, type_name: str) -> RangeOut:
    """Return a stranger's range of tasks that failed; its pickle must not be read."""
    failures = tuple(
        Failure(i, "raised", type_name, "no disk", TRACEBACK, "", "there", b"\x80junk")
        for i in range(start, stop)
    )
    peer, none = bytes(20), pickle.dumps([None] * (stop - start))
    return RangeOut(start, stop, 0, none, b"", 0, failures, peer, False, 0.0, 0.0, b"")


UNREADY = f"{InitializerFailedError.__module__}.{InitializerFailedError.__qualname__}"


# --- initializers ---------------------------------------------------------------------


def test_a_failed_initializer_is_known_from_strangers_too_and_ends_its_jobs() -> None:
    with scripted_peer() as (peer, link):
        grid = Grid(link, trust="safe", initializer=prepare)
        first = grid.submit(abs, 1)
        handle = peer.open_job()
        peer.take(1)
        second = grid.submit(abs, 2)
        peer.take(1)
        other = grid.options(timeout=5).submit(abs, 3)
        second_handle = peer.open_job()
        peer.take(1)
        peer.results(handle, failing(0, 1, UNREADY))

        for future in (first, second, other):
            error = future.exception(HANGING)
            assert isinstance(error, BrokenExecutor)
            assert isinstance(error, slinger.TaskError)
            assert str(error) == "no disk"
            assert isinstance(error.__cause__, RemoteTraceback)
        closed = {peer.expect(CloseJob)[1].handle for _ in range(2)}
        assert closed == {handle, second_handle}
        with pytest.raises(BrokenExecutor, match="no disk"):
            grid.submit(abs, 4)
        grid.shutdown()


def test_a_failed_task_that_only_sounds_like_it_breaks_nothing() -> None:
    with scripted_grid() as (peer, grid):
        first, second = grid.submit(abs, 1), grid.submit(abs, 2)
        handle = peer.open_job()
        peer.take(2)
        peer.results(handle, failing(0, 1, "elsewhere.InitializerError"))
        peer.results(handle, scalars(1, 2, [2]))

        assert isinstance(first.exception(HANGING), slinger.RemoteError)
        assert second.result(HANGING) == 2


def test_a_function_with_an_initializer_is_packed_once() -> None:
    first = Initializer(prepare, ("x",))
    assert first.before(abs) is first.before(abs)
    assert first.before(abs)(-1) == 1
    package = pack_function(first.before(abs))
    assert pack_function(first.before(abs)) is package
    assert package.name == "abs"
    assert package.code != pack_function(abs).code
    functions = [lambda x, i=i: x + i for i in range(1000)]
    for function in functions:
        first.before(function)
    kept = weakref.ref(functions[0])
    functions.clear()
    assert kept() is None, "no more than the last few are kept alive"


def test_the_same_function_with_and_without_initializer_are_two_jobs() -> None:
    with scripted_grid() as (peer, grid):
        grid.submit(abs, 1)
        plain = peer.open_job()
        peer.take(1)
        grid.options(initializer=prepare).submit(abs, 2)
        assert peer.open_job() != plain
        peer.take(1)


# --- looking ahead --------------------------------------------------------------------


def test_a_map_sends_as_many_arguments_as_it_may_and_more_when_it_is_read() -> None:
    with scripted_grid() as (peer, grid):
        results = grid.map(abs, iter(range(100)), buffersize=8)
        handle = peer.open_job()
        peer.take(8)
        assert is_quiet(peer)
        peer.results(handle, scalars(0, 8, [*range(8)]))
        assert next(results) == 0
        assert is_quiet(peer), "a message for each result would cost too much"
        assert next(results) == 1
        peer.take(2)
        assert [next(results) for _ in range(2)] == [2, 3]
        peer.take(2)
        assert is_quiet(peer)


def test_a_map_ends_where_its_arguments_do() -> None:
    with scripted_grid() as (peer, grid):
        results = grid.map(abs, iter(range(5)), buffersize=4)
        handle = peer.open_job()
        peer.take(4)
        peer.results(handle, scalars(0, 4, [0, 1, 2, 3]))
        assert next(results) == 0
        peer.take(1)
        peer.results(handle, scalars(4, 5, [4]))
        assert list(results) == [1, 2, 3, 4]


def test_an_argument_that_cannot_be_sent_ends_the_map_that_looks_ahead() -> None:
    def arguments() -> Iterator[object]:
        yield 1
        yield threading.Lock()

    with scripted_grid() as (peer, grid):
        with pytest.raises(slinger.PackingError):
            grid.map(abs, arguments(), buffersize=2)
        results = grid.map(abs, arguments(), buffersize=1)
        handle = peer.open_job()
        peer.take(1)
        peer.results(handle, scalars(0, 1, [1]))
        with pytest.raises(slinger.PackingError):
            next(results)


# --- event loops ----------------------------------------------------------------------


def test_a_loop_never_waits_for_a_peer_that_does_not_listen() -> None:
    with scripted_grid() as (peer, grid):

        async def main() -> None:
            calls = [grid.asubmit(len, bytes(8 << 20)) for _ in range(3)]
            tasks = [asyncio.ensure_future(call) for call in calls]
            mapping = asyncio.ensure_future(
                anext(aiter(grid.amap(len, [bytes(8 << 20)] * 3)))
            )
            _, waiting = await asyncio.wait([*tasks, mapping], timeout=0.2)
            assert len(waiting) == 4
            for one in waiting:
                one.cancel()
            await asyncio.wait(waiting)

        asyncio.run(main())
        assert isinstance(peer.hear().message, OpenJob)
        assert isinstance(peer.hear().message, AppendBig)


def test_results_that_come_when_the_loop_has_ended_disturb_nobody() -> None:
    with scripted_grid() as (peer, grid):

        async def main() -> None:
            task = asyncio.ensure_future(anext(aiter(grid.amap(abs, [-1, -2]))))
            await asyncio.sleep(0)
            assert not task.done()

        asyncio.run(main())
        handle = peer.open_job()
        assert isinstance(peer.hear().message, Append)
        peer.results(handle, scalars(0, 2, [1, 2]))
        future = grid.submit(abs, -3)
        peer.hear()
        peer.results(handle, scalars(2, 3, [3]))
        assert future.result(HANGING) == 3


def test_a_peer_that_goes_ends_what_a_loop_waits_for() -> None:
    with scripted_grid() as (peer, grid):

        async def main() -> None:
            call = asyncio.ensure_future(grid.asubmit(abs, -1))
            mapping = asyncio.ensure_future(anext(aiter(grid.amap(abs, [-1]))))
            await asyncio.sleep(0.1)
            peer.socket.close()
            for one in (call, mapping):
                with pytest.raises(BrokenExecutor):
                    await one

        asyncio.run(main())


# --- the end --------------------------------------------------------------------------


def test_a_grid_that_was_shut_down_raises_what_every_executor_does() -> None:
    with scripted_grid() as (_, grid):
        grid.shutdown()
        with pytest.raises(ShutDownError) as caught:
            grid.submit(abs, 1)
        assert isinstance(caught.value, RuntimeError)
        assert isinstance(caught.value, slinger.UsageError)
