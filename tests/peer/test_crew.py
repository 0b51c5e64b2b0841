"""Who is known, who can check whom, and what is remembered of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from p2pslinger.ids import PeerId
from p2pslinger.peer import crew as crew_module
from p2pslinger.peer.crew import KNOWN, Crew, network_of
from p2pslinger.peer.events import Events
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.owner import Owner
from p2pslinger.rules.reputation import BARRED
from p2pslinger.store import volunteers
from p2pslinger.store.volunteers import Volunteer
from p2pslinger.testing.disks import Disk

ME, ANN, BOB, EVE = (PeerId(name * 20) for name in (b"m", b"a", b"b", b"e"))


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def with_crew(disk: Disk, clock: Clock, then: Callable[[Crew], None]) -> None:
    """Have something done with a crew; return when it is on disk."""

    async def main() -> None:
        async with Owner() as owner:
            journal = Journal(disk, disk, owner, asyncio.get_running_loop())
            then(Crew(ME, disk, journal, Events(), clock))
            await journal.flush()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_household_has_one_address(host: str, network: str) -> None:
    assert network_of(host) == network


def test_a_newcomer_checks_nobody_and_a_day_later_everybody_elsewhere() -> None:
    disk, clock = Disk(), Clock()

    def meet(crew: Crew) -> None:
        for peer, host in ((ANN, "192.0.2.1"), (BOB, "192.0.2.2"), (EVE, "192.0.2.2")):
            crew.joined(peer, host)
        assert not crew.apart(ANN, BOB)

    def a_day_later(crew: Crew) -> None:
        meet_again(crew)
        assert crew.apart(ANN, BOB)
        assert not crew.apart(BOB, EVE)  # one address
        assert not crew.apart(ANN, ANN)

    def meet_again(crew: Crew) -> None:
        for peer, host in ((ANN, "192.0.2.1"), (BOB, "192.0.2.2"), (EVE, "192.0.2.2")):
            crew.joined(peer, host)

    with_crew(disk, clock, meet)
    clock.now += KNOWN
    with_crew(disk, clock, a_day_later)
    disk.remove()


def test_whoever_has_a_petname_may_check_at_once() -> None:
    def meet(crew: Crew) -> None:
        crew.vouches = lambda peer: peer == ANN
        crew.joined(ANN, "192.0.2.1")
        crew.joined(BOB, "192.0.2.2")
        assert crew.apart(ANN, BOB)
        assert not crew.apart(BOB, ANN)

    with_crew(disk := Disk(), Clock(), meet)
    disk.remove()


def test_our_own_slots_may_check_everybody() -> None:
    def meet(crew: Crew) -> None:
        crew.joined(ANN, "127.0.0.1")
        assert crew.apart(ME, ANN)
        assert not crew.apart(EVE, ANN)  # never met

    with_crew(disk := Disk(), Clock(), meet)
    disk.remove()


def test_a_strike_is_remembered_and_bars_from_our_own_work_alone() -> None:
    disk, clock = Disk(), Clock()

    def strike(crew: Crew) -> None:
        crew.joined(EVE, "192.0.2.3")
        crew.struck(EVE)

    def see(crew: Crew) -> None:
        assert crew.is_barred(EVE, ME)
        assert not crew.is_barred(EVE, ANN)
        assert not crew.is_barred(ANN, ME)
        record, left = crew.record(EVE)
        assert (record.strikes, left) == (1, BARRED)

    def see_later(crew: Crew) -> None:
        assert not crew.is_barred(EVE, ME)
        assert crew.reputation.is_checked(EVE, 0.999)

    with_crew(disk, clock, strike)
    with_crew(disk, clock, see)
    clock.now += BARRED
    with_crew(disk, clock, see_later)
    disk.remove()


def test_the_longest_known_are_the_last_to_be_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(volunteers, "REMEMBERED", 2)
    store = (disk := Disk()).volunteers
    for met, peer in enumerate((ANN, BOB, EVE)):
        store.put(Volunteer(peer, float(met)))
    assert {one.peer for one in store.all()} == {ANN, BOB}
    store.put(Volunteer(EVE, 3.0, strikes=1))
    assert {one.peer for one in store.all()} == {ANN, EVE}
    disk.remove()


def test_whoever_comes_with_ever_new_ids_fills_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew_module, "REMEMBERED", 10)
    disk, clock = Disk(), Clock()

    def meet(crew: Crew) -> None:
        crew.joined(ANN, "192.0.2.1")
        crew.struck(BOB)
        for number in range(1000):
            clock.now += 1
            crew.joined(PeerId(number.to_bytes(20, "big")), "192.0.2.2")
        assert crew.known <= 20
        clock.now += KNOWN - 500
        assert crew.is_independent(ANN), "it has been known for longer"
        assert crew.record(BOB)[0].strikes == 1

    with_crew(disk, clock, meet)
    disk.remove()
