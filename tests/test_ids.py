"""Ids are typed by people, so a typing error is caught before anything is looked up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import UsageError
from p2pslinger.ids import ID_BYTES, from_text, peer_id, short, to_text

IDS = st.binary(min_size=ID_BYTES, max_size=ID_BYTES)
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


@given(st.binary(min_size=1, max_size=50))
def test_any_bytes_come_back_from_their_text(raw: bytes) -> None:
    assert from_text(to_text(raw), len(raw)) == raw


@given(IDS)
def test_an_id_may_be_typed_in_capitals_without_hyphens_and_with_blanks(
    raw: bytes,
) -> None:
    text = to_text(raw)

    assert from_text(text.upper()) == raw
    assert from_text(text.replace("-", "")) == raw
    assert from_text(f" {text.replace('-', ' ')}\n") == raw


@given(IDS)
def test_the_short_form_is_the_first_group(raw: bytes) -> None:
    assert to_text(raw).split("-")[0] == short(raw)


def test_an_id_is_five_groups_of_seven() -> None:
    assert to_text(bytes(20)) == "aaaaaaa-aaaaaaa-aaaaaaa-aaaaaaa-aaaayxr"
    assert {len(group) for group in to_text(b"x" * 20).split("-")} == {7}


@pytest.mark.parametrize("at", range(35))
def test_no_letter_may_be_another(at: int) -> None:
    text = to_text(bytes(range(20))).replace("-", "")
    wrong = [text[:at] + letter + text[at + 1 :] for letter in LETTERS]
    for typed in set(wrong) - {text}:
        with pytest.raises(UsageError, match="typing error"):
            from_text(typed)


@given(IDS, st.integers(0, 33))
def test_two_letters_that_changed_places_are_noticed(raw: bytes, at: int) -> None:
    text = to_text(raw).replace("-", "")
    swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if swapped != text:
        with pytest.raises(UsageError):
            from_text(swapped)


def test_spare_bits_may_not_be_set() -> None:
    text = to_text(b"8 bytes!").replace("-", "")
    odd = LETTERS[LETTERS.index(text[12]) + 1]  # one bit more than 8 bytes have
    with pytest.raises(UsageError, match="typing error"):
        from_text(text[:12] + odd + text[13:], 8)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 letters and digits, not 35"),
        ("abc", "has 3 letters"),
        ("a" * 36, "has 36 letters"),
        ("0" * 35, "only a-z and 2-7"),
        ("a" * 34 + "1", "typing error"),
        ("é" * 35, "only a-z and 2-7"),
        ("a" * 26 + "=" * 6 + "abc", "typing error|only a-z"),
    ],
)
def test_what_is_no_id_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        from_text(text)


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_a_mistake(text: str) -> None:
    try:
        assert len(from_text(text)) == ID_BYTES
    except UsageError:
        pass


def test_a_peer_is_named_after_its_key() -> None:
    assert len(peer_id(b"k" * 32)) == ID_BYTES
    assert peer_id(b"k" * 32) != peer_id(b"l" * 32)
