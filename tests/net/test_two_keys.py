"""Datagrams while a grid goes over from one authkey to the next."""

from __future__ import annotations

from p2pslinger.net.datagrams import Seals
from tests.net.test_datagrams import ANN, BOB, EVE, KEY, seals

NEXT = b"n" * 32


def hears(to: Seals, datagrams: list[bytes]) -> list[bytes]:
    return [opened[2] for one in datagrams if (opened := to.open(one)) is not None]


def test_who_holds_both_keys_is_heard_by_who_holds_either() -> None:
    ann, bob, eve = seals(ANN), seals(BOB), seals(EVE)
    ann.use([NEXT, KEY])
    eve.use([NEXT])

    assert hears(bob, ann.copies(b"hello", BOB)) == [b"hello"]
    assert hears(eve, ann.copies(b"hello", EVE)) == [b"hello"]
    assert hears(bob, ann.copies(b"who?", None)) == [b"who?"]
    assert hears(ann, [bob.seal(b"from bob", ANN)]) == [b"from bob"]
    assert hears(ann, [eve.seal(b"from eve", ANN)]) == [b"from eve"]
    assert hears(eve, [bob.seal(b"hello", EVE)]) == []


def test_once_it_is_known_which_key_a_peer_uses_it_gets_one_datagram() -> None:
    ann, bob = seals(ANN), seals(BOB)
    ann.use([NEXT, KEY])
    assert len(ann.copies(b"hello", BOB)) == 2
    ann.open(bob.seal(b"hello", ANN))
    (one,) = ann.copies(b"hello", BOB)
    assert bob.open(one)

    bob.use([NEXT, KEY])
    for datagram in bob.copies(b"hello", ANN):
        ann.open(datagram)
    (one,) = ann.copies(b"hello", BOB)
    bob.use([NEXT])
    assert bob.open(one)


def test_a_key_that_has_ended_opens_nothing_and_replays_stay_replays() -> None:
    ann, bob = seals(ANN), seals(BOB)
    old = ann.seal(b"old", BOB)
    late = ann.seal(b"late", BOB)
    ann.use([NEXT, KEY])
    bob.use([NEXT, KEY])
    both = ann.copies(b"both", BOB)
    assert bob.open(old)
    assert hears(bob, both) == [b"both", b"both"]

    bob.use([NEXT])
    assert bob.open(late) is None
    assert hears(bob, both) == []
    ann.use([NEXT])
    assert hears(bob, ann.copies(b"new", BOB)) == [b"new"]


def test_no_counter_is_used_twice_whichever_key_it_is_under() -> None:
    ann = seals(ANN)
    ann.use([NEXT, KEY])
    sent = [one for _ in range(100) for one in ann.copies(b"same", BOB)]
    assert len({one[46:54] for one in sent}) == len(sent) == 200
