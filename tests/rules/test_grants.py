"""A grant is a lease: taken, renewed, and over by silence; its MAC outlives it."""

from __future__ import annotations

from itertools import product

from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import LEASE
from p2pslinger.rules.grants import MAC_BYTES, Ledger

JOB, OTHER_JOB = JobId(b"j" * 20), JobId(b"o" * 20)
ANN, BOB = PeerId(b"a" * 20), PeerId(b"b" * 20)
KEY = b"k" * 32


def ledger() -> Ledger:
    return Ledger(JOB, KEY)


def test_a_grant_says_what_was_granted_and_until_when() -> None:
    held = ledger().make(ANN, 3, 7, now=100.0)

    assert (held.number, held.volunteer, held.start, held.stop) == (1, ANN, 3, 7)
    assert held.expires == 100.0 + LEASE
    assert held.index == 3


def test_no_two_grants_have_one_number() -> None:
    grants = ledger()
    first = grants.make(ANN, 0, 1, 0.0)
    grants.end(first.number, ANN)

    assert grants.make(ANN, 0, 1, 0.0).number != first.number


def test_a_silent_volunteer_loses_its_grant_when_the_lease_ends() -> None:
    grants = ledger()
    held = grants.make(ANN, 0, 5, now=0.0)

    assert grants.lapse(LEASE - 0.01) == []
    assert grants.lapse(LEASE) == [held]
    assert len(grants) == 0
    assert grants.lapse(LEASE) == []


def test_renewing_counts_from_the_renewal() -> None:
    grants = ledger()
    held = grants.make(ANN, 0, 5, now=0.0)

    assert grants.renew(held.number, ANN, 2, now=3.0)
    assert held.index == 2
    assert grants.next_lapse() == 3.0 + LEASE
    assert grants.lapse(LEASE) == []


def test_a_heartbeat_can_not_be_elsewhere_than_in_its_grant() -> None:
    grants = ledger()
    held = grants.make(ANN, 3, 5, now=0.0)

    grants.renew(held.number, ANN, 99, now=0.0)
    assert held.index == 4
    grants.renew(held.number, ANN, 0, now=0.0)
    assert held.index == 3


def test_only_its_holder_renews_and_ends_a_grant() -> None:
    grants = ledger()
    held = grants.make(ANN, 0, 5, now=0.0)

    assert not grants.renew(held.number, BOB, 0, now=1.0)
    assert grants.end(held.number, BOB) is None
    assert held.expires == LEASE
    assert grants.end(held.number, ANN) == held
    assert not grants.renew(held.number, ANN, 0, now=1.0)
    assert grants.end(held.number, ANN) is None


def test_who_leaves_loses_all_its_grants_and_nobody_elses() -> None:
    grants = ledger()
    first, other, second = (
        grants.make(peer, i, i + 1, 0.0) for i, peer in enumerate((ANN, BOB, ANN))
    )

    assert grants.leave(ANN) == [first, second]
    assert grants.live() == [other]
    assert grants.leave(ANN) == []


def test_a_volunteer_keeps_its_other_grants_when_one_ends() -> None:
    grants = ledger()
    first, second = grants.make(ANN, 0, 1, 0.0), grants.make(ANN, 1, 2, 0.0)
    grants.end(first.number, ANN)

    assert grants.leave(ANN) == [second]


def test_clearing_takes_everything_back() -> None:
    grants = ledger()
    all_of_them = [grants.make(peer, 0, 1, 0.0) for peer in (ANN, BOB)]

    assert grants.clear() == all_of_them
    assert grants.live() == []
    assert grants.next_lapse() is None


def test_the_next_lapse_is_the_first_one() -> None:
    grants = ledger()
    grants.make(ANN, 0, 1, now=5.0)
    grants.make(BOB, 1, 2, now=1.0)

    assert grants.next_lapse() == 1.0 + LEASE


def test_a_mac_differs_with_everything_that_it_is_over() -> None:
    macs = {
        Ledger(job, key).mac(number, peer, start, stop)
        for job, key, number, peer, start, stop in product(
            (JOB, OTHER_JOB), (KEY, b"x" * 32), (1, 2), (ANN, BOB), (0, 1), (5, 6)
        )
    }
    assert len(macs) == 64
    assert {len(mac) for mac in macs} == {MAC_BYTES}


def test_keepers_with_one_key_make_the_same_macs() -> None:
    assert ledger().mac(1, ANN, 0, 5) == ledger().mac(1, ANN, 0, 5)
