"""What the owner says of others decides, and what they call themselves does not."""

from __future__ import annotations

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId, to_text
from p2pslinger.rules.members import Members, People

ME, ANN, BOB = (PeerId(bytes([n] * 20)) for n in (1, 2, 3))
DAY = "2026-11-23"


def members(people: People, *, trusting: bool = False) -> Members:
    return Members(ME, trusting, people)


def test_nothing_said_is_nothing_granted_and_nothing_refused() -> None:
    now = members(People())

    assert now.is_mine(ME)
    assert not now.is_mine(ANN)
    assert now.may_compute_for(ANN)
    assert not now.is_banned(ANN)
    assert now.petname(ANN) == ""


def test_who_is_allowed_counts_among_our_own() -> None:
    now = members(People().allow(ANN, DAY))

    assert now.is_mine(ANN)
    assert not now.is_mine(BOB)


def test_trusting_members_is_trusting_all_but_the_denied_and_the_banned() -> None:
    now = members(People().deny(ANN, DAY).ban(BOB, DAY), trusting=True)

    assert now.is_mine(PeerId(b"z" * 20))
    assert not now.is_mine(ANN)
    assert not now.is_mine(BOB)
    assert not now.may_compute_for(ANN)
    assert not now.may_compute_for(BOB)
    assert now.is_banned(BOB)
    assert not now.is_banned(ANN)


def test_the_last_word_counts() -> None:
    denied = People().allow(ANN, DAY).deny(ANN, DAY)
    allowed = denied.allow(ANN, DAY)
    banned = allowed.ban(ANN, DAY)

    assert (dict(denied.allowed), dict(denied.denied)) == ({}, {ANN: DAY})
    assert (dict(allowed.allowed), dict(allowed.denied)) == ({ANN: DAY}, {})
    assert (dict(banned.allowed), dict(banned.banned)) == ({}, {ANN: DAY})
    assert banned.unlist(ANN, "banned") == People()


def test_who_is_banned_is_neither_allowed_nor_denied_by_the_way() -> None:
    banned = People().ban(ANN, DAY)
    for say in (banned.allow, banned.deny):
        with pytest.raises(UsageError, match=r"slinger ban .* --remove"):
            say(ANN, DAY)


def test_this_peer_is_never_banned_from_itself() -> None:
    now = members(People().deny(ME, DAY).ban(ME, DAY))

    assert not now.is_banned(ME)
    assert now.is_mine(ME)
    assert now.may_compute_for(ME)


def test_a_petname_is_one_peers_alone_however_it_is_written() -> None:
    said = People().with_name(ANN, "@Grandma")

    assert said.named("grandma") == ANN
    assert said.named(" @GRANDMA ") == ANN
    assert said.named("grandpa") is None
    assert said.with_name(ANN, "Gran").named("grandma") is None
    with pytest.raises(UsageError, match="another peer"):
        said.with_name(BOB, "GRANDMA")
    assert said.without_name(ANN).named("grandma") is None


@pytest.mark.parametrize(
    "name", ["", " @ ", "x" * 61, "two\nlines", "\x1b[2J", to_text(BOB)]
)
def test_what_would_mislead_is_no_petname(name: str) -> None:
    with pytest.raises(UsageError):
        People().with_name(ANN, name)


def test_everybody_of_whom_something_is_said_is_listed_once() -> None:
    said = People().ban(BOB, DAY).allow(ANN, DAY).with_name(ANN, "ann")

    assert said.everybody() == [ANN, BOB]
