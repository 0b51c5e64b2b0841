"""What the owner says survives in a file that can be edited."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId, to_text
from p2pslinger.rules.members import PETNAME, People
from p2pslinger.store import people as files

ANN, BOB = (PeerId(bytes([n] * 20)) for n in (2, 3))
DAY = "2026-11-23"
PETNAMES = st.text(
    st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=PETNAME
).filter(lambda name: not name.startswith("@"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file will be, in a folder that does not exist yet."""
    return tmp_path / "config" / files.NAME


def test_without_a_file_nothing_is_said(file: Path) -> None:
    assert files.load(file) == People()


def test_what_is_said_is_read_again(file: Path) -> None:
    def say(said: People) -> People:
        return said.with_name(ANN, "Gran").allow(ANN, DAY).ban(BOB, DAY)

    before, after = files.change(file, say)

    assert before == People()
    assert files.load(file) == after == say(People())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(p.name for p in file.parent.iterdir()) == [
        f".{files.NAME}.lock",
        files.NAME,
    ]


@given(PETNAMES)
def test_any_petname_can_be_written(name: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / files.NAME
        files.change(file, lambda said: said.with_name(ANN, name))
        assert files.load(file).petnames == {ANN: name.strip()}


def test_what_a_person_has_written_is_understood(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f'[petnames]\n"{to_text(ANN).upper()}" = "Gran"\n'
                    f"[deny]\n{to_text(BOB)} = true\n")  # fmt: skip

    said = files.load(file)

    assert said.petnames == {ANN: "Gran"}
    assert said.denied == {BOB: files.SOME_DAY}
    files.change(file, lambda said: said.ban(ANN, DAY))
    assert files.load(file).denied == {BOB: files.SOME_DAY}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[petnames", "no valid TOML"),
        ("[friends]", "'friends' is no section"),
        ("allow = 3", r"\[allow\] is no section"),
        ("[banned]\nk3mvb2a = true", "letters and digits"),
        (f"[petnames]\n{to_text(ANN)} = 3", "is no petname"),
        (f'[petnames]\n{to_text(ANN)} = "x"\n{to_text(BOB)} = "X"', "two peers"),
    ],
)
def test_a_broken_file_is_one_sentence_and_is_never_overwritten(
    file: Path, text: str, words: str
) -> None:
    file.parent.mkdir()
    file.write_text(text)

    with pytest.raises(UsageError, match=words):
        files.load(file)
    with pytest.raises(UsageError, match=words):
        files.change(file, lambda said: said.ban(BOB, DAY))
    assert file.read_text() == text


def test_commands_at_the_same_moment_lose_nothing(file: Path) -> None:
    peers = [PeerId(bytes([n] * 20)) for n in range(20)]

    def ban(peer: PeerId) -> None:
        files.change(file, lambda said: said.ban(peer, DAY))

    threads = [threading.Thread(target=ban, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(files.load(file).banned) == set(peers)
