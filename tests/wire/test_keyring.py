"""Authkeys of one grid, while it goes over from one to the next."""

from __future__ import annotations

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId
from p2pslinger.wire import authkey
from p2pslinger.wire.keyring import OLDER, Keyring, Older

FIRST = authkey.from_random(b"g" * 8 + b"1" * 32)
OTHER_GRID = authkey.from_random(b"h" * 8 + b"1" * 32)
ANN, BOB = PeerId(b"a" * 20), PeerId(b"b" * 20)


def test_the_next_authkey_is_of_the_same_grid_and_follows_from_chance_alone() -> None:
    after = Keyring(FIRST).follow(b"2" * 32, until=100.0)

    assert after.newest == authkey.from_random(b"g" * 8 + b"2" * 32)
    assert after.grid == FIRST.grid
    assert list(after) == [after.newest, FIRST]
    assert after.ends == 100.0


def test_a_passphrases_authkey_is_followed_by_one_of_the_same_grid() -> None:
    words = "correct horse battery staple orbit lagoon"
    first = authkey.from_passphrase("home", words)
    after = Keyring(first).follow(b"2" * 32, until=1.0)

    assert after.grid == first.grid
    assert authkey.read(after.newest.to_text()) == after.newest


def test_an_older_authkey_counts_until_its_end() -> None:
    after = Keyring(FIRST).follow(b"2" * 32, until=100.0)

    assert after.at(99.9) is after
    assert list(after.at(100.0)) == [after.newest]
    assert after.at(100.0).ends == 0.0
    assert after.alone() == after.at(100.0)


def test_an_authkey_of_another_grid_is_none_to_go_over_to() -> None:
    with pytest.raises(UsageError, match="another grid"):
        Keyring(FIRST).join(OTHER_GRID, 1.0)


def test_joining_twice_is_joining_once() -> None:
    after = Keyring(FIRST).follow(b"2" * 32, until=100.0)
    assert after.join(after.newest, 200.0) == after


def test_who_goes_back_holds_each_authkey_once() -> None:
    after = Keyring(FIRST).follow(b"2" * 32, until=100.0)
    back = after.join(FIRST, 50.0)

    assert back == Keyring(FIRST, (Older(after.newest, 50.0),))


def test_two_who_made_one_each_can_agree_on_either() -> None:
    mine = Keyring(FIRST).follow(b"2" * 32, until=100.0)
    theirs = Keyring(FIRST).follow(b"3" * 32, until=100.0)
    agreed = mine.join(theirs.newest, 100.0)

    assert list(agreed) == [theirs.newest, mine.newest, FIRST]


def test_older_authkeys_are_few() -> None:
    keyring = Keyring(FIRST)
    for number in range(OLDER):
        keyring = keyring.follow(bytes([number] * 32), until=100.0)
    with pytest.raises(UsageError, match="--expel"):
        keyring.follow(b"x" * 32, until=100.0)


def test_a_proof_says_which_authkey_and_is_its_makers_alone() -> None:
    old = Keyring(FIRST)
    both = old.follow(b"2" * 32, until=100.0)

    assert both.age(ANN, both.proof(ANN)) == 0
    assert both.age(ANN, old.proof(ANN)) == 1
    assert both.age(BOB, both.proof(ANN)) is None
    assert old.age(ANN, both.proof(ANN)) is None
    assert both.alone().age(ANN, old.proof(ANN)) is None


def test_no_authkey_is_shown_by_accident() -> None:
    both = Keyring(FIRST).follow(b"2" * 32, until=100.0)
    assert "1111" not in repr(both)
    assert "2222" not in repr(both)
