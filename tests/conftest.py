"""What holds for every test: short folders, and nothing left behind.

- A socket's path has 107 bytes at most, so data folders of peers go to `short_dir`.
- A task that dies unheard, or that our code leaves running when its test's event loop
  ends, fails that test: whoever starts a task has to end it. Simulated worlds end with
  the simulation and are judged by it.
- A child process that outlives its test module fails it, and is ended.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import psutil
import pytest

# How long one example takes says how busy the machine is. A failure prints how to have
# it again.
hypothesis.settings.register_profile("p2pslinger", deadline=None, print_blob=True)
hypothesis.settings.load_profile("p2pslinger")

T = TypeVar("T")

#: The fixture `virtual`.
pytest_plugins = ["p2pslinger.testing.fixtures"]

#: Seconds that tasks and processes on their way out get to be gone.
GRACE = 5.0

#: What runs for minutes, mostly waiting or on one core. Beside other files these come
#: first, or one of them would be left to run alone at the end.
LONGEST = ("tests/lab/test_durable.py", "tests/simulation/test_thousand.py")

OURS = str(Path(__file__).parent.parent / "p2pslinger")

#: Processes that multiprocessing keeps for the life of its parent.
KEPT = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """An empty folder, mode 0700, with a path of at most 30 bytes on Linux."""
    parent = "/tmp" if Path("/tmp").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir=parent))
    yield folder
    shutil.rmtree(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one file more than there are processors: tests wait half of the time."""
    return 1 + (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the others keep their order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """Hide what collection loaded from the collector, which then takes 1 ms a test."""
    gc.collect()
    gc.freeze()


class Complaints(logging.Handler):
    """What asyncio has to say about tasks that nobody looked after."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a complaint, with the traceback that came with it."""
        self.texts.append(logging.Formatter().format(record))


@pytest.fixture(autouse=True)
def nothing_dies_unheard() -> Iterator[None]:
    """Fail a test in which a task or a callback failed and nobody noticed."""
    complaints = Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(complaints)
    yield
    gc.collect()  # tasks complain when they are collected
    logger.removeHandler(complaints)
    if complaints.texts:
        pytest.fail("asyncio complained:\n" + "\n".join(complaints.texts))


@pytest.fixture(autouse=True)
def no_task_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `asyncio.run` fail when our code left tasks behind."""
    run: Callable[..., T] = asyncio.run

    def watched_run(main: Coroutine[Any, Any, T], **options: Any) -> T:
        return run(without_strays(main), **options)

    monkeypatch.setattr(asyncio, "run", watched_run)


async def without_strays(main: Coroutine[Any, Any, T]) -> T:
    """Run `main`; raise if tasks of our code are then neither done nor cancelled."""
    result = await main
    if not type(asyncio.get_running_loop()).__module__.startswith("asyncio"):
        return result  # a simulation
    strays = {task for task in asyncio.all_tasks() if is_stray(task)}
    if strays:
        _, strays = await asyncio.wait(strays, timeout=GRACE)
    assert not strays, f"left running: {sorted(map(repr, strays))}"
    return result


def is_stray(task: asyncio.Task[Any]) -> bool:
    """Return whether our code started `task` and has not asked it to end."""
    code = getattr(task.get_coro(), "cr_code", None)
    ours = code is not None and str(code.co_filename).startswith(OURS)
    return ours and not task.cancelling() and task is not asyncio.current_task()


@pytest.fixture(autouse=True, scope="module")
def no_process_is_left() -> Iterator[None]:
    """Fail a module that leaves child processes behind, and end those."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs([p for p in left if not is_kept(p)], timeout=GRACE)
    names = [f"{process.pid}: {command(process)}" for process in alive]
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=GRACE)
    assert not names, f"left running: {names}"


def command(process: psutil.Process) -> str:
    """Return the command line of a process, or nothing once it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_kept(process: psutil.Process) -> bool:
    """Return whether multiprocessing will end this process itself."""
    return any(name in command(process) for name in KEPT)
