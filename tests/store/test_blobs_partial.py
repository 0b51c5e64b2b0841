"""A partial blob keeps every chunk that it was given, whatever happens in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, PeerError, UnavailableError
from p2pslinger.ids import JobId
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.blobs import CHUNK, blob_digest, chunks_of

SUM = JobId(b"s" * 20)
BIG = random.Random(3).randbytes(3 * CHUNK + 1000)
CHUNKS = chunks_of(BIG)
NAME = CHUNKS.blob


def part(index: int) -> bytes:
    return BIG[index * CHUNK : (index + 1) * CHUNK]


@pytest.fixture(params=["files", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Both ways in which a peer can keep blobs; the quota is 8 MiB."""
    folder = None if request.param == "memory" else tmp_path / "blobs"
    return Blobs(folder, quota=8 * CHUNK, memory=0 if folder else CHUNK)


def test_chunks_come_in_any_order_and_are_a_blob_once_all_are_there(
    blobs: Blobs,
) -> None:
    with blobs.partial(CHUNKS) as partial:
        for index in (3, 0, 2):
            partial.write(index, part(index))
        assert partial.have == 0b1101
        assert partial.read(3) == part(3)
        with pytest.raises(UnavailableError, match="not all here"):
            partial.finish()
        partial.write(1, *(part(1)[at : at + 1000] for at in range(0, CHUNK, 1000)))
        assert partial.finish(pin=SUM) == NAME

    assert blobs.read(NAME) == BIG
    assert blobs.chunks(NAME) == CHUNKS
    assert bytes(blobs.chunk(NAME, 3)) == part(3)
    assert blobs.is_pinned(NAME, SUM)
    assert blobs.used == len(BIG)


def test_a_wrong_chunk_is_not_taken(blobs: Blobs) -> None:
    with blobs.partial(CHUNKS) as partial:
        with pytest.raises(PeerError, match="chunk 0"):
            partial.write(0, part(1))
        with pytest.raises(UnavailableError, match="chunk 0 is not here"):
            partial.read(0)


def test_one_that_is_closed_takes_and_gives_nothing(blobs: Blobs) -> None:
    with blobs.partial(CHUNKS) as partial:
        partial.write(0, part(0))

    for use in (lambda: partial.read(0), lambda: partial.write(1, part(1))):
        with pytest.raises(UnavailableError, match="no longer"):
            use()
    partial.close()


def test_one_in_memory_leaves_nothing_when_it_is_given_up() -> None:
    blobs = Blobs.in_memory()
    with blobs.partial(CHUNKS) as partial:
        partial.write(0, part(0))
        assert blobs.used == len(BIG)

    assert blobs.used == 0


def test_one_that_is_here_already_is_kept_once(blobs: Blobs) -> None:
    with blobs.partial(CHUNKS) as partial:
        blobs.put(BIG, pin=SUM)
        for index in range(4):
            partial.write(index, part(index))
        assert partial.finish() == NAME

    assert blobs.used == len(BIG)
    assert blobs.is_pinned(NAME, SUM)


def test_a_restart_goes_on_with_the_chunks_that_are_right(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    with Blobs(folder, memory=0).partial(CHUNKS) as partial:
        for index in (0, 2, 3):
            partial.write(index, part(index))
    file = folder / f"partial-{NAME.hex()}"
    with file.open("r+b") as torn:
        torn.seek(2 * CHUNK + 17)
        torn.write(b"?")

    blobs = Blobs(folder)
    assert blobs.used == len(BIG)
    with blobs.partial(CHUNKS) as partial:
        assert partial.have == 0b1001
        for index in (1, 2):
            partial.write(index, part(index))
        partial.finish()

    assert blobs.read(NAME) == BIG
    assert blobs.used == len(BIG)
    assert [path.name for path in folder.iterdir()] == [NAME.hex()]


def test_leftovers_make_room_first_but_not_what_is_being_fetched(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "blobs"
    with Blobs(folder, memory=0).partial(CHUNKS) as partial:
        partial.write(3, part(3))
    blobs = Blobs(folder, quota=2 * len(BIG), memory=0)
    cached = blobs.put(b"c" * (len(BIG) - 10))

    with blobs.partial(CHUNKS) as partial:  # claims what is left of it
        with pytest.raises(DiskError, match="everything is in use"):
            blobs.put(b"x" * (len(BIG) + 20), pin=SUM)
        assert partial.read(3) == part(3)
    assert not blobs.has(cached)

    kept = blobs.put(b"x" * (len(BIG) + 20), pin=SUM)
    assert [path.name for path in folder.iterdir()] == [kept.hex()]


def test_a_partial_blob_without_room_says_so_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    with Blobs(folder, memory=0).partial(CHUNKS) as partial:
        partial.write(0, part(0))
    blobs = Blobs(folder, quota=3 * CHUNK, memory=0)

    with pytest.raises(DiskError, match="wait for a job to end"):
        blobs.partial(CHUNKS)

    with Blobs(folder).partial(CHUNKS) as partial:
        assert partial.have == 1


def test_a_damaged_chunk_is_found_before_it_is_passed_on(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    blobs = Blobs(folder, memory=0)
    blobs.put(BIG, pin=SUM)
    with (folder / NAME.hex()).open("r+b") as file:
        file.seek(2 * CHUNK)
        file.write(b"?")

    assert blobs.chunk(NAME, 1) == part(1)
    with pytest.raises(DiskError, match="set aside"):
        blobs.chunk(NAME, 2)
    assert not blobs.has(NAME)


def test_what_a_file_consists_of_is_found_out_after_a_restart(tmp_path: Path) -> None:
    Blobs(tmp_path / "blobs", memory=0).put(BIG)

    again = Blobs(tmp_path / "blobs", memory=0)
    assert again.chunks(NAME) == CHUNKS
    assert again.chunk(NAME, 3) == part(3)


KILLED = """
import sys
from pathlib import Path
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.blobs import CHUNK, chunks_of
data = Path(sys.argv[2]).read_bytes()
partial = Blobs(Path(sys.argv[1]), memory=0).partial(chunks_of(data))
partial.write(0, data[:CHUNK])
partial.write(3, data[3 * CHUNK :])
print("written", flush=True)
while True:
    partial.write(2, data[2 * CHUNK : 3 * CHUNK])
"""


def test_a_peer_killed_in_the_middle_keeps_its_finished_chunks(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(BIG)
    places = [str(tmp_path / "blobs"), str(tmp_path / "data")]
    command = [sys.executable, "-c", KILLED, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)

    with Blobs(tmp_path / "blobs").partial(CHUNKS) as partial:
        assert partial.have & 0b1001 == 0b1001


FILLING = """
import sys
from pathlib import Path
from p2pslinger.errors import DiskError
from p2pslinger.ids import JobId
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.blobs import CHUNK, chunks_of
blobs = Blobs(Path(sys.argv[1]), memory=0)
kept = blobs.put(b"k" * 300_000, durable=True, pin=JobId(b"j" * 20))
data = b"x" * (2 * CHUNK)
with blobs.partial(chunks_of(data)) as partial:
    try:
        partial.write(1, data[CHUNK:])
    except DiskError as error:
        print(error)
print(len(blobs.read(kept)))
blobs.put(b"a" * 500_000)
print(sorted(path.name[:7] for path in Path(sys.argv[1]).iterdir())[-1] != "partial")
"""


def test_a_full_disk_ends_a_fetch_in_a_sentence_and_its_part_makes_room(
    small_disk: list[str],
) -> None:
    command = [*small_disk, sys.executable, "-c", FILLING, "DISK"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    message, kept, made_room = done.stdout.splitlines()
    assert "the disk or its quota is full" in message
    assert kept == "300000"
    assert made_room == "True"


def test_the_name_of_a_blob_does_not_depend_on_how_it_came(blobs: Blobs) -> None:
    assert blobs.put(BIG) == blob_digest(BIG) == NAME
