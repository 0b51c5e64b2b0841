"""The journal keeps order, its word and the loop free, whatever the disk does."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from p2pslinger.errors import DiskError
from p2pslinger.peer.disk import ThreadDisk
from p2pslinger.peer.journal import PATIENCE, PROBE_EVERY, Journal
from p2pslinger.peer.owner import Owner
from p2pslinger.store.jobs import NotKeptError
from p2pslinger.store.salvage import open_state
from p2pslinger.store.state import State
from p2pslinger.testing import virtual
from p2pslinger.testing.disks import Disk
from tests.store.durable import item, stored

T = TypeVar("T")
ONE = stored(1)


class CountedDisk(ThreadDisk):
    """A real disk that counts what it is asked, and can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0
        self.free = threading.Event()
        self.free.set()

    async def run(self, call: Callable[[], T]) -> T:
        self.runs += 1

        def when_free() -> T:
            assert self.free.wait(20)
            return call()

        return await super().run(when_free)


@asynccontextmanager
async def journaling(path: Path) -> AsyncIterator[tuple[Journal, State, CountedDisk]]:
    """Give a journal on a real disk, with one job in its state."""
    disk = CountedDisk()
    with State(path / "state.db") as state:
        state.jobs.add(ONE)
        async with Owner() as owner:
            yield Journal(state, disk, owner, asyncio.get_running_loop()), state, disk
        disk.close()


def in_virtual_time(
    story: Callable[[Journal, Disk], Coroutine[object, object, None]],
) -> None:
    """Run a test with a journal on a simulated disk."""

    async def main() -> None:
        disk = Disk()
        disk.jobs.add(ONE)
        async with Owner() as owner:
            await story(Journal(disk, disk, owner, asyncio.get_running_loop()), disk)
        disk.remove()

    virtual.run(main)


def adding(state: State, sequence: int) -> Callable[[], None]:
    return lambda: state.jobs.add_items(ONE.job, [item(ONE.job, sequence)])


def kept(state: State) -> list[bytes]:
    return [id for id, _, _ in state.jobs.items(ONE.job)]


def ids(*sequences: int) -> list[bytes]:
    return [item(ONE.job, n)[0] for n in sequences]


# --- order, and few commits -------------------------------------------------------


def test_what_comes_during_a_commit_goes_into_the_next_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with journaling(tmp_path) as (journal, state, disk):
            order: list[int] = []
            disk.free.clear()
            for n in range(20):
                journal.write(
                    adding(state, n),
                    lambda error, n=n: order.append(n),  # type: ignore[misc]
                )
                await asyncio.sleep(0)  # the first commit begins with the first one
            assert (kept(state), order) == ([], [])  # and reading does not wait for it
            disk.free.set()
            await journal.flush()

            assert order == list(range(20))
            assert kept(state) == ids(*range(20))
            assert disk.runs == 2

    asyncio.run(main())


def test_done_is_called_in_the_loop_once_it_is_committed(tmp_path: Path) -> None:
    async def main() -> None:
        async with journaling(tmp_path) as (journal, state, _):
            seen: list[tuple[int, list[bytes]]] = []
            journal.write(
                adding(state, 1),
                lambda _: seen.append((threading.get_ident(), kept(state))),
            )
            await journal.flush()
            assert seen == [(threading.get_ident(), ids(1))]
            await journal.flush()  # nothing to wait for

    asyncio.run(main())


def test_a_mistake_in_a_write_ends_the_peer(tmp_path: Path) -> None:
    async def main() -> None:
        async with journaling(tmp_path) as (journal, _, _):
            journal.write({}.popitem)
            await asyncio.Event().wait()

    with pytest.raises(KeyError):
        asyncio.run(main())


# --- failures ---------------------------------------------------------------------


def test_what_fails_fails_alone_and_is_no_trouble_of_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with journaling(tmp_path) as (journal, state, disk):
            errors: list[DiskError | None] = []
            disk.free.clear()
            nowhere = stored(2).job
            journal.write(adding(state, 0))
            await asyncio.sleep(0)
            journal.write(adding(state, 1), errors.append)
            journal.write(
                lambda: state.jobs.add_items(nowhere, [item(nowhere, 1)]), errors.append
            )
            journal.write(adding(state, 2), errors.append)
            disk.free.set()
            await journal.flush()

            assert errors[0] is None
            assert isinstance(errors[1], NotKeptError)
            assert errors[2] is None
            assert kept(state) == ids(0, 1, 2)
            assert journal.trouble == ""

    asyncio.run(main())


def test_a_full_disk_is_told_until_it_takes_something_again() -> None:
    async def story(journal: Journal, disk: Disk) -> None:
        errors: list[DiskError | None] = []
        disk.full = True
        journal.write(adding(disk, 1), errors.append)
        await journal.flush()
        assert "full" in journal.trouble
        assert [str(error) for error in errors] == [journal.trouble]

        await asyncio.sleep(2.5 * PROBE_EVERY)
        assert "full" in journal.trouble
        disk.full = False
        await asyncio.sleep(PROBE_EVERY)
        assert journal.trouble == ""
        journal.write(adding(disk, 2), errors.append)
        await journal.flush()
        assert errors[1:] == [None]
        assert kept(disk) == ids(2)

    in_virtual_time(story)


def test_a_machine_that_dies_during_a_commit_has_promised_nothing() -> None:
    async def main() -> None:
        disk = Disk()
        disk.jobs.add(ONE)
        told: list[DiskError | None] = []
        disk.slow = 1.0
        async with Owner() as owner:
            journal = Journal(disk, disk, owner, asyncio.get_running_loop())
            journal.write(adding(disk, 1), told.append)
            await asyncio.sleep(0.5)
            disk.frozen = True
            await asyncio.sleep(2.0)
        assert told == []
        assert kept(disk) == []
        disk.remove()

    virtual.run(main)


def test_closing_waits_for_what_is_written_but_not_for_ever() -> None:
    async def story(journal: Journal, disk: Disk) -> None:
        disk.slow = PATIENCE / 2 - 0.1
        journal.write(adding(disk, 1))
        await asyncio.sleep(0)
        journal.write(adding(disk, 2))
        await journal.close()
        assert kept(disk) == ids(1, 2)

        disk.slow = 1e6
        journal.write(adding(disk, 3))
        before = asyncio.get_running_loop().time()
        await journal.close()
        took = asyncio.get_running_loop().time() - before
        assert took == pytest.approx(PATIENCE)

    in_virtual_time(story)


def test_the_space_of_dropped_jobs_is_freed_in_between(tmp_path: Path) -> None:
    async def main() -> None:
        async with journaling(tmp_path) as (journal, state, _):
            journal.write(
                lambda: state.jobs.add_items(
                    ONE.job, [item(ONE.job, n) for n in range(1000)]
                )
            )
            journal.write(lambda: state.jobs.bury(ONE.job, 5e9))
            while state.jobs.sizes() or state.jobs.unswept():
                await journal.flush()

    asyncio.run(main())


FILLING = """
import asyncio, sys
from pathlib import Path
from p2pslinger.peer.disk import ThreadDisk
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.owner import Owner
from p2pslinger.store.state import State
from tests.store.durable import item, large, stored

ONE = stored(1)

async def main():
    disk, kept, failed = ThreadDisk(), [], []
    with State(Path(sys.argv[1]) / "state.db") as state:
        state.jobs.add(ONE)
        async with Owner() as owner:
            journal = Journal(state, disk, owner, asyncio.get_running_loop())
            def write(n, size):
                one = large(n, size)
                journal.write(
                    lambda: state.jobs.add_items(ONE.job, [one]),
                    lambda error: (failed if error else kept).append(one[0]),
                )
            for n in range(10):
                write(n, 60_000)
                if n % 3 == 0:
                    await journal.flush()
            await journal.flush()
            assert "full" in journal.trouble, journal.trouble
            assert kept and failed
            there = [id for id, _, _ in state.jobs.items(ONE.job)]
            assert there == kept, "what is there is not what was acknowledged"
            for n in range(10, 200):  # until not even a small one fits
                write(n, 2_000)
            await journal.flush()
            there = [id for id, _, _ in state.jobs.items(ONE.job)]
            assert there == kept
            errors = []
            for n in range(2, 500):  # what little fits depends on the tables' pages
                other = stored(n).job
                journal.write(lambda: state.jobs.bury(other, 5e9), errors.append)
                await journal.flush()
                if errors[-1] is not None:
                    break
            print(type(errors[-1]).__name__)
            journal.write(
                lambda: state.jobs.bury(ONE.job, 5e9), errors.append, urgent=True
            )
            await journal.flush()
            buried = errors.count(None)
            print(errors[-1], state.jobs.jobs(), len(state.jobs.buried()) == buried)
            assert journal.trouble
        disk.close()
    with State(Path(sys.argv[1]) / "state.db") as state:
        print(state.notes, state.jobs.jobs(), len(state.jobs.buried()) == buried)

asyncio.run(main())
"""


def test_a_full_disk_loses_nothing_and_takes_what_is_urgent(
    small_disk: list[str],
) -> None:
    command = [*small_disk, sys.executable, "-c", FILLING, "DISK"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["DiskError", "None [] True", "() [] True"]


# --- kill -9 ----------------------------------------------------------------------

WRITING = """
import asyncio, itertools, sys
from pathlib import Path
from p2pslinger.peer.disk import ThreadDisk
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.owner import Owner
from p2pslinger.store.salvage import open_state
from tests.store.durable import item, stored

ONE = stored(1)

async def main():
    with open_state(Path(sys.argv[1])) as state:
        async with Owner() as owner:
            journal = Journal(state, ThreadDisk(), owner, asyncio.get_running_loop())
            journal.write(lambda: state.jobs.add(ONE))
            for n in itertools.count(int(sys.argv[2])):
                pair = [item(ONE.job, 2 * n), item(ONE.job, 2 * n + 1)]
                journal.write(
                    lambda pair=pair: state.jobs.add_items(ONE.job, pair),
                    lambda error, n=n: print(n, flush=True),
                )
                if n % 10 == 0:
                    await asyncio.sleep(0)
                if n % 50 == 0:
                    await journal.flush()

asyncio.run(main())
"""


def test_a_peer_killed_at_any_moment_has_kept_its_word(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    chance = random.Random(5)
    first = 0
    for _ in range(30):
        told = killed_after(path, first, chance.randint(1, 120), chance)
        with open_state(path) as state:
            assert state.notes == ()
            there = {id for id, _, _ in state.jobs.items(ONE.job)}
            assert state.jobs.sizes()

        assert set(ids(*(n for t in told for n in (2 * t, 2 * t + 1)))) <= there
        later = itertools.count(max(told) + 1)
        first = next(n for n in later if not halves(n, there))


def halves(n: int, there: set[bytes]) -> bool:
    """Return whether a pair is there; it must not be by half."""
    one, other = (id in there for id in ids(2 * n, 2 * n + 1))
    assert one == other
    return one


def killed_after(
    path: Path, first: int, lines: int, chance: random.Random
) -> list[int]:
    """Run a writer, kill it at some moment, and return what it was told is durable."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(path), str(first)], stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        read = [int(writer.stdout.readline()) for _ in range(lines)]
        for _ in range(chance.randint(0, 20_000)):
            pass  # somewhere between two lines
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().decode().splitlines(keepends=True)
    return read + [int(line) for line in rest if line.endswith("\n")]
