"""One peer to a data folder, and nobody else's eyes in it."""

from __future__ import annotations

import os
import pickle
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError
from p2pslinger.store.folder import DataFolder, FolderBusyError, make_private

HOLDING = """
import sys
from pathlib import Path
from p2pslinger.store.folder import DataFolder
lock = DataFolder.make(Path(sys.argv[1])).lock()
print("held", flush=True)
sys.stdin.readline()
"""


def holder(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_peer_is_told_who_runs_on_the_folder(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        with pytest.raises(FolderBusyError, match=f"process {first.pid}") as raised:
            DataFolder.make(tmp_path).lock()
        first.kill()

    assert raised.value.pid == first.pid
    assert "slinger status" in str(raised.value)


def test_a_killed_peer_holds_its_folder_no_longer(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        first.send_signal(signal.SIGKILL)

    with DataFolder.make(tmp_path).lock():
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    folder = DataFolder.make(tmp_path)
    lock = folder.lock()
    with pytest.raises(FolderBusyError):
        folder.lock()

    lock.release()
    lock.release()

    folder.lock().release()


def test_a_busy_folder_survives_a_trip_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(FolderBusyError("a peer runs", 7)))
    assert (str(error), error.pid) == ("a peer runs", 7)


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = DataFolder.make(tmp_path / "a" / "b")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.state.parent == folder.path


def test_an_empty_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    folder.chmod(0o755)

    make_private(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_with_something_in_it_keeps_its_mode_and_is_refused(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "letter").touch()
    folder.chmod(0o755)

    with pytest.raises(DiskError, match="chmod 700"):
        make_private(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_folder_for_everybody_is_refused_even_when_empty(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)

    with pytest.raises(DiskError, match="chmod 700"):
        make_private(folder)
