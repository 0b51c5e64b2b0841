"""A peer stores what an honest peer would have sent, and not more than its share."""

from __future__ import annotations

import hashlib
import math
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import GridId, PeerId
from p2pslinger.net import dhtstore, lookup
from p2pslinger.net.datagrams import Place
from p2pslinger.net.dhtstore import RecordStore, check
from p2pslinger.net.lookup import Lookup, State
from p2pslinger.wire import records
from p2pslinger.wire.identity import Identity, Purpose, Signed
from p2pslinger.wire.records import Address, Notice, PeerCard

GRID = GridId(b"the grid")
NOW = 1_800_000_000.0


def identity(name: object) -> Identity:
    return Identity(hashlib.sha256(str(name).encode()).digest())


ANN, BOB = identity("ann"), identity("bob")


def card(
    who: Identity = ANN,
    *,
    sequence: int = 1,
    lives: float = 3600,
    name: str = "a machine",
    grid: GridId = GRID,
) -> Signed:
    record = PeerCard(
        name=name,
        addresses=(Address("192.0.2.1", 8468),),
        software="0.1.0",
        pythons=("3.12",),
        slots=2,
        sandbox="good",
        sequence=sequence,
        expires=NOW + lives,
    )
    return records.seal(record, who, grid)


def notice(
    job: bytes, who: Identity, *, lives: float = 3600, python: str = "3.12"
) -> Signed:
    record = Notice(
        job=job,
        keeper=ANN.id,
        python=python,
        open=True,
        sequence=1,
        expires=NOW + lives,
    )
    return records.seal(record, who, GRID)


def test_a_card_lies_under_its_signers_id() -> None:
    store = RecordStore(GRID)
    assert store.put(card(), NOW).key == ANN.id
    assert store.get(ANN.id, NOW) == [card()]
    assert store.get(BOB.id, NOW) == []


def test_the_highest_sequence_wins_in_whatever_order_it_comes() -> None:
    for order in ((1, 3, 2), (3, 2, 1), (2, 3, 1)):
        store = RecordStore(GRID)
        for sequence in order:
            store.put(card(sequence=sequence), NOW)
        assert store.get(ANN.id, NOW) == [card(sequence=3)]
        assert len(store) == 1


def test_two_records_of_one_sequence_are_settled_alike_everywhere() -> None:
    one, other = card(name="one"), card(name="other")
    stores = RecordStore(GRID), RecordStore(GRID)
    for store, order in zip(stores, ((one, other), (other, one)), strict=True):
        for signed in order:
            store.put(signed, NOW)
    assert stores[0].get(ANN.id, NOW) == stores[1].get(ANN.id, NOW)


def test_a_record_expires_when_it_says_and_storing_it_again_changes_nothing() -> None:
    store = RecordStore(GRID)
    store.put(card(lives=60), NOW)
    store.put(card(lives=60), NOW + 59)
    assert store.get(ANN.id, NOW + 59)
    assert store.get(ANN.id, NOW + 60) == []
    store.sweep(NOW + 60)
    assert len(store) == 0


def bad() -> dict[str, Signed]:
    good = card()
    return {
        "forged": Signed(card(name="mine").body, good.key, good.signature),
        "another's": Signed(good.body, BOB.public, good.signature),
        "of another grid": card(grid=GridId(b"a grid's")),
        "for another purpose": ANN.sign(Purpose.NOTICE, GRID, good.body),
        "expired": card(lives=0),
        "immortal": card(lives=dhtstore.CARD_AHEAD + limits.CLOCK_SLACK + 1),
        "timeless": card(lives=math.nan),
        "endless": card(lives=math.inf),
        "an immortal notice": notice(bytes(20), BOB, lives=31 * 86_400),
        "oversized": Signed(good.body + bytes(1024), good.key, good.signature),
        "short of key": Signed(good.body, good.key[:31], good.signature),
        "short of signature": Signed(good.body, good.key, b""),
        "empty": Signed(b"", good.key, good.signature),
        "no text": Signed(good.body.replace(b"mach", b"\xff" * 4), good.key, b""),
        "nested": Signed(b"\x91" * 900, good.key, good.signature),
        "a receipt": ANN.sign(Purpose.RECEIPT, GRID, b"\x90"),
    }


@pytest.mark.parametrize("how", bad())
def test_a_bad_record_is_refused(how: str) -> None:
    store = RecordStore(GRID)
    with pytest.raises(PeerError):
        store.put(bad()[how], NOW)
    assert len(store) == 0


def test_a_record_is_refused_under_a_key_that_is_not_its_own() -> None:
    with pytest.raises(PeerError, match="not its own"):
        RecordStore(GRID).put(card(), NOW, key=BOB.id)


@given(st.binary(max_size=1100), st.binary(max_size=40), st.binary(max_size=70))
def test_garbage_is_refused_and_nothing_else_happens(
    body: bytes, key: bytes, signature: bytes
) -> None:
    with pytest.raises(PeerError):
        check(Signed(body, key, signature), GRID, NOW)


def test_several_signers_may_speak_for_a_job_up_to_a_cap() -> None:
    store, job = RecordStore(GRID), bytes(20)
    for number in range(dhtstore.KEY_RECORDS):
        store.put(notice(job, identity(number)), NOW)
    with pytest.raises(UnavailableError):
        store.put(notice(job, identity("one more")), NOW)
    assert len(store.get(job, NOW)) == dhtstore.KEY_RECORDS
    store.put(notice(job, identity(0)), NOW)  # who is there may renew


def test_pages_hold_what_fits_and_together_everything() -> None:
    store, job = RecordStore(GRID), bytes(20)
    for number in range(9):
        store.put(notice(job, identity(number)), NOW)
    got: list[Signed] = []
    for _ in range(9):
        total, page = store.page(job, NOW, first=len(got), room=1000)
        assert total == 9
        assert len(msgspec.msgpack.encode(page)) <= 1003
        got += page
    assert got == store.get(job, NOW)
    assert store.page(job, NOW, first=9, room=1000) == (9, [])
    assert len(store.page(job, NOW, first=0, room=1)[1]) == 1


def test_a_signer_has_its_share_of_the_store_and_no_more() -> None:
    store = RecordStore(GRID)
    jobs = (hashlib.sha256(b"%d" % n).digest()[:20] for n in count())
    for _ in range(dhtstore.SIGNER_RECORDS):
        store.put(notice(next(jobs), BOB), NOW)
    with pytest.raises(UnavailableError):
        store.put(notice(next(jobs), BOB), NOW)


def test_so_has_a_network_address_and_expired_records_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dhtstore, "SOURCE_RECORDS", 3)
    monkeypatch.setattr(dhtstore, "RECORDS", 5)
    store = RecordStore(GRID)
    for number in range(3):
        store.put(card(identity(number), lives=60), NOW, source="192.0.2.1")
    with pytest.raises(UnavailableError):
        store.put(card(identity(3)), NOW, source="192.0.2.1")
    store.put(card(identity(3)), NOW, source="192.0.2.2")
    store.put(card(identity(4)), NOW)
    with pytest.raises(UnavailableError):
        store.put(card(identity(5)), NOW, source="192.0.2.2")
    store.put(card(identity(5)), NOW + 60, source="192.0.2.1")
    assert store.stored_keys() == [identity(n).id for n in (3, 4, 5)]


# --- looking up -------------------------------------------------------------------


class Crowd:
    """Peers that are asked, with ids so that number 0 is the closest to the key."""

    def __init__(self, peers: int, **options: bool) -> None:
        self.asked: list[int] = []
        self.overs = 0
        self.lookup = Lookup(
            bytes(20), me=ANN.id, ask=self.ask, over=self.over, **options
        )
        self.lookup.add(self.place(n) for n in range(peers))
        self.lookup.step()

    @staticmethod
    def place(number: int) -> Place:
        return Place("10.0.0.1", number, PeerId(bytes(19) + bytes([number])))

    def ask(self, place: Place) -> None:
        self.asked.append(place.port)

    def over(self) -> None:
        self.overs += 1

    def mark(self, state: State, *numbers: int) -> None:
        for number in numbers:
            self.lookup.mark(self.place(number), state)


def test_a_lookup_has_three_under_way_and_goes_on_with_each_answer() -> None:
    crowd = Crowd(30)
    assert crowd.asked == [0, 1, 2]
    crowd.mark(State.ANSWERED, 1)
    assert crowd.asked == [0, 1, 2, 3]
    crowd.mark(State.FAILED, 0, 2)
    assert crowd.asked == [0, 1, 2, 3, 4, 5]


def test_who_is_late_frees_its_turn_and_may_still_answer() -> None:
    crowd = Crowd(5)
    crowd.mark(State.LATE, 0, 1, 2)
    assert crowd.asked == [0, 1, 2, 3, 4]
    crowd.mark(State.ANSWERED, 1, 3, 4)
    assert crowd.overs == 1
    assert [place.port for place in crowd.lookup.closest()] == [1, 3, 4]


def test_a_patient_lookup_waits_for_the_late() -> None:
    crowd = Crowd(5, patient=True)
    crowd.mark(State.LATE, 0)
    crowd.mark(State.ANSWERED, 1, 2, 3, 4)
    assert crowd.overs == 0
    crowd.mark(State.ANSWERED, 0)
    assert crowd.overs == 1


def test_a_search_for_records_waits_for_the_late_only_while_it_has_none() -> None:
    crowd = Crowd(3, wants_records=True)
    crowd.mark(State.LATE, 0)
    crowd.mark(State.ANSWERED, 1)
    assert crowd.overs == 0
    crowd.mark(State.ANSWERED, 2)
    assert crowd.overs == 0
    crowd.lookup.had_records(crowd.place(0))
    crowd.mark(State.ANSWERED, 0)
    assert crowd.overs == 1


def test_a_search_ends_when_enough_had_records() -> None:
    crowd = Crowd(30, wants_records=True)
    for number in range(lookup.ENOUGH):
        crowd.lookup.had_records(crowd.place(number))
        crowd.mark(State.ANSWERED, number)
    assert crowd.overs == 1
    asked = len(crowd.asked)
    crowd.mark(State.ANSWERED, 3, 4)
    assert (crowd.overs, len(crowd.asked)) == (1, asked)


def test_a_lookup_of_nobody_is_over_at_once() -> None:
    assert Crowd(0).overs == 1


def test_a_lookup_cannot_be_led_on_for_ever() -> None:
    crowd = Crowd(0)
    asked: list[Place] = []
    led = Lookup(bytes(20), me=ANN.id, ask=asked.append, over=crowd.over)
    for number in range(1000, 0, -1):
        # Whoever answers names one more, who is closer still.
        led.add([Place("10.0.0.1", number, PeerId(number.to_bytes(20)))])
        if number == 1000:
            led.step()
        elif not led.is_over:
            led.mark(asked[-1], State.ANSWERED)
    assert len(asked) == lookup.LOOKUP_REQUESTS
    assert led.is_over
