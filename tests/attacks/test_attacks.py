"""Attacks by an ordinary task in a slot for others' work, and what becomes of each.

Whatever a task tries, the owner's things are as before, the slot goes on or is
replaced, and other slots notice nothing. The same attacks without a sandbox show that
each works.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.slot import Failure
from tests.attacks import arsenal
from tests.attacks.arsenal import ATTACKS, Attack
from tests.attacks.conftest import Shown
from tests.attacks.scene import KEY, Scene, scene
from tests.sandbox.desk import Desk, Worker, at_a_desk, packaged, until

#: Bytes that a slot may have: far less than a bomb takes, as much as Python needs.
MEMORY = 1 << 28

Play = Callable[[Desk, Scene], Awaitable[None]]


@pytest.fixture(autouse=True)
def a_secret_in_the_daemons_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLINGER_AUTHKEY", KEY)


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


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_without_a_sandbox_the_attack_works(attack: Attack, shown: Shown) -> None:
    word, harm = shown[attack.__name__]
    assert word.startswith("got "), word
    if attack.__name__.startswith("end_a_program"):
        assert harm == ["a program was ended"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_an_attack_is_refused_and_the_slot_goes_on(
    attack: Attack, confinement: Confinement
) -> None:
    async def play(desk: Desk, stage: Scene) -> None:
        bystander = await desk.worker(confinement=confinement)
        attacker = await desk.worker(memory=MEMORY, confinement=confinement)
        refused = await attacker.call(attack, stage.sights)
        assert isinstance(refused, Failure), refused
        assert refused.type in ATTACKS[attack], refused.traceback
        await still_works(attacker)
        await still_works(bystander)

    played(play)


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


def test_a_loop_that_ignores_signals_ends_when_its_slot_is_killed(
    confinement: Confinement,
) -> None:
    async def play(desk: Desk, stage: Scene) -> None:
        bystander = await desk.worker(confinement=confinement)
        looping = await desk.worker(confinement=confinement)
        job = looping.load(packaged(arsenal.loop_for_ever), [stage.sights])
        looping.order(job, 0, 1)
        await until(lambda: looping.slot.index is not None)
        await still_works(bystander)
        looping.slot.kill()
        assert (await looping.exit()).signal == signal.SIGKILL
        await still_works(bystander)

    played(play)


def test_a_slot_that_speaks_for_its_runner_is_killed_alone(
    confinement: Confinement,
) -> None:
    async def play(desk: Desk, stage: Scene) -> None:
        bystander = await desk.worker(confinement=confinement)
        liar = await desk.worker(confinement=confinement)
        ended = await liar.die(arsenal.speak_for_the_runner, stage.sights)
        assert ended.signal == signal.SIGKILL
        await still_works(bystander)
        await still_works(await desk.worker(confinement=confinement))

    played(play)


def test_a_crash_says_how_it_ended_and_dumps_nothing(confinement: Confinement) -> None:
    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    async def play(desk: Desk, stage: Scene) -> None:
        ended = await (await desk.worker(confinement=confinement)).die(crash)
        assert ended.signal == signal.SIGSEGV
        assert b"Segmentation fault" in ended.output

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
