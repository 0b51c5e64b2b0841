"""What only who makes slots can see: their lives, and what is left of them."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import cast

import psutil
import pytest

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.passing import PassingSocket
from tests.attacks import arsenal
from tests.attacks.scene import Scene, scene
from tests.sandbox.desk import Desk, Worker, at_a_desk, packaged

#: Bytes that a slot may have, and of a value that would pass as memory.
MEMORY, PART = 1 << 28, 16 << 20

Play = Callable[[Desk, Scene], Awaitable[None]]


def double(x: int) -> int:
    return 2 * x


async def still_works(worker: Worker) -> None:
    assert await worker.call(double, 21) == 42


def played(play: Play) -> None:
    """Play at a desk, next to what may not be harmed."""

    async def scenario(desk: Desk) -> None:
        with scene() as stage:
            await play(desk, stage)
            assert stage.harm() == []

    at_a_desk(scenario)


def test_nothing_is_left_for_the_next_submitter(confinement: Confinement) -> None:
    async def play(desk: Desk, stage: Scene) -> None:
        first = await desk.worker(confinement=confinement)
        left = await first.call(arsenal.leave_notes, stage.sights)
        strong = confinement is Confinement.STRONG
        assert left == (["."] if strong else [])
        assert await first.call(arsenal.find_notes, stage.sights) == left
        beside = await desk.worker(confinement=confinement)
        assert await beside.call(arsenal.find_notes, stage.sights) == []
        first.slot.kill()
        await first.exit()
        after = await desk.worker(confinement=confinement)
        assert await after.call(arsenal.find_notes, stage.sights) == []

    played(play)


def test_a_stopped_slot_can_be_killed(confinement: Confinement) -> None:
    """Its owner knows its process id, though inside it has another."""

    async def play(desk: Desk, stage: Scene) -> None:
        worker = await desk.worker(confinement=confinement)
        pid = worker.slot.pid
        assert pid != await worker.call(os.getpid) or confinement is Confinement.GOOD
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
        await still_works(worker)
        os.kill(pid, signal.SIGSTOP)
        worker.slot.kill()
        assert (await worker.exit()).signal == signal.SIGKILL

    played(play)


def test_a_slot_ends_with_its_daemon(confinement: Confinement) -> None:
    async def play(desk: Desk, stage: Scene) -> None:
        worker = await desk.worker(confinement=confinement)
        pid = worker.slot.pid
        await desk.launcher.close()
        await worker.exit()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    played(play)


def kept(least: int) -> list[int]:
    """Return the sizes of the memory that is behind this slot's descriptors."""
    found = []
    for descriptor in range(3, 256):
        try:
            facts = os.fstat(descriptor)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode) and facts.st_size >= least:
            found.append(facts.st_size)
    return found


def answer_at_length(size: int) -> bytes:
    return bytes(size)


def keep(value: bytes) -> int:
    """Keep descriptors of what was given, beyond the task."""
    for descriptor in range(3, 100):
        try:
            if os.fstat(descriptor).st_size >= 1 << 20:
                os.dup(descriptor)
        except OSError:
            pass
    return len(value)


def test_a_slot_can_not_hoard_memory_that_it_is_given(confinement: Confinement) -> None:
    """No limit counts memory that is only a descriptor; so it gets little of it."""

    async def play(desk: Desk, stage: Scene) -> None:
        worker = await desk.worker(confinement=confinement, memory=MEMORY)
        for _ in range(3):
            assert len(cast(bytes, await worker.call(answer_at_length, PART))) == PART
        assert await worker.call(kept, PART) == [], "no memory for its answers"
        parts = MEMORY // PART + 4
        for _ in range(parts):
            job = worker.load(packaged(keep), [bytes(PART)], form=0)
            worker.order(job, 0, 1)
            outcome = await worker.outcome()
            assert pickle.loads(outcome.values) == [PART], outcome.failures
            worker.slot.forget(job, None)
        held = cast("list[int]", await worker.call(kept, PART))
        assert sum(held) <= 2 * MEMORY, "each descriptor was copied once"
        await still_works(worker)

    played(play)


def test_descriptors_that_a_slot_sends_are_closed_by_the_kernel() -> None:
    theirs, ours = socket.socketpair()
    with theirs, PassingSocket.of(ours, takes=False) as taking:
        before = psutil.Process().num_fds()
        socket.send_fds(theirs, [b"honest words"], [theirs.fileno()] * 16)
        assert taking.recv(100) == b"honest words"
        assert psutil.Process().num_fds() == before
