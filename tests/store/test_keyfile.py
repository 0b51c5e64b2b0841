"""Key files are 0600 from their first byte, and a damaged one is never replaced."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, UsageError
from p2pslinger.store.keyfile import (
    AUTHKEY,
    IDENTITY,
    change_keyring,
    load_authkey,
    load_keyring,
    load_or_create_identity,
    save_authkey,
)
from p2pslinger.wire.authkey import Authkey, from_random

OURS = from_random(bytes(range(40)))
THEIRS = from_random(bytes(reversed(range(40))))


@pytest.fixture
def careless() -> Iterator[None]:
    """A user whose umask leaves everything open."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_peer_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = load_or_create_identity(tmp_path)

    again = load_or_create_identity(tmp_path)

    assert again.id == first.id
    assert again.secret == first.secret


def test_two_folders_hold_two_peers(tmp_path: Path) -> None:
    one = load_or_create_identity(tmp_path / "one")
    assert one.id != load_or_create_identity(tmp_path / "two").id


@pytest.mark.usefixtures("careless")
def test_keys_belong_to_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    load_or_create_identity(folder)
    save_authkey(folder, OURS)

    assert mode(folder) == 0o700
    assert mode(folder / IDENTITY) == 0o600
    assert mode(folder / AUTHKEY) == 0o600
    assert {path.name for path in folder.iterdir()} == {AUTHKEY, IDENTITY}


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, open_to: int) -> None:
    load_or_create_identity(tmp_path)
    (tmp_path / IDENTITY).chmod(open_to)

    with pytest.raises(DiskError, match="chmod 600"):
        load_or_create_identity(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "aaaaaaa-bbbbbbb\n", "\0" * 50, "ä"]
)
def test_a_damaged_identity_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / IDENTITY
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(DiskError, match="is damaged"):
        load_or_create_identity(tmp_path)

    assert path.read_text(encoding="utf-8") == text


def test_one_flipped_letter_of_a_key_is_noticed(tmp_path: Path) -> None:
    load_or_create_identity(tmp_path)
    path = tmp_path / IDENTITY
    comment, line = path.read_text().splitlines()
    other = "a" if line[3] != "a" else "b"
    path.write_text(f"{comment}\n{line[:3]}{other}{line[4:]}\n")

    with pytest.raises(DiskError, match="is damaged"):
        load_or_create_identity(tmp_path)


def test_a_saved_authkey_is_read_back(tmp_path: Path) -> None:
    assert load_authkey(tmp_path) is None

    save_authkey(tmp_path, OURS)
    save_authkey(tmp_path, OURS)

    assert load_authkey(tmp_path) == OURS


def test_an_authkey_of_another_grid_is_replaced_on_request_only(tmp_path: Path) -> None:
    save_authkey(tmp_path, OURS)

    with pytest.raises(UsageError, match="another authkey"):
        save_authkey(tmp_path, THEIRS)
    assert load_authkey(tmp_path) == OURS

    save_authkey(tmp_path, THEIRS, replace=True)
    assert load_authkey(tmp_path) == THEIRS
    assert mode(tmp_path / AUTHKEY) == 0o600


def test_a_damaged_authkey_is_not_replaced_even_on_request(tmp_path: Path) -> None:
    path = tmp_path / AUTHKEY
    path.write_text("slinger-oops")
    path.chmod(0o600)

    with pytest.raises(DiskError, match="slinger init"):
        save_authkey(tmp_path, OURS, replace=True)

    assert path.read_text() == "slinger-oops"


def test_no_message_holds_a_key(tmp_path: Path) -> None:
    save_authkey(tmp_path, OURS)
    path = tmp_path / AUTHKEY
    path.write_text(OURS.to_text()[:-1])

    with pytest.raises(DiskError) as raised:
        load_authkey(tmp_path)

    assert OURS.to_text()[10:30] not in str(raised.value)
    assert "secret" not in repr(Authkey(OURS.grid, OURS.secret))


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DiskError, match="file/data"):
        load_or_create_identity(tmp_path / "file" / "data")


MAKING_IDENTITIES = """
import itertools, sys
from pathlib import Path
from p2pslinger.store.keyfile import load_or_create_identity
for n in itertools.count():
    load_or_create_identity(Path(sys.argv[1]) / str(n))
    print(n, flush=True)
"""


def test_a_peer_killed_while_it_makes_its_key_leaves_a_whole_one_or_none(
    tmp_path: Path,
) -> None:
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKING_IDENTITIES, str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    with maker:
        assert maker.stdout is not None
        for _ in range(20):
            maker.stdout.readline()
        maker.send_signal(signal.SIGKILL)

    folders = [path for path in tmp_path.iterdir() if (path / IDENTITY).exists()]
    assert len(folders) >= 20
    for folder in folders:
        load_or_create_identity(folder)


def test_of_two_that_make_a_key_at_once_both_get_the_same(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path;"
        "from p2pslinger.store.keyfile import load_or_create_identity;"
        "print('ready', flush=True); sys.stdin.readline();"
        "print(load_or_create_identity(Path(sys.argv[1])).id.hex())"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for maker in makers:
        assert maker.stdout is not None
        maker.stdout.readline()

    ids = set()
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()
    for maker in makers:
        ids.add(maker.communicate()[0])

    assert len(ids) == 1


# --- two authkeys at once -----------------------------------------------------------


def test_the_older_authkey_is_in_the_same_file_until_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    save_authkey(folder, OURS)
    both = change_keyring(folder, lambda held: held.follow(b"n" * 32, 5e9))

    assert list(both) == [both.newest, OURS]
    assert load_keyring(folder) == both
    assert load_authkey(folder) == both.newest
    assert mode(folder / AUTHKEY) == 0o600

    left = change_keyring(folder, lambda held: held.at(6e9))
    assert list(left) == [both.newest]
    text = (folder / AUTHKEY).read_text()
    assert OURS.to_text() not in text
    assert both.newest.to_text() in text


def test_a_change_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    save_authkey(folder, OURS)
    before = (folder / AUTHKEY).read_bytes()
    other = from_random(bytes(40))

    with pytest.raises(UsageError, match="another grid"):
        change_keyring(folder, lambda held: held.join(other, 5e9))
    assert (folder / AUTHKEY).read_bytes() == before


def test_without_a_grid_there_is_none_to_go_over(tmp_path: Path) -> None:
    load_or_create_identity(tmp_path / "data")
    with pytest.raises(UsageError, match="slinger init"):
        change_keyring(tmp_path / "data", lambda held: held)


@pytest.mark.parametrize(
    "line",
    ["older", "older-until tomorrow {key}", "older-until 2026-01-01T00:00 {key}",
     "since 2026-01-01T00:00+00:00 {key}", "older-until 2026-01-01T00:00+00:00 x"],
)  # fmt: skip
def test_a_damaged_line_of_an_older_authkey_is_refused(
    tmp_path: Path, line: str
) -> None:
    folder = tmp_path / "data"
    save_authkey(folder, OURS)
    file = folder / AUTHKEY
    file.write_text(file.read_text() + line.format(key=OURS.to_text()) + "\n")
    with pytest.raises(DiskError, match="damaged"):
        load_keyring(folder)
