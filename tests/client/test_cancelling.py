"""Cancelling: as often as one likes, from anywhere, and nothing is kept of it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait

from p2pslinger.client.calls import Calls
from p2pslinger.wire.control import CloseJob, Withdraw
from tests.client.scripted import HANGING, scalars, scripted_grid


def test_a_future_can_be_cancelled_again_and_again() -> None:
    with scripted_grid() as (peer, grid):
        future = grid.submit(abs, 1)
        handle = peer.open_job()
        peer.take(1)

        assert [future.cancel() for _ in range(3)] == [True] * 3
        assert peer.expect(Withdraw)[1] == Withdraw(handle, 0, 1)
        grid.submit(abs, 2)
        peer.take(1)  # the next that it hears: it was told once
        assert wait([future], HANGING).done == {future}


def test_many_threads_may_cancel_the_same_future() -> None:
    with scripted_grid() as (peer, grid):
        futures = [grid.submit(abs, i) for i in range(200)]
        peer.open_job()
        peer.take(200)
        agreed: list[bool] = []

        def cancel() -> None:
            agreed.extend(future.cancel() for future in futures)

        threads = [threading.Thread(target=cancel) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGING)
        assert agreed == [True] * 800


def test_shutting_down_after_a_cancellation_closes_everything() -> None:
    with scripted_grid() as (peer, grid):
        futures = [grid.submit(abs, i) for i in range(5)]
        handle = peer.open_job()
        peer.take(5)
        futures[3].cancel()
        peer.expect(Withdraw)
        grid.shutdown(cancel_futures=True)

        assert peer.expect(CloseJob)[1].handle == handle
        assert all(future.cancelled() for future in futures)


def test_nothing_is_kept_of_a_cancelled_call() -> None:
    told: list[int] = []
    calls = Calls((), lambda _, position: told.append(position))
    futures = [calls.add((i,), {}) for i in range(5)]
    calls.pack()
    for future in futures[1:]:
        future.cancel()

    assert told == [1, 2, 3, 4]
    assert calls.futures() == futures[:1]


def test_a_result_that_comes_too_late_for_a_cancelled_call_is_dropped() -> None:
    with scripted_grid() as (peer, grid):
        first, second = grid.submit(abs, 1), grid.submit(abs, 2)
        handle = peer.open_job()
        peer.take(2)
        first.cancel()
        peer.expect(Withdraw)
        peer.results(handle, scalars(0, 2, [1, 2]))

        assert second.result(HANGING) == 2
        assert first.cancelled()


def test_a_callback_may_cancel_others() -> None:
    with scripted_grid() as (peer, grid):
        first, second = grid.submit(abs, 1), grid.submit(abs, 2)
        handle = peer.open_job()
        peer.take(2)

        def cancel_the_other(_: Future[int]) -> None:
            second.cancel()

        first.add_done_callback(cancel_the_other)
        peer.results(handle, scalars(0, 1, [1]))
        assert peer.expect(Withdraw)[1] == Withdraw(handle, 1, 2)
        assert second.cancelled()
