"""A slot is stopped where it is, with all its threads and children, and goes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.reins import Reins, below
from tests.sandbox.desk import (
    PATIENCE,
    Desk,
    Worker,
    at_a_desk,
    packaged,
    with_a_worker,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

#: Processor seconds that a task is given before it is stopped, and seconds for which
#: it is watched then.
WARM, STILL = 0.1, 0.2


def burn(seconds: float) -> str:
    """Use the processor for so long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return "burnt"


def burn_with_threads(seconds: float) -> str:
    """Use the processor in two threads."""
    other = threading.Thread(target=burn, args=(seconds,))
    other.start()
    burn(seconds)
    other.join()
    return "burnt"


def burn_in_a_child(seconds: float) -> str:
    """Have another process use the processor."""
    code = f"import time\nwhile time.process_time() < {seconds}: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    return "burnt"


async def used(worker: Worker, more: float) -> float:
    """Wait until a slot has used so much more of the processor."""
    aim = worker.slot.used + more
    async with asyncio.timeout(PATIENCE):
        while worker.slot.used < aim:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    return worker.slot.used


@pytest.mark.parametrize("task", [burn, burn_with_threads, burn_in_a_child])
def test_a_suspended_slot_uses_nothing_and_goes_on_where_it_was(task: object) -> None:
    async def scenario(worker: Worker) -> None:
        assert callable(task)
        job = worker.load(packaged(task), [0.5])
        worker.order(job, 0, 1)
        await used(worker, WARM)
        worker.slot.suspend()
        before = worker.slot.used
        await asyncio.sleep(STILL)
        assert worker.slot.used - before < 0.02
        assert worker.outcomes.empty()
        worker.slot.resume()
        outcome = await worker.outcome()
        assert outcome.failures == ()
        assert outcome.cpu >= 0.4

    with_a_worker(scenario)


@pytest.mark.parametrize("kind", [Confinement.GOOD, Confinement.STRONG])
def test_a_confined_slot_is_stopped_as_well(kind: Confinement) -> None:
    async def scenario(desk: Desk) -> None:
        try:
            worker = await desk.worker(confinement=kind)
        except UnavailableError as error:
            pytest.skip(str(error))
        job = worker.load(packaged(burn), [0.6])
        worker.order(job, 0, 1)
        await used(worker, WARM)
        worker.slot.suspend()
        before = worker.slot.used
        await asyncio.sleep(STILL)
        assert worker.slot.used - before < 0.02
        worker.slot.resume()
        assert (await worker.outcome()).failures == ()

    at_a_desk(scenario)


def test_a_suspended_slot_can_be_killed() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(burn), [60.0])
        worker.order(job, 0, 1)
        await used(worker, WARM)
        worker.slot.suspend()
        worker.slot.kill()
        assert (await worker.exit()).signal == 9
        worker.slot.suspend()
        worker.slot.resume()
        assert worker.slot.used >= WARM

    with_a_worker(scenario)


def test_what_is_below_a_process_is_found_down_to_the_last() -> None:
    inner = "import time; print('up', flush=True); time.sleep(60)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert len(list(below(process.pid))) == 1
        reins = Reins(process.pid)
        reins.stop()
        reins.go()
        reins.close()
    finally:
        for pid in [*below(process.pid), process.pid]:
            subprocess.run(["kill", "-9", str(pid)], check=True)
        process.communicate()


def test_a_process_that_has_ended_is_left_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    reins = Reins(process.pid)  # the number may be somebody else's
    reins.stop()
    reins.go()
    assert reins.used() == 0.0
    reins.close()
