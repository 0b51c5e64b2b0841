"""What a slot finds around it: environment, files, a folder, processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine import bubblewrap, landlock, readable
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.environment import environment
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.slot import Failure
from p2pslinger.sandbox.terms import Terms
from tests.sandbox.desk import Desk, at_a_desk

ABROAD = [
    pytest.param(
        Confinement.GOOD,
        marks=pytest.mark.skipif(
            landlock.version() < landlock.TRUNCATION, reason="needs Landlock"
        ),
    ),
    pytest.param(
        Confinement.STRONG,
        marks=pytest.mark.skipif(bubblewrap.find() is None, reason="needs bubblewrap"),
    ),
]

abroad = pytest.mark.parametrize("confinement", ABROAD, ids=lambda c: c.value)


def test_only_own_work_learns_where_home_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("SLINGER_AUTHKEY", "secret")
    assert environment(Confinement.OWN)["HOME"] == "/home/ann"
    for kind in set(Confinement) - {Confinement.OWN}:
        assert environment(kind)["HOME"] == "/nonexistent"
    for kind in Confinement:
        assert environment(kind)["PYTHONHASHSEED"] == "0"
        assert "SLINGER_AUTHKEY" not in environment(kind)


def test_folders_within_folders_are_left_out() -> None:
    paths = ["/usr/lib/python3", "/usr", "/opt/py", "/usr2", "/opt/py"]
    assert readable.outermost(paths) == ["/usr", "/usr2", "/opt/py"]
    assert readable.within("/usr/lib", ["/opt", "/usr/"]) == "/usr/"
    assert not readable.within("/usr2", ["/usr"])


def test_all_that_python_needs_is_readable() -> None:
    shown = [*readable.python(), *readable.SYSTEM]
    for module in ("json", "cloudpickle", "numpy", "_ctypes"):
        file = __import__(module).__file__
        assert file is not None
        assert readable.within(str(Path(file)), shown), module


def test_a_peer_whose_data_lies_beside_python_makes_no_slots_for_others() -> None:
    launcher = Launcher(Path(sys.prefix) / "lib" / "slinger" / "scratch")

    async def play() -> None:
        with pytest.raises(UnavailableError, match="move the data folder"):
            await launcher.slot(print, print, 1 << 28, Confinement.GOOD)
        await launcher.close()

    asyncio.run(play())
    assert not (Path(sys.prefix) / "lib" / "slinger").exists()


def test_terms_survive_the_command_line() -> None:
    for polite in (True, False):
        terms = Terms(5, 77, "/scratch", Confinement.STRONG, 0, polite)
        assert Terms.from_arguments(terms.arguments()) == terms


def useful(x: int) -> list[object]:
    """Do what honest tasks do."""
    import asyncio
    import decimal
    import sqlite3
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    async def wait() -> int:
        await asyncio.sleep(0)
        return x

    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda n: n * n, range(x)))
    lock = threading.Lock()
    with lock, sqlite3.connect(":memory:") as database:
        row = database.execute("select ? + 1", (x,)).fetchone()
    matrix = np.eye(100) * x
    return [
        asyncio.run(wait()),
        squares,
        row,
        float((matrix @ matrix).sum()),
        str(decimal.Decimal(1) / 3),
        len(os.urandom(x)),
    ]


def test_weak_slots_do_honest_work_too() -> None:
    async def scenario(desk: Desk) -> None:
        weak = await desk.worker(confinement=Confinement.WEAK)
        worked = await weak.call(useful, 7)
        assert not isinstance(worked, Failure), worked.traceback

    at_a_desk(scenario)


@abroad
def test_honest_tasks_find_what_they_need(confinement: Confinement) -> None:
    async def scenario(desk: Desk) -> None:
        at_home = await (await desk.worker()).call(useful, 7)
        away = await (await desk.worker(confinement=confinement)).call(useful, 7)
        assert not isinstance(away, Failure), away.traceback
        assert away == at_home

    at_a_desk(scenario)


@abroad
def test_a_task_may_keep_files_where_a_sandbox_bounds_them(
    confinement: Confinement,
) -> None:
    def keep() -> str:
        import shutil
        import sqlite3
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "a")
            file.write_text("kept")
            shutil.copy(file, Path(folder, "b"))
            sqlite3.connect(Path(folder, "c")).execute("create table t (x)")
            Path("here").write_text("x")
            return Path(folder, "b").read_text()

    async def scenario(desk: Desk) -> None:
        kept = await (await desk.worker(confinement=confinement)).call(keep)
        if confinement is Confinement.STRONG:
            assert kept == "kept", kept
        else:
            assert isinstance(kept, Failure)
            assert kept.type == "FileNotFoundError"

    at_a_desk(scenario)


@abroad
def test_a_slot_abroad_is_nobody_alone_and_knows_no_names(
    confinement: Confinement,
) -> None:
    def look() -> tuple[int, int, str]:
        return os.getuid(), os.getpid(), os.uname().nodename

    async def scenario(desk: Desk) -> None:
        worker = await desk.worker(confinement=confinement)
        seen = await worker.call(look)
        assert isinstance(seen, tuple)
        user, pid, node = seen
        assert user != 0
        if confinement is Confinement.STRONG:
            assert (node, pid) == ("slot", 3), "bubblewrap, the zygote, this"
            assert worker.slot.pid > pid
            os.kill(worker.slot.pid, 0)

    at_a_desk(scenario)


def test_without_bubblewrap_a_strong_slot_is_refused_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    async def scenario(desk: Desk) -> None:
        with pytest.raises(UnavailableError, match="bubblewrap"):
            await desk.worker(confinement=Confinement.STRONG)
        assert await (await desk.worker()).call(abs, -1) == 1

    at_a_desk(scenario)


@abroad
def test_a_polite_slot_comes_last_with_its_whole_session_before_it_computes(
    confinement: Confinement,
) -> None:
    """However often the kernel must be asked: it allows an answer each 100 ms."""
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("needs a kernel that divides between sessions")

    async def scenario(desk: Desk) -> None:
        several = [desk.worker(confinement=confinement) for _ in range(3)]
        places = [place_of(one.slot.pid) for one in await asyncio.gather(*several)]
        assert places == [("19", os.SCHED_IDLE)] * 3

    at_a_desk(scenario, polite=True)


def place_of(pid: int) -> tuple[str, int]:
    """Return the place of a process's session, and its own class."""
    words = Path(f"/proc/{pid}/autogroup").read_text().split()
    return words[-1], os.sched_getscheduler(pid)


@pytest.mark.skipif(bubblewrap.find() is None, reason="needs bubblewrap")
def test_a_sandbox_ends_when_its_daemon_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    process = os.pidfd_open(pid)
    owner.kill()
    owner.wait(10)
    owner.stdout.close()
    try:
        assert _ends(process)
    finally:
        os.close(process)


def _ends(process: int) -> bool:
    import select

    return bool(select.select([process], [], [], 10.0)[0])


_OWNER = """
import asyncio, pathlib, sys
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.launcher import Launcher
from tests.sandbox.desk import Desk

async def main():
    desk = Desk(Launcher(pathlib.Path(sys.argv[1])))
    worker = await desk.worker(confinement=Confinement.STRONG)
    print(worker.slot.pid, flush=True)
    await worker.exit()

asyncio.run(main())
"""
