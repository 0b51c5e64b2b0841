"""CPython's own tests of executors, on a grid.

They come with the interpreter, not with us: with most builds of Python, or in a package
of Debian's, such as libpython3.11-testsuite, whose tests do for every build of that
minor version. Each runs unchanged unless it stands in `EXCEPTIONS`; what
can be asked of a grid in its place is asked by the tests next to this file.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import unittest
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from p2pslinger import paths
from p2pslinger.client.calls import GridFuture
from p2pslinger.client.grid import Grid
from p2pslinger.client.link import Link
from tests.grid.place import Peer

#: CPython's tests that a grid does not pass, each with the reason why it should not.
EXCEPTIONS = {
    "test_max_workers_negative": "how many workers there are is the volunteers' to say",
    "test_interpreter_shutdown": (
        "a program that ends takes along what it has not waited for, or one that "
        "failed would hold other people's machines; and what a task prints is "
        "not printed here"
    ),
    "test_submit_after_interpreter_shutdown": (
        "asks for an error in the words of the standard library; see "
        "`test_a_program_that_is_ending_can_submit_nothing`"
    ),
    "test_hang_gh83386": (
        "reads what a task prints; see "
        "`test_a_program_waits_at_its_end_for_a_grid_that_was_shut_down`"
    ),
    "test_cancel_futures": (
        "who cancels gets machines back that are not his: what is running ends as well"
    ),
    "test_cancel": (
        "looks for a state that lasts until a worker has seen the cancelled future; "
        "no worker sees it, so who waits for it is told at once"
    ),
}


#: Where Debian's package puts them.
DEBIANS = Path("/usr/lib/python{}.{}/test".format(*sys.version_info))


def cpython(name: str) -> ModuleType:
    """Import one of the files that CPython 3.12 has split its tests into."""
    if str(DEBIANS) not in sys.path:
        sys.path.append(str(DEBIANS))
    for package in ("test.test_concurrent_futures", "test_concurrent_futures"):
        for found in (f"{package}.{name}", package):
            with contextlib.suppress(ImportError):
                return importlib.import_module(found)
    package = "libpython{}.{}-testsuite".format(*sys.version_info)
    reason = f"this Python came without its own tests (Debian: {package})"
    pytest.skip(reason, allow_module_level=True)


util, init, future = cpython("util"), cpython("test_init"), cpython("test_future")


class Pool(Grid):
    """A grid that is made as the tests make executors."""

    data = Path()

    def __init__(self, max_workers: int, **options: Any) -> None:
        super().__init__(Link.open(paths.control_path(self.data)), **options)

    @property
    def _broken(self) -> bool:
        first = self._terms.first
        return first is not None and first.broken is not None


class OnAGrid(util.ExecutorMixin):  # type: ignore[misc,name-defined]
    """Runs the tests of a mixin on a grid."""

    executor_type = Pool

    @contextlib.contextmanager
    def _assert_logged(self, text: str) -> Iterator[None]:
        """Find the text in the error: a grid does not log what it raises."""
        yield
        with pytest.raises(BrokenExecutor) as caught:
            self.executor.submit(abs, 1)
        assert text in str(caught.value.__cause__)


@pytest.fixture(scope="module", autouse=True)
def pools_have_a_peer(peer: Peer) -> None:
    """Let pools connect to the module's peer."""
    Pool.data = peer.data


class Future(GridFuture):
    """Ours, under the name that the tests expect in messages."""


@pytest.fixture(autouse=True)
def futures_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the tests of futures make ours, and read the log as without pytest."""
    monkeypatch.setattr(future, "Future", Future)
    monkeypatch.setattr(util, "Future", Future)
    log = logging.getLogger("concurrent.futures")
    monkeypatch.setattr(log, "handlers", [logging.lastResort])


def on_a_grid(mixin: type) -> type[unittest.TestCase]:
    """Return the tests of a mixin, run on a grid."""
    left_out: dict[str, object] = dict.fromkeys(EXCEPTIONS)
    bases = (OnAGrid, mixin, util.BaseTestCase)
    name = f"Grid{mixin.__name__.removesuffix('Mixin').removesuffix('Tests')}"
    return type(name, bases, {"__module__": __name__} | left_out)


TestCalls = on_a_grid(cpython("executor").ExecutorTest)
TestWait = on_a_grid(cpython("test_wait").WaitTests)
TestAsCompleted = on_a_grid(cpython("test_as_completed").AsCompletedTests)
TestShutdown = on_a_grid(cpython("test_shutdown").ExecutorShutdownTest)
TestInitializer = on_a_grid(init.InitializerMixin)
TestFailingInitializer = on_a_grid(init.FailingInitializerMixin)
TestChunks = on_a_grid(
    type(
        "Chunks",
        (),
        {
            "test": cpython(
                "test_process_pool"
            ).ProcessPoolExecutorTest.test_map_chunksize
        },
    )
)
TestFuture = type("TestFuture", (future.FutureTests,), dict.fromkeys(EXCEPTIONS))


def test_there_are_at_most_ten_exceptions_and_each_has_its_reason() -> None:
    assert len(EXCEPTIONS) <= 10
    assert all(reason for reason in EXCEPTIONS.values())
