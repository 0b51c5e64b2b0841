"""Blobs are whole or not there, within a quota, on disk and in memory alike."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import DiskError, PeerError, TooLargeError, UnavailableError
from p2pslinger.ids import BlobId, JobId
from p2pslinger.store.blobs import Blobs

SUM, PI = JobId(b"s" * 20), JobId(b"p" * 20)
BIG = os.urandom(3 * limits.PIECE + 17)


def name(data: bytes) -> BlobId:
    return BlobId(blake3(data).digest())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["files", "files and memory", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Each of the three ways in which a peer can keep blobs; the quota is 1 MiB."""
    if request.param == "memory":
        return Blobs.in_memory(quota=limits.MIB)
    memory = 0 if request.param == "files" else limits.MIB
    return Blobs(tmp_path / "blobs", quota=limits.MIB, memory=memory)


# --- wherever they are ------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", BIG], ids=["empty", "small", "big"])
def test_a_blob_is_named_by_its_content_and_read_back(
    blobs: Blobs, data: bytes
) -> None:
    blob = blobs.put(data)

    assert blob == name(data)
    assert blobs.has(blob)
    assert blobs.size(blob) == len(data)
    assert blobs.read(blob) == data


def test_a_big_blob_is_read_in_pieces_from_anywhere(blobs: Blobs) -> None:
    blob = blobs.put(BIG)

    assert max(map(len, blobs.pieces(blob))) == limits.PIECE
    for offset in (0, 1, limits.PIECE, len(BIG) - 1, len(BIG)):
        assert b"".join(blobs.pieces(blob, offset)) == BIG[offset:]


def test_a_missing_blob_is_said_to_be_missing(blobs: Blobs) -> None:
    blob = name(b"never")

    assert not blobs.has(blob)
    for ask in (blobs.read, blobs.size, blobs.pieces):
        with pytest.raises(UnavailableError, match="not here"):
            ask(blob)
    with pytest.raises(UnavailableError):
        blobs.pin(blob, SUM)
    blobs.unpin(blob, SUM)


def test_pieces_become_a_blob_only_with_the_promised_digest(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(BIG[:1000])
        writer.write(memoryview(BIG)[1000:])
        assert not blobs.has(name(BIG))
        assert writer.finish(name(BIG)) == name(BIG)
    assert blobs.read(name(BIG)) == BIG

    other = blobs.writer()
    other.write(b"forged")
    with pytest.raises(PeerError, match="6 bytes that are not blob"):
        other.finish(name(b"true"))
    assert not blobs.has(name(b"forged"))
    assert blobs.used == len(BIG)


def test_an_aborted_blob_leaves_nothing(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(BIG)
        assert blobs.used == len(BIG)

    assert blobs.used == 0
    assert not blobs.has(name(BIG))


def test_a_blob_beyond_its_limit_is_refused(blobs: Blobs) -> None:
    writer = blobs.writer(limit=10)
    writer.write(b"x" * 10)

    with pytest.raises(TooLargeError, match="10 bytes"):
        writer.write(b"x")

    assert blobs.used == 0


def test_the_same_content_is_kept_once(blobs: Blobs) -> None:
    for _ in range(3):
        blobs.put(BIG)

    assert blobs.used == len(BIG)


def test_the_blob_used_longest_ago_makes_room(blobs: Blobs) -> None:
    third = limits.MIB // 3
    a, b, c = (blobs.put(bytes([n]) * third) for n in range(3))
    blobs.read(a)

    d = blobs.put(b"d" * third)

    assert [blobs.has(blob) for blob in (a, b, c, d)] == [True, False, True, True]


def test_pinned_blobs_stay_and_a_full_quota_says_so(blobs: Blobs) -> None:
    half = limits.MIB // 2
    a = blobs.put(b"a" * half, pin=SUM)
    blobs.put(b"b" * half, pin=PI)
    with pytest.raises(DiskError, match="in use") as raised:
        blobs.put(b"c")
    assert "1 bytes more" in str(raised.value)
    blobs.pin(a, PI)
    blobs.unpin_all(SUM)

    with pytest.raises(DiskError):
        blobs.put(b"c")
    blobs.unpin_all(PI)

    blobs.put(b"c" * limits.MIB)
    assert blobs.used == limits.MIB


def test_threads_may_all_write_and_read_at_once(blobs: Blobs) -> None:
    mistakes: list[object] = []

    def work(seed: int) -> None:
        for n in range(20):
            data = bytes([seed, n]) * 20_000
            blob = blobs.put(data, pin=SUM)
            if blobs.read(blob) != data:
                mistakes.append(blob)
            blobs.unpin(blob, SUM)

    threads = [threading.Thread(target=work, args=(n % 2,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert mistakes == []
    assert blobs.used <= limits.MIB


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(0, 100))
def test_any_cut_of_the_bytes_gives_the_same_blob(
    pieces: list[bytes], offset: int
) -> None:
    blobs = Blobs.in_memory()
    whole = b"".join(pieces)
    with blobs.writer() as writer:
        for piece in pieces:
            writer.write(piece)
        blob = writer.finish()

    assert blob == name(whole)
    assert b"".join(blobs.pieces(blob, offset)) == whole[offset:]


# --- memory and files -------------------------------------------------------------


def test_small_blobs_touch_no_disk_until_memory_is_used_up(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, memory=100)

    blobs.put(b"a" * 60)
    assert files(tmp_path) == []

    with blobs.writer() as writer:  # begins in memory, moves to a file
        writer.write(b"b" * 30)
        writer.write(b"b" * 30)
        assert blobs.read(writer.finish()) == b"b" * 60
    assert files(tmp_path) == [name(b"b" * 60).hex()]

    blobs.put(b"c" * 40)  # what the moved one gave back
    assert len(files(tmp_path)) == 1


def test_a_blob_in_memory_goes_with_its_last_pin(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blob = blobs.put(BIG, pin=SUM)
    blobs.pin(blob, PI)

    blobs.unpin(blob, SUM)
    assert blobs.has(blob)
    blobs.unpin_all(PI)

    assert not blobs.has(blob)
    assert blobs.used == 0


def test_a_durable_blob_is_there_after_a_restart(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blob = blobs.put(b"first in memory", pin=SUM)
    assert files(tmp_path) == []

    assert blobs.put(b"first in memory", durable=True) == blob

    assert blobs.used == len(b"first in memory")
    again = Blobs(tmp_path)
    assert again.read(blob) == b"first in memory"
    assert again.used == len(b"first in memory")


def test_files_are_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    before = os.umask(0)
    try:
        blob = Blobs(folder).put(BIG, durable=True)
    finally:
        os.umask(before)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / blob.hex()).stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [BIG[:-1], BIG[:5] + b"?" + BIG[6:], b""])
def test_a_damaged_blob_is_noticed_and_set_aside(tmp_path: Path, damage: bytes) -> None:
    blobs = Blobs(tmp_path)
    blob = blobs.put(BIG, durable=True)
    (tmp_path / blob.hex()).write_bytes(damage)

    with pytest.raises(DiskError, match="damaged"):
        blobs.read(blob)

    assert not blobs.has(blob)
    assert [path.startswith("damaged-") for path in files(tmp_path)] == [True]
    assert blobs.put(BIG, durable=True) == blob
    assert blobs.read(blob) == BIG


def test_a_blob_whose_file_was_removed_is_said_to_be_missing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blob = blobs.put(BIG, durable=True)
    (tmp_path / blob.hex()).unlink()

    with pytest.raises(UnavailableError, match="vanished"):
        blobs.read(blob)

    assert not blobs.has(blob)
    assert blobs.used == 0


def test_a_start_removes_leftovers_and_nothing_else(tmp_path: Path) -> None:
    for leftover in ("incoming-1", "damaged-2", "notes.txt"):
        (tmp_path / leftover).touch()

    blob = Blobs(tmp_path).put(BIG, durable=True)

    assert files(tmp_path) == sorted([blob.hex(), "notes.txt"])


def test_a_blob_being_read_may_be_evicted(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, quota=limits.MIB, memory=0)
    pieces = blobs.pieces(blobs.put(BIG))
    first = next(pieces)

    blobs.put(b"x" * limits.MIB)

    assert first + b"".join(pieces) == BIG


WRITING = """
import itertools, os, sys
from pathlib import Path
from p2pslinger.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
half = blobs.writer(durable=True)
half.write(b"half" * 100_000)
for n in itertools.count():
    print(blobs.put(b"%d" % n + os.urandom(50_000), durable=True).hex(), flush=True)
"""


def test_a_peer_killed_while_it_writes_leaves_whole_blobs_only(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(tmp_path)], stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().strip() for _ in range(30)]
        writer.send_signal(signal.SIGKILL)
    assert any(path.startswith("incoming-") for path in files(tmp_path))

    blobs = Blobs(tmp_path)

    assert not any(path.startswith("incoming-") for path in files(tmp_path))
    assert {line.decode() for line in told} <= set(files(tmp_path))
    for path in files(tmp_path):
        assert len(blobs.read(BlobId(bytes.fromhex(path)))) > 50_000


FILLING = """
import sys
from pathlib import Path
from p2pslinger.errors import DiskError
from p2pslinger.ids import JobId
from p2pslinger.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
cached = blobs.put(b"c" * 600_000, durable=True)
kept = blobs.put(b"k" * 600_000, durable=True, pin=JobId(b"j" * 20))
print(blobs.has(cached), blobs.has(kept))
try:
    blobs.put(b"x" * 600_000, durable=True)
except DiskError as error:
    print(error)
print(blobs.used, len(blobs.read(kept)), len(list(Path(sys.argv[1]).iterdir())))
"""


def test_a_full_disk_drops_the_cache_first_and_then_says_what_it_needs(
    small_disk: list[str],
) -> None:
    command = [*small_disk, sys.executable, "-c", FILLING, "DISK"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    held, message, left = done.stdout.splitlines()
    assert held == "False True"
    assert "the disk or its quota is full" in message
    assert "bytes more are needed" in message
    assert left == "600000 600000 1"


SPILLING = """
import sys
from pathlib import Path
from p2pslinger.errors import DiskError
from p2pslinger.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]), memory=1000)
for size in 2_000_000, 500:
    try:
        with blobs.writer() as writer:
            writer.write(b"a" * 500)
            writer.write(b"b" * size)
            writer.finish()
    except DiskError as error:
        print(error)
    print(blobs.used, len(list(Path(sys.argv[1]).iterdir())))
"""


def test_a_blob_that_finds_the_disk_full_gives_everything_back(
    small_disk: list[str],
) -> None:
    command = [*small_disk, sys.executable, "-c", SPILLING, "DISK"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    message, nothing, fits = done.stdout.splitlines()
    assert "the disk or its quota is full" in message
    assert nothing == "0 0"
    assert fits == "1000 0"
