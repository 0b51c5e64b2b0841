"""A task that speaks to the daemon in the runner's place gets its slot killed."""

from __future__ import annotations

import gc
import math
import os
import signal
import socket
import threading

import pytest

from p2pslinger.sandbox import frames
from tests.sandbox.desk import Worker, decoded, packaged, with_a_worker

BODY = (1, 1, 0, False, 0.0, 0.0, 0, 0)


def framed(*fields: object, kind: int = frames.DONE, rest: bytes = b"") -> bytes:
    body = frames.DONE_BODY.pack(*fields) + rest
    return frames.HEAD.pack(kind, len(body)) + body


def say(data: bytes) -> None:
    """Write to the slot's socket, and wait to be killed for it."""
    sockets = [o for o in gc.get_objects() if isinstance(o, socket.socket)]
    for sock in sockets:
        if sock.fileno() >= 0:
            sock.sendall(data)
    threading.Event().wait()


LIES = {
    "noise": b"\x00" * 64,
    "a kind that only the daemon sends": framed(*BODY, kind=frames.RUN),
    "an endless frame": frames.HEAD.pack(frames.DONE, 2**32 - 1),
    "a frame too short": frames.HEAD.pack(frames.DONE, 3) + b"abc",
    "another order": framed(2, *BODY[1:]),
    "more tasks than ordered": framed(1, 2, *BODY[2:]),
    "a form that there is not": framed(1, 1, 9, *BODY[3:]),
    "values in memory that it was not given": framed(*BODY[:-1], 100),
    "no number": framed(1, 1, 0, False, math.nan, 0.0, 0, 0),
    "negative time": framed(1, 1, 0, False, 0.0, -1.0, 0, 0),
    "endless time": framed(1, 1, 0, False, math.inf, 0.0, 0, 0),
    "a time that no result can hold": framed(1, 1, 0, False, 0.0, 1e13, 0, 0),
    "more failures than tasks": framed(*BODY[:-2], 2, 0),
    "failures cut short": framed(*BODY[:-2], 1, 0),
    "a failure of another task": framed(
        *BODY[:-2], 1, 0, rest=frames._FAILURE.pack(1, 0, 0, 0, 0, 0)
    ),
    "a failure with endless texts": framed(
        *BODY[:-2], 1, 0, rest=frames._FAILURE.pack(0, 2**32 - 1, 0, 0, 0, 0)
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_slot_that_lies_is_killed(lie: str) -> None:
    async def scenario(worker: Worker) -> None:
        ended = await worker.die(say, LIES[lie])
        assert ended.signal == signal.SIGKILL
        assert worker.outcomes.empty()

    with_a_worker(scenario)


def test_a_lie_that_is_well_made_is_one_outcome_and_no_more() -> None:
    async def scenario(worker: Worker) -> None:
        ended = await worker.die(say, framed(*BODY) * 2)
        assert ended.signal == signal.SIGKILL
        assert worker.outcomes.qsize() == 1

    with_a_worker(scenario)


def test_a_mark_promised_but_not_sent_blocks_nobody() -> None:
    async def scenario(worker: Worker) -> None:
        promised = framed(1, 1, 0, True, 0.0, 0.0, 0, 0)
        job = worker.load(packaged(say), [promised])
        worker.order(job, 0, 1)
        assert (await worker.outcome()).output == b""

    with_a_worker(scenario)


def test_a_slot_that_closes_its_socket_is_killed() -> None:
    def close_all() -> None:
        os.closerange(3, 100)
        threading.Event().wait()

    def close_and_return() -> None:
        os.closerange(3, 100)

    async def scenario(worker: Worker) -> None:
        ended = await worker.die(close_all)
        assert (ended.signal, ended.index) == (signal.SIGKILL, 0)

    async def returning(worker: Worker) -> None:
        ended = await worker.die(close_and_return)
        assert ended.index in {0, None}

    with_a_worker(scenario)
    with_a_worker(returning)


def test_the_shared_memory_can_not_be_truncated() -> None:
    def truncate(x: int) -> None:
        for descriptor in range(3, 100):
            try:
                os.ftruncate(descriptor, 0)
            except OSError:
                pass

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(truncate), range(2))
        worker.order(job, 0, 2)
        assert decoded(await worker.outcome()) == [None, None]

    with_a_worker(scenario)


def test_a_lie_about_the_task_at_hand_is_no_task() -> None:
    def lie() -> None:
        for cells in [o for o in gc.get_objects() if isinstance(o, memoryview)]:
            if cells.format == "Q":
                cells[frames.AT] = 77
        os._exit(0)

    async def scenario(worker: Worker) -> None:
        ended = await worker.die(lie)
        assert ended.index in {0, None}

    with_a_worker(scenario)


def test_a_slot_goes_on_after_a_task_that_only_looked_hostile() -> None:
    def odd(x: int) -> int:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        signal.alarm(1000)
        return x

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(odd), range(3))
        worker.order(job, 0, 3)
        assert decoded(await worker.outcome()) == [0, 1, 2]

    with_a_worker(scenario)


def test_more_failures_than_a_result_can_hold_are_a_lie() -> None:
    many = frames.FAILURES + 1
    failures = b"".join(frames._FAILURE.pack(i, 0, 0, 0, 0, 0) for i in range(many))
    lie = framed(1, many, *BODY[2:-1], many, rest=failures)

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(say), [lie] * many)
        worker.order(job, 0, many)
        assert (await worker.exit()).signal == signal.SIGKILL
        assert worker.outcomes.empty()

    with_a_worker(scenario)
