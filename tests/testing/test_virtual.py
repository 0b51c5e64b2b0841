"""Virtual time: jumps, keeps its order, and lets nothing go wrong in silence."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
import time
from typing import NoReturn

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import VirtualLoop, current, run


def test_sleeping_for_an_hour_is_instant() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()

    assert run(main) == 3600
    assert time.perf_counter() - started < 5


def test_timers_due_together_fire_in_the_order_in_which_they_were_made() -> None:
    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.call_at(1.0, fired.append, number)
        await asyncio.sleep(1)
        return fired

    assert run(main) == list(range(100))


def test_a_cancelled_timer_never_fires_however_many_there_are() -> None:
    async def main() -> tuple[list[int], float]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(n, fired.append, n) for n in range(5_000)]
        for timer in timers[1:]:
            timer.cancel()
        await asyncio.sleep(0.5)
        return fired, loop.time()

    assert run(main) == ([0], 0.5)


def test_tasks_of_a_group_are_cancelled_in_the_order_in_which_they_were_made() -> None:
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(wait(number))
            group.create_task(fail())

    async def fail() -> NoReturn:
        await asyncio.sleep(1)
        raise ValueError

    with pytest.raises(ExceptionGroup):
        run(main)

    assert ended == list(range(50))


def test_the_wall_clock_goes_with_the_loop() -> None:
    async def main() -> float:
        before = current().wall()
        await asyncio.sleep(86_400)
        return current().wall() - before

    assert run(main) == 86_400


def test_what_would_run_in_a_thread_runs_inline() -> None:
    async def main() -> int:
        return await asyncio.to_thread(threading.get_ident)

    assert run(main) == threading.get_ident()


def test_an_error_of_inline_work_reaches_who_awaits_it() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)

    run(main)


def test_a_thread_that_calls_in_is_refused() -> None:
    async def main() -> None:
        refused: list[UsageError] = []
        loop = asyncio.get_running_loop()

        def call_in() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except UsageError as error:
                refused.append(error)

        thread = threading.Thread(target=call_in)
        thread.start()
        thread.join()
        assert "a thread called into" in str(refused[0])
        loop.call_soon_threadsafe(refused.clear)  # its own thread may
        await asyncio.sleep(0)
        assert not refused

    run(main)


def test_real_sockets_are_refused() -> None:
    async def main() -> None:
        with socket.socket() as real, pytest.raises(UsageError, match=r"Host\.connect"):
            asyncio.get_running_loop().add_reader(real, print)

    run(main)


def test_numeric_addresses_resolve_and_names_do_not() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("10.0.0.1", 80, type=socket.SOCK_STREAM)
        assert found[0][4] == ("10.0.0.1", 80)
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("example.org", 80)

    run(main)


def test_a_deadlock_is_an_error_that_says_who_waits_where() -> None:
    async def never_told() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.sleep(2)
        await asyncio.wait([asyncio.create_task(never_told()) for _ in range(9)])

    with pytest.raises(UsageError, match=r"deadlock at 2\.000 s .* 5 more") as caught:
        run(main, seed=3)

    assert re.search(r"never_told:\d+ > Event\.wait:\d+", str(caught.value))
    assert "seed=3" in str(caught.value.__notes__)


def test_a_run_that_does_not_end_is_stopped_at_its_limit() -> None:
    async def main() -> None:
        def tick() -> None:
            current().call_later(60, tick)

        tick()
        await asyncio.Event().wait()

    with pytest.raises(UsageError, match="still running after 3600 s"):
        run(main, limit=3600)


def test_a_task_that_goes_on_without_waiting_for_anything_is_named() -> None:
    async def hurry() -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.sleep(3)
        await hurry()

    with (
        pytest.raises(UsageError, match=r"time stands still at 3\.000 s .*hurry"),
        asyncio.Runner(loop_factory=lambda: VirtualLoop(still=1000)) as runner,
    ):
        runner.run(main())


def test_a_task_that_died_unseen_fails_the_run() -> None:
    async def die() -> NoReturn:
        raise ValueError("unseen")

    async def main() -> None:
        task = asyncio.create_task(die())
        await asyncio.sleep(1)
        assert task.done()

    with pytest.raises(ExceptionGroup) as caught:
        run(main)

    assert [str(error) for error in caught.value.exceptions] == ["unseen"]


def test_a_callback_that_failed_fails_the_run() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(divmod, 1, 0)
        await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup, match="nobody looked"):
        run(main)


def test_an_error_of_the_main_coroutine_comes_with_those_that_nobody_saw() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(divmod, 1, 0)
        await asyncio.sleep(1)
        raise KeyError("seen")

    with pytest.raises(KeyError) as caught:
        run(main)

    assert "ZeroDivisionError" in " ".join(caught.value.__notes__)


def test_what_is_left_running_is_cancelled() -> None:
    ended: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("cancelled")

    async def main() -> asyncio.Task[None]:
        task = asyncio.create_task(linger())
        await asyncio.sleep(1)
        return task

    assert run(main).cancelled()
    assert ended == ["cancelled"]


def test_chance_is_seeded_within_a_run_and_restored_after_it() -> None:
    async def main() -> float:
        return random.random()

    random.seed(5)
    expected = random.random()
    random.seed(5)

    assert run(main, seed=1) == run(main, seed=1) != run(main, seed=2)
    assert random.random() == expected


def test_outside_of_virtual_time_there_is_no_current_loop() -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match=r"virtual\.run"):
            current()

    asyncio.run(main())


def test_a_datagram_socket_needs_a_network_and_an_address(virtual: VirtualTime) -> None:
    async def main() -> None:
        loop = current()
        local = ("10.0.0.1", 1)
        with pytest.raises(UsageError, match="make a Network"):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local)
        virtual.network()
        with pytest.raises(UsageError, match="local address"):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol)
        with pytest.raises(OSError, match=r"no host 10\.0\.0\.1"):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local)

    virtual.run(main)
