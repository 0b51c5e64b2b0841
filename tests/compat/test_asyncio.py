"""A grid in an event loop, which never has to wait for it."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from itertools import count

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.compat import tasks
from tests.grid.place import HANGING, Peer, Place


async def longest_pause(end: asyncio.Event) -> float:
    """Return the longest time that the loop has been busy with one thing."""
    longest, last = 0.0, time.monotonic()
    while not end.is_set():
        await asyncio.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


def test_a_coroutine_awaits_calls_and_maps(peer: Peer) -> None:
    async def main() -> None:
        async with slinger.aconnect(data=peer.data) as grid:
            assert await grid.asubmit(pow, 2, 8) == 256
            assert await grid.asubmit(int, "11", base=2) == 3
            squares = [x async for x in grid.amap(lambda x: x * x, range(1000))]
            assert squares == [x * x for x in range(1000)]
            assert [x async for x in grid.amap(pow, [2, 3], [5, 2])] == [32, 9]
            assert [x async for x in grid.amap(abs, [])] == []
            calls = (grid.asubmit(operator.neg, i) for i in range(500))
            assert await asyncio.gather(*calls) == [-i for i in range(500)]
            with pytest.raises(RuntimeError, match="123"):
                await grid.asubmit(tasks.fail, 123)
        with pytest.raises(RuntimeError, match="has been shut down"):
            await grid.asubmit(abs, 1)

    asyncio.run(main())


def test_the_loops_own_way_to_call_an_executor_works(grid: Grid) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(grid, operator.neg, i) for i in range(50)]
        assert await asyncio.gather(*calls) == [-i for i in range(50)]
        with pytest.raises(RuntimeError, match="123"):
            await loop.run_in_executor(grid, tasks.fail, 123)

    asyncio.run(main())


def test_a_map_reads_no_further_ahead_than_it_may(grid: Grid) -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    async def main() -> None:
        seen = 0
        async for value in grid.amap(operator.neg, numbers(), buffersize=7):
            assert value == -seen
            seen += 1
            assert len(read) <= seen + 7
            if seen == 300:
                break

    asyncio.run(main())


def test_what_goes_wrong_in_a_map_is_raised_at_its_turn(grid: Grid) -> None:
    async def main() -> None:
        inverses = aiter(grid.amap(tasks.inverse, [1, 2, 0, 4]))
        assert [await anext(inverses), await anext(inverses)] == [1, 0.5]
        with pytest.raises(ZeroDivisionError):
            await anext(inverses)
        late = aiter(grid.amap(tasks.nap, [0, 60], timeout=2))
        assert await anext(late) == 0
        with pytest.raises(TimeoutError):
            await anext(late)
        with pytest.raises(slinger.PackingError):
            grid.amap(threading.Lock().acquire, [])
        broken = grid.options(initializer=tasks.fail, initargs=(1,))
        with pytest.raises(BrokenExecutor):
            await anext(aiter(broken.amap(abs, [1])))
        with pytest.raises(BrokenExecutor):
            await broken.asubmit(abs, 1)

    asyncio.run(main())


def test_a_cancelled_coroutine_frees_its_slots(grid: Grid) -> None:
    async def read_all() -> float:
        return sum([x async for x in grid.amap(tasks.nap, [0, *[600] * 20])])

    async def main() -> None:
        waiting = [asyncio.ensure_future(grid.asubmit(tasks.nap, 600))]
        waiting += [asyncio.ensure_future(read_all())]
        await asyncio.sleep(0.2)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        assert all(one.cancelled() for one in waiting)
        async with asyncio.timeout(HANGING):
            assert await grid.asubmit(abs, -1) == 1

    asyncio.run(main())


def test_leaving_the_block_waits_and_an_exception_cancels(peer: Peer) -> None:
    futures: list[Future[float]] = []

    async def fail_in_the_block() -> None:
        async with slinger.aconnect(data=peer.data) as grid:
            futures.append(grid.submit(tasks.nap, 600))
            raise LookupError

    async def main() -> None:
        async with slinger.aconnect(data=peer.data) as grid:
            future = grid.submit(tasks.nap, 0.3)
        assert future.result(0) == 0.3
        with pytest.raises(LookupError):
            await fail_in_the_block()
        assert futures[0].cancelled()

    asyncio.run(main())


def test_a_time_out_around_the_block_cancels_what_it_waits_for(peer: Peer) -> None:
    futures: list[Future[float]] = []

    async def wait_in_the_block() -> None:
        async with slinger.aconnect(data=peer.data) as grid:
            futures.append(grid.submit(tasks.nap, 600))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait_in_the_block(), 1)
        assert futures[0].cancelled()

    asyncio.run(main())


def test_the_loop_goes_on_while_megabytes_are_on_their_way(grid: Grid) -> None:
    async def main() -> None:
        end = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(longest_pause(end))
            data = bytes(32 << 20)
            sent = [await grid.asubmit(len, data) for _ in range(3)]
            assert sent == [len(data)] * 3
            end.set()
        assert watching.result() < 1.0

    asyncio.run(main())


def test_a_peer_that_cannot_start_is_an_error_of_the_block(place: Place) -> None:
    said = place.run(
        """
import asyncio
import p2pslinger as slinger

async def main():
    try:
        async with slinger.aconnect():
            pass
    except slinger.UnavailableError as error:
        print(error)

asyncio.run(main())
""",
        SLINGER_AUTHKEY="secret",
        SLINGER_DATA=str(place.folder / "other"),
    )
    assert "this is no authkey" in said


def test_a_program_without_a_loop_does_not_import_asyncio() -> None:
    look = "import sys, p2pslinger.client.grid; print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
