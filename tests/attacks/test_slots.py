"""What only who makes slots can see: their lives, and what is left of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from p2pslinger.sandbox.confine.confinement import Confinement
from tests.attacks import arsenal
from tests.attacks.scene import Scene, scene
from tests.sandbox.desk import Desk, Worker, at_a_desk

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
