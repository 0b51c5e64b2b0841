"""What the owner has written of others holds, or nobody else gets anything."""

from __future__ import annotations

from pathlib import Path

from p2pslinger.ids import PeerId, to_text
from p2pslinger.peer.events import Events
from p2pslinger.peer.people import Acquaintance, Written

ME, ANN, BOB = (PeerId(bytes([n] * 20)) for n in (1, 2, 3))


def acquaintance(file: Path, heard: list[str], *, trusting: bool) -> Acquaintance:
    return Acquaintance(
        ME,
        trusting=trusting,
        sayings=Written(file),
        changed=lambda: heard.append("changed"),
        events=Events(),
    )


def test_a_file_that_is_broken_from_the_start_makes_strangers_of_all(
    tmp_path: Path,
) -> None:
    """One of them may be denied, or banned: nobody knows."""
    file, heard = tmp_path / "people.toml", list[str]()
    file.write_text("[deny")
    people = acquaintance(file, heard, trusting=True)

    assert people.serves(ME)
    assert people.is_mine(ME)
    assert not people.serves(ANN)
    assert not people.is_mine(ANN)
    assert str(file) in people.why_unsure
    assert "nothing is computed for others" in people.notes()[0]

    file.write_text(f"[deny]\n{to_text(ANN)} = true\n")
    people.look()
    assert heard == ["changed"]
    assert people.notes() == []
    assert people.why_unsure == ""
    assert people.is_mine(BOB)
    assert not people.serves(ANN)


def test_a_file_that_breaks_later_leaves_what_it_said(tmp_path: Path) -> None:
    file = tmp_path / "people.toml"
    file.write_text(f"[deny]\n{to_text(ANN)} = true\n")
    people = acquaintance(file, [], trusting=False)
    file.write_text("[deny")
    people.look()

    assert not people.serves(ANN)
    assert people.serves(BOB)
    assert people.why_unsure == ""
    assert "what it said before holds" in people.notes()[0]


def test_a_file_that_is_mended_without_a_word_in_it_is_heard_too(
    tmp_path: Path,
) -> None:
    file, heard = tmp_path / "people.toml", list[str]()
    file.mkdir()
    people = acquaintance(file, heard, trusting=False)
    assert not people.serves(ANN)

    file.rmdir()
    people.look()
    assert people.serves(ANN)
    assert heard == ["changed"]
