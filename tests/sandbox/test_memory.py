"""Memory changes hands only when nobody can change it any more."""

from __future__ import annotations

import fcntl
import gc
import mmap
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.memory import (
    AVAILABLE,
    LEAST,
    MOST,
    MemoryFile,
    UnsealedError,
    area,
    descriptor,
    has_room,
    in_memory,
    joined,
    take,
)
from tests.sandbox.desk import Desk, Worker, at_a_desk, until, with_a_worker

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs Linux")

LARGE = 8 << 20


@pytest.fixture
def made() -> Iterator[int]:
    """Memory of a page that is not sealed."""
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    yield os.dup(fd)
    os.close(fd)


def descriptors() -> int:
    """Count the descriptors of this process."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_was_written_can_be_read_and_handed_on() -> None:
    file = MemoryFile()
    file.write(b"....")
    pickle.Pickler(file, 5).dump(list(range(1000)))
    file.rewrite(b"head")
    view = file.seal()
    assert bytes(view[:4]) == b"head"
    assert pickle.loads(view[4:]) == list(range(1000))
    assert view.readonly
    assert descriptor(view) is not None
    assert descriptor(view[1:]) is None
    again = take(os.dup(descriptor(view) or 0), len(view))
    assert again == view


@pytest.mark.parametrize("missing", ["F_SEAL_WRITE", "F_SEAL_SHRINK", "F_SEAL_GROW"])
def test_what_lacks_a_seal_is_refused(made: int, missing: str) -> None:
    for name in {"F_SEAL_WRITE", "F_SEAL_SHRINK", "F_SEAL_GROW"} - {missing}:
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, getattr(fcntl, name))
    with pytest.raises(UnsealedError, match="not sealed"):
        take(made, 4096)


def test_less_than_was_said_is_refused(made: int) -> None:
    fcntl.fcntl(made, fcntl.F_ADD_SEALS, 2 | 4 | 8)
    with pytest.raises(UnsealedError, match="less than 4097 bytes"):
        take(made, 4097)


def test_what_is_no_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(4096))
    before = descriptors()
    for fd in (os.open(tmp_path / "file", os.O_RDWR), os.pipe()[0]):
        with pytest.raises(UnsealedError):
            take(fd, 4096)
    assert descriptors() == before + 1  # the pipe's other end


def test_sealed_memory_can_not_be_changed_by_its_giver() -> None:
    view = joined([bytes(4096)])
    fd = descriptor(view)
    assert fd is not None
    for change in (
        lambda: os.pwrite(fd, b"x", 0),
        lambda: os.ftruncate(fd, 0),
        lambda: mmap.mmap(fd, 4096),
    ):
        with pytest.raises(OSError, match="not permitted"):
            change()


def test_an_area_that_is_mapped_for_writing_can_not_be_taken() -> None:
    from p2pslinger.sandbox.memory import seal

    fd = area(1 << 30)  # it takes no memory before it is written to
    with mmap.mmap(fd, 4096), pytest.raises(UnsealedError, match="can't be sealed"):
        seal(fd)
    seal(fd)
    os.close(fd)


def test_small_data_stays_what_it_is() -> None:
    assert in_memory(b"x" * (LEAST - 1)) == b"x" * (LEAST - 1)


def test_there_is_a_bound_and_nothing_stays_open() -> None:
    before = descriptors()
    held = [joined([bytes(4096)]) for _ in range(MOST)]
    assert not has_room()
    assert isinstance(joined([b"x", b"y"]), bytes)
    held.clear()
    assert descriptors() == before
    assert has_room()


# --- with slots ---------------------------------------------------------------------


def backwards(data: bytes) -> bytes:
    """Return the data from its end."""
    return data[::-1]


def test_large_arguments_and_values_of_confined_slots_are_memory() -> None:
    async def scenario(desk: Desk) -> None:
        for confinement in Confinement:
            try:
                worker = await desk.worker(confinement=confinement)
            except UnavailableError:
                continue  # not on this machine
            for size in (10, LARGE, LARGE + 1, 10, LARGE):
                data = bytes(size - 3) + b"end"
                assert await worker.call(backwards, data) == data[::-1]

    at_a_desk(scenario)


def test_values_are_memory_from_the_second_large_one_on() -> None:
    async def scenario(worker: Worker) -> None:
        before = descriptors()
        views = []
        for _ in range(3):
            job = worker.load(_packaged(), [LARGE])
            worker.order(job, 0, 1)
            views.append((await worker.outcome()).values)
            worker.slot.forget(job, None)
        assert [descriptor(view) is not None for view in views] == [False, True, True]
        assert views[0] == views[1] == views[2]
        views.clear()
        assert descriptors() <= before + 1  # the area of the next one

    with_a_worker(scenario)


def test_a_slot_that_holds_on_to_its_values_is_ended() -> None:
    def maps_it(size: int) -> bytes:
        """Map all memory that can be written to, and return something large."""
        if not hasattr(sys, "kept"):
            sys.kept = []  # type: ignore[attr-defined]
        for path in Path("/proc/self/fd").iterdir():
            try:
                if "for results" in str(path.readlink()):
                    sys.kept.append(mmap.mmap(int(path.name), size))  # type: ignore[attr-defined]
            except OSError:
                pass
        return bytes(size)

    async def scenario(worker: Worker) -> None:
        assert await worker.call(maps_it, LARGE) == bytes(LARGE)
        assert await worker.call(_length, bytes(10)) == 10  # it comes with this
        await worker.die(maps_it, LARGE)

    with_a_worker(scenario)


def test_what_is_given_to_a_slot_goes_with_it() -> None:
    async def scenario(worker: Worker) -> None:
        before = descriptors()
        data = b"y" * LARGE
        for _ in range(20):
            assert await worker.call(_length, data) == LARGE
        await until(lambda: descriptors() <= before + 1)
        await worker.die(lambda: threading.Event().wait(0) or os.abort())

    with_a_worker(scenario)


def _length(data: bytes) -> int:
    return len(data)


def _packaged() -> bytes:
    from tests.sandbox.desk import packaged

    return packaged(bytes)
