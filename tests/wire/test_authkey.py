"""The authkey: one secret, copied by people, from which all keys follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import AuthkeyError, UsageError
from p2pslinger.wire.authkey import (
    PASSPHRASE_BITS,
    Authkey,
    estimated_bits,
    from_passphrase,
    from_random,
    read,
)

KEY = from_random(bytes(range(40)))
#: What follows from `KEY`, for ever.
DATAGRAM_KEY = "ece0eb889a12e29a12e3937b479225fada8920eb32c1d90aea71110371538ee2"
TEXT = (
    "slinger-aaaqeay-eaudaoc-ajbifqy-diob4ib-ceqtcqk-"
    "rmfyyde-nbwha5d-ypsaijc-emsckjr-hfwl"
)

SIX_WORDS = "ocean ladder tractor violin pepper cloud"


@given(st.binary(min_size=40, max_size=40))
def test_an_authkey_survives_being_copied(seed: bytes) -> None:
    key = from_random(seed)
    assert read(key.to_text()) == key


def test_an_authkey_may_be_copied_in_capitals_and_with_blanks() -> None:
    text = KEY.to_text()

    assert read(f"  {text.upper()}\n") == KEY
    assert read(text.replace("-", " - ")) == KEY


@given(st.data())
def test_a_typing_error_is_noticed(data: st.DataObject) -> None:
    text = KEY.to_text()
    at = data.draw(
        st.integers(len("slinger-"), len(text) - 1).filter(lambda i: text[i] != "-")
    )
    typed = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
    if typed != text[at]:
        with pytest.raises(AuthkeyError, match="typing error"):
            read(text[:at] + typed + text[at + 1 :])


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_an_authkey_that_is_cut_short_is_noticed(cut: int) -> None:
    with pytest.raises(AuthkeyError, match="cut short"):
        read(KEY.to_text()[:-cut])


@pytest.mark.parametrize("text", ["", "hunter2", "slinger", "sling-abc", "-"])
def test_what_is_no_authkey_is_told_apart_from_a_typing_error(text: str) -> None:
    with pytest.raises(AuthkeyError, match=r"no authkey|cut short"):
        read(text)


def test_the_advice_for_a_passphrase_comes_with_the_refusal() -> None:
    with pytest.raises(AuthkeyError, match="--passphrase"):
        read("correct horse battery staple")


def test_errors_do_not_repeat_the_secret() -> None:
    text = KEY.to_text()
    with pytest.raises(AuthkeyError) as caught:
        read(text[:-1] + ("a" if text[-1] != "a" else "b"))
    assert text[10:30] not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_authkey_does_not_print_its_secret() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)


@pytest.mark.parametrize("size", [0, 39, 41])
def test_an_authkey_needs_its_forty_bytes(size: int) -> None:
    with pytest.raises(UsageError, match="40 random bytes"):
        from_random(bytes(size))


def test_each_purpose_and_each_grid_has_its_own_key() -> None:
    other = Authkey(from_random(b"x" * 40).grid, KEY.secret)
    keys = {k.key_for(p) for k in (KEY, other) for p in ("datagrams", "grid ca")}

    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert KEY.key_for("datagrams") == KEY.key_for("datagrams")


def test_a_derived_key_stays_what_it_is() -> None:
    """Changing it would part every grid into the old and the new."""
    assert KEY.key_for("datagrams").hex() == DATAGRAM_KEY
    assert KEY.to_text() == TEXT


def test_a_passphrase_and_a_grid_name_make_one_authkey() -> None:
    one = from_passphrase("home", SIX_WORDS)

    assert one == from_passphrase(" home ", SIX_WORDS)
    assert one.grid != from_passphrase("work", SIX_WORDS).grid
    assert one.secret != from_passphrase("home", SIX_WORDS + "s").secret


def test_a_passphrase_needs_a_grid_name() -> None:
    with pytest.raises(AuthkeyError, match="grid name"):
        from_passphrase("  ", SIX_WORDS)


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "   ",
        "hunter2",
        "a" * 100,
        "abab" * 20,
        "correct horse battery staple",
        "a b c d e f g h",
        "horse " * 20,
        "Horse hORSE hoRSE horSE horsE HORSE horse",
    ],
)
def test_a_weak_passphrase_is_refused_with_advice(weak: str) -> None:
    with pytest.raises(AuthkeyError, match="six unrelated words"):
        from_passphrase("home", weak)


@pytest.mark.parametrize(
    "strong",
    [SIX_WORDS, "Xk9#pQ2!vR7$mT4&", "春眠暁を覚えず処処啼鳥を聞く夜来風雨の声"],
)
def test_a_strong_passphrase_is_enough(strong: str) -> None:
    assert estimated_bits(strong) >= PASSPHRASE_BITS
