"""Whom to ask for which chunk: the rarest first, the nearest first, a keeper last."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from p2pslinger.ids import PeerId
from p2pslinger.peer.blobs.picking import BACKLOG, SLOW, Giver, Picking, is_near

EVERY = (1 << 64) - 1


@dataclass
class Crowd:
    """Givers that nobody is connected with."""

    picking: Picking

    def giver(
        self, name: bytes, offered: int, *, near: bool = True, keeper: bool = False
    ) -> Giver:
        peer = PeerId(name * 20)
        made = Giver(None, peer, keeper, near, offered)  # type: ignore[arg-type]
        self.picking.givers[peer] = made
        return made


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(Picking(0))


def test_the_rarest_chunk_comes_first(crowd: Crowd) -> None:
    ann = crowd.giver(b"a", 0b1111)
    crowd.giver(b"b", 0b1011)

    assert crowd.picking.pick(ann, EVERY, now=0) == 2


def test_each_peer_begins_at_its_own_place() -> None:
    for first in (0, 5, 63):
        crowd = Crowd(Picking(first))
        ann = crowd.giver(b"a", EVERY)
        assert crowd.picking.pick(ann, EVERY, now=0) == first


def test_what_is_on_its_way_or_here_is_not_asked_for_again(crowd: Crowd) -> None:
    ann, bob = crowd.giver(b"a", 0b111), crowd.giver(b"b", 0b111)
    crowd.picking.begin(0, ann, now=0)

    assert crowd.picking.pick(bob, 0b101, now=0) == 2
    crowd.picking.begin(2, bob, now=0)
    assert crowd.picking.pick(ann, 0b101, now=0) is None
    crowd.picking.end(0, ann)
    assert crowd.picking.pick(ann, 0b101, now=0) == 0


def test_what_is_slow_to_come_is_asked_of_one_other(crowd: Crowd) -> None:
    ann, bob, eve = (crowd.giver(name, 1) for name in (b"a", b"b", b"e"))
    crowd.picking.begin(0, ann, now=0)

    assert crowd.picking.pick(bob, 1, now=SLOW - 0.1) is None
    assert crowd.picking.pick(ann, 1, now=SLOW) is None
    assert crowd.picking.pick(bob, 1, now=SLOW) == 0
    crowd.picking.begin(0, bob, now=SLOW)
    assert crowd.picking.pick(eve, 1, now=3 * SLOW) is None


def test_distant_givers_bring_only_what_no_near_one_has(crowd: Crowd) -> None:
    crowd.giver(b"a", EVERY ^ 0b1000)
    far = crowd.giver(b"f", EVERY, near=False)

    assert crowd.picking.pick(far, EVERY, now=0) == 3
    assert crowd.picking.pick(far, EVERY ^ 0b1000, now=0) is None


def test_a_keeper_is_spared_unless_the_others_have_a_lot_to_do(crowd: Crowd) -> None:
    some = (1 << BACKLOG) - 1
    keeper = crowd.giver(b"k", EVERY, keeper=True)
    other = crowd.giver(b"o", some)

    assert crowd.picking.pick(keeper, some, now=0) is None
    assert crowd.picking.pick(keeper, EVERY, now=0) == BACKLOG
    other.offered = EVERY
    assert crowd.picking.pick(keeper, EVERY, now=0) == 0


def test_nothing_is_left_to_a_giver_that_brings_nothing(crowd: Crowd) -> None:
    far, near = crowd.giver(b"f", 0b11, near=False), crowd.giver(b"n", 0b11)
    crowd.picking.begin(0, near, now=0)

    assert crowd.picking.pick(far, 0b11, now=0) is None
    assert crowd.picking.pick(far, 0b11, now=SLOW) == 1


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("127.0.0.1", True),
        ("192.168.1.7", True),
        ("10.1.2.3", True),
        ("fe80::1%eth0", True),
        ("::1", True),
        ("8.8.8.8", False),
        ("2a00:1450::1", False),
        ("", False),
        ("a.host.name", False),
    ],
)
def test_near_is_this_machine_and_the_local_network(host: str, near: bool) -> None:
    assert is_near(host) is near
