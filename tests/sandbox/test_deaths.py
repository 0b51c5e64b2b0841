"""A task that ends its process is named, and all that it started goes with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from p2pslinger.errors import UnavailableError
from tests.sandbox.desk import (
    PATIENCE,
    Desk,
    Worker,
    at_a_desk,
    decoded,
    packaged,
    until,
    with_a_worker,
)

#: Seconds that killed processes get to be gone.
GONE = 10.0


def forever() -> None:
    threading.Event().wait()


def gone(pids: list[int]) -> bool:
    """Wait until none of these processes is left; zombies of others don't count."""
    processes = []
    for pid in pids:
        try:
            processes.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            pass
    _, alive = psutil.wait_procs(processes, timeout=GONE)
    return not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


async def have_gone(pids: list[int]) -> bool:
    return await asyncio.to_thread(gone, pids)


def test_an_exit_code_a_signal_and_a_crash_are_told_apart() -> None:
    def leave() -> None:
        print("last words")
        os._exit(7)

    def shoot() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    async def scenario(desk: Desk) -> None:
        ended = await (await desk.worker()).die(leave)
        assert (ended.code, ended.signal, ended.index) == (7, None, 0)
        assert ended.output == b"last words\n"
        assert ended.peak_memory > 1 << 20
        ended = await (await desk.worker()).die(shoot)
        assert (ended.code, ended.signal, ended.index) == (None, signal.SIGKILL, 0)
        ended = await (await desk.worker()).die(crash)
        assert ended.signal == signal.SIGSEGV
        assert b"Segmentation fault" in ended.output

    at_a_desk(scenario)


def test_the_task_that_was_running_is_named_and_earlier_runs_are_delivered() -> None:
    def deadly(x: int) -> int:
        if x == 7:
            os._exit(1)
        return x

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(deadly), range(10))
        worker.order(job, 0, 5, start=100)
        worker.order(job, 5, 10, start=100)
        ended = await worker.exit()
        assert ended.index == 107
        assert decoded(await worker.outcome()) == [0, 1, 2, 3, 4]
        assert worker.outcomes.empty()

    with_a_worker(scenario)


def test_a_function_whose_loading_ends_the_process_is_charged_to_its_first_task() -> (
    None
):
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[int]]:
            return os._exit, (9,)

    bomb = Bomb()

    def harmless() -> object:
        return bomb

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(harmless), range(10))
        worker.order(job, 3, 10)
        ended = await worker.exit()
        assert (ended.code, ended.index) == (9, 3)

    with_a_worker(scenario)


def test_a_slot_that_ends_between_runs_names_no_task() -> None:
    def delayed() -> None:
        threading.Timer(0.01, os._exit, (5,)).start()

    async def scenario(worker: Worker) -> None:
        assert await worker.call(delayed) is None
        ended = await worker.exit()
        assert (ended.code, ended.index) == (5, None)

    with_a_worker(scenario)


def test_killing_a_slot_ends_a_task_that_never_would() -> None:
    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(forever), [((), {})], form=2)
        worker.order(job, 0, 1)
        await until(lambda: worker.slot.index is not None)
        worker.slot.kill()
        ended = await worker.exit()
        assert (ended.signal, ended.index) == (signal.SIGKILL, 0)
        worker.slot.kill()
        worker.order(job, 0, 1)
        worker.slot.withdraw()
        assert worker.slot.index is None

    with_a_worker(scenario)


def test_killing_a_stopped_slot_works_too() -> None:
    def stop() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    async def scenario(worker: Worker) -> None:
        job = worker.load(packaged(stop), [((), {})], form=2)
        worker.order(job, 0, 1)
        process = psutil.Process(worker.slot.pid)
        await until(lambda: process.status() == psutil.STATUS_STOPPED)
        worker.slot.kill()
        assert (await worker.exit()).signal == signal.SIGKILL

    with_a_worker(scenario)


def spawn(how: str) -> int:
    """Leave a process behind: a child, one in its own session, or a daemon."""
    told, tell = os.pipe()
    if os.fork() == 0:
        if how != "child":
            os.setsid()
        if how == "daemon" and os.fork():
            os._exit(0)
        os.write(tell, os.getpid().to_bytes(4, "little"))
        signal.pause()
    return int.from_bytes(os.read(told, 4), "little")


@pytest.mark.parametrize("how", ["child", "session", "daemon"])
def test_what_a_task_started_dies_with_its_slot(how: str) -> None:
    async def scenario(desk: Desk) -> None:
        worker, other = await desk.worker(), await desk.worker()
        left = [await worker.call(spawn, how) for _ in range(3)]
        kept = await other.call(spawn, how)
        pids = [pid for pid in left if isinstance(pid, int)]
        assert isinstance(kept, int)
        assert all(map(psutil.pid_exists, [*pids, kept]))
        worker.slot.kill()
        await worker.exit()
        assert await have_gone(pids)
        assert psutil.pid_exists(kept), "another slot's"
        other.slot.kill()
        await other.exit()
        assert await have_gone([kept])

    at_a_desk(scenario)


def chain(length: int) -> list[int]:
    """Leave processes behind, each the child of the last, in sessions of their own."""
    told, tell = os.pipe()
    if os.fork() == 0:
        for _ in range(length):
            os.setsid()
            os.write(tell, os.getpid().to_bytes(4, "little"))
            if os.fork():
                break
        signal.pause()
    return [int.from_bytes(os.read(told, 4), "little") for _ in range(length)]


def test_a_chain_of_sessions_dies_with_its_slot() -> None:
    async def scenario(worker: Worker) -> None:
        pids = await worker.call(chain, 4)
        assert isinstance(pids, list)
        assert all(map(psutil.pid_exists, pids))
        worker.slot.kill()
        await worker.exit()
        assert await have_gone(pids)

    with_a_worker(scenario)


def test_a_child_that_comes_back_from_its_task_goes_no_further(tmp_path: Path) -> None:
    def forks(x: int, path: str) -> int:
        child = os.fork()
        if child == 0:
            return -1
        _, status = os.waitpid(child, 0)
        with Path(path).open("a") as file:
            file.write(f"{x} {os.waitstatus_to_exitcode(status)}\n")
        return x

    def fails(x: int) -> int:
        child = os.fork()
        if child == 0:
            raise SystemExit(4) if x else ValueError("in the child")
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    async def scenario(worker: Worker) -> None:
        path = tmp_path / "log"
        arguments: list[object] = [((x, str(path)), {}) for x in range(3)]
        values = await worker.compute(packaged(forks), arguments, form=2)
        assert values == [0, 1, 2]
        assert path.read_text() == "0 0\n1 0\n2 0\n"
        assert await worker.compute(packaged(fails), [0, 1]) == [1, 4]

    with_a_worker(scenario)


def test_multiprocessing_works_inside_a_task() -> None:
    def pooled() -> list[int]:
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, [-1, -2, -3])

    async def scenario(worker: Worker) -> None:
        assert await worker.call(pooled) == [1, 2, 3]

    with_a_worker(scenario)


def test_the_memory_limit_holds_and_the_peak_is_reported() -> None:
    def hoard() -> None:
        data = bytearray(100 << 20)
        data[::4096] = b"x" * len(data[::4096])
        os._exit(3)

    async def scenario(desk: Desk) -> None:
        ended = await (await desk.worker()).die(hoard)
        assert 100 << 20 < ended.peak_memory < 300 << 20
        small = await desk.worker(memory=64 << 20)
        assert (await small.fail(hoard)).type == "MemoryError"

    at_a_desk(scenario)


def test_slots_are_nice_and_leave_no_core_files() -> None:
    def limits() -> object:
        import resource

        return os.nice(0), resource.getrlimit(resource.RLIMIT_CORE)[1]

    async def scenario(worker: Worker) -> None:
        assert await worker.call(limits) == (os.nice(0) + 5, 0)

    with_a_worker(scenario)


def test_when_the_zygote_dies_its_slots_die_and_the_next_slot_gets_another() -> None:
    async def scenario(desk: Desk) -> None:
        worker = await desk.worker()
        zygote = desk.launcher.zygote
        assert zygote is not None
        os.kill(zygote, signal.SIGKILL)
        assert (await worker.exit()).signal == signal.SIGKILL
        assert await have_gone([worker.slot.pid])
        assert await (await desk.worker()).call(abs, -1) == 1
        assert desk.launcher.zygote != zygote

    at_a_desk(scenario)


def test_a_zygote_that_is_lost_while_a_slot_is_made_is_no_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setattr(
        "p2pslinger.sandbox.confine.environment.SET", {"PYTHONHOME": "/x"}
    )

    async def scenario(desk: Desk) -> None:
        with pytest.raises(UnavailableError, match="encodings"):
            await desk.worker()

    at_a_desk(scenario)


def test_closing_the_launcher_ends_every_slot_and_calls_back() -> None:
    async def scenario(desk: Desk) -> None:
        workers = [await desk.worker() for _ in range(3)]
        left = await workers[0].call(spawn, "daemon")
        assert isinstance(left, int)
        zygote = desk.launcher.zygote
        assert zygote is not None
        await desk.launcher.close()
        assert [worker.exits.qsize() for worker in workers] == [1, 1, 1]
        assert await have_gone([left, zygote, *(w.slot.pid for w in workers)])

    at_a_desk(scenario)


OWNER = """
import asyncio, pathlib, sys
from tests.sandbox.desk import Desk
from tests.sandbox.test_deaths import spawn
from p2pslinger.sandbox.launcher import Launcher

async def main():
    desk = Desk(Launcher(pathlib.Path(sys.argv[1])))
    worker = await desk.worker()
    left = [await worker.call(spawn, how) for how in ("child", "session", "daemon")]
    print(desk.launcher.zygote, worker.slot.pid, *left, flush=True)
    await worker.exit()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_daemon_is_killed_nothing_is_left(
    tmp_path: Path, how: signal.Signals
) -> None:
    root = Path(__file__).parent.parent.parent
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == len(["zygote", "slot", "child", "session", "daemon"])
    assert all(map(psutil.pid_exists, pids))

    owner.send_signal(how)
    owner.wait(PATIENCE)
    owner.stdout.close()

    began = time.monotonic()
    assert gone(pids)
    assert time.monotonic() - began < GONE
