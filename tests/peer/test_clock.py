"""Whose clock is right is a vote; who is far off works on the others' time."""

from __future__ import annotations

from p2pslinger.ids import PeerId
from p2pslinger.peer.presence.clock import GridClock, agreed

ME, ANN, BOB, CAT = (PeerId(bytes([n]) * 20) for n in (5, 1, 7, 9))
DAY = 86_400.0


class Owner:
    """A machine whose clock shows 1,000 s, and how often its correction changed."""

    def __init__(self) -> None:
        self.changes = 0
        self.clock = GridClock(ME, lambda: 1000.0, self.change)

    def change(self) -> None:
        self.changes += 1


def test_who_is_alone_goes_by_its_own_clock() -> None:
    clock = Owner().clock

    assert (clock.now(), clock.off, clock.is_wrong) == (1000.0, None, False)
    assert clock.notes() == []


def test_a_minute_is_measured_and_not_corrected() -> None:
    owner = Owner()
    owner.clock.heard(ANN, 60.0)
    owner.clock.heard(BOB, 62.0)

    assert owner.clock.off == 61.0
    assert (owner.clock.now(), owner.changes) == (1000.0, 0)


def test_who_is_a_day_off_goes_by_its_neighbours_and_says_so() -> None:
    owner = Owner()
    owner.clock.heard(ANN, -DAY)
    owner.clock.heard(BOB, -DAY - 2)

    assert owner.clock.is_wrong
    assert abs(owner.clock.now() - (1000 - DAY)) <= 2
    assert owner.clock.off == -DAY - 1
    (note,) = owner.clock.notes()
    assert "this machine's clock is 86,400 s ahead of its neighbours'" in note
    assert "set it, best by NTP" in note


def test_one_neighbour_that_is_a_day_off_changes_nothing() -> None:
    owner = Owner()
    owner.clock.heard(BOB, DAY)
    owner.clock.heard(ANN, 1.0)
    owner.clock.heard(CAT, -1.0)

    assert (owner.clock.correction, owner.changes) == (0.0, 0)
    assert owner.clock.off == 1.0


def test_two_alone_do_not_correct_each_other_in_a_circle() -> None:
    assert agreed(ANN, {ME: DAY}) == 0.0
    assert agreed(ME, {ANN: -DAY}) == -DAY


def test_a_correction_ends_with_its_reason() -> None:
    owner = Owner()
    owner.clock.heard(ANN, DAY)
    assert owner.clock.is_wrong
    owner.clock.lost(ANN)
    assert owner.clock.is_wrong, "nobody has said otherwise"

    owner.clock.heard(ANN, 0.5)
    assert not owner.clock.is_wrong
    assert owner.changes == 2
