"""Replicas that hold the same items say the same, whoever brought them and when."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pslinger.errors import BadSignatureError, PeerError
from p2pslinger.ids import PeerId
from p2pslinger.rules.replica import APPOINTMENTS, Replica, item_id
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keeping import BUCKETS, Item
from p2pslinger.wire.records import ResultBatch as Batch
from p2pslinger.wire.records import read
from tests.rules.items import (
    KEEP_UNTIL,
    OWNER,
    PEERS,
    acceptance,
    appointment,
    control,
    ranged,
    receipt,
    replica,
    result,
    results,
    shards,
)

ANN, BOB, EVE = PEERS[:3]
TASKS = 12


def after(items: Sequence[Item]) -> Replica:
    """Return a replica that was offered all of them, until it takes no more.

    An appointment is void before whoever signs it has a place: replicas that compare
    offer it again.
    """
    made = replica()
    while [item for item in items if made.take(item) is not None]:
        pass
    return made


def say(one: Replica) -> list[object]:
    """Return everything that follows from a replica's items."""
    standing = one.standing
    return [
        one.sums,
        set(one.ids()),
        standing.newest,
        (standing.cancelled, standing.forgotten, standing.sealed),
        one.keep_until,
        one.outcomes(),
        one.receipts,
        one.appointments,
    ]


def spans() -> st.SearchStrategy[tuple[int, int]]:
    pairs = st.tuples(st.integers(0, TASKS - 1), st.integers(1, 4))
    return pairs.map(lambda pair: (pair[0], min(TASKS, pair[0] + pair[1])))


@st.composite
def histories(draw: st.DrawFn) -> list[Item]:
    """Items of all kinds, contradictory ones among them."""
    peers = st.sampled_from(PEERS)
    sequences = st.integers(1, 4)
    ended = st.sets(st.sampled_from(("cancelled", "forgotten")), max_size=1)
    items = [
        control(
            sequence,
            priority=draw(st.integers(0, 3)),
            sealed=draw(st.sampled_from((None, TASKS))),
            keepers=tuple(one.id for one in draw(st.permutations(PEERS))[:3]),
            keep_until=draw(st.sampled_from((None, 5.0, 6.0))),
            cancelled="cancelled" in (words := draw(ended)),
            forgotten="forgotten" in words,
        )
        for sequence in draw(st.sets(sequences))
    ]
    items += [shards(i, 4 * i, 4) for i in range(draw(st.integers(0, 3)))]
    found = [
        result(draw(peers), *draw(spans())) for _ in range(draw(st.integers(0, 6)))
    ]
    lost = [
        results(by, ranged(by, at, at + 1, grant=draw(sequences), lost=True))
        for by, at in draw(st.lists(st.tuples(peers, st.integers(0, 2)), max_size=6))
    ]
    items += found + lost
    for batch in draw(st.lists(st.sampled_from(found), max_size=4)) if found else ():
        items.append(acceptance(batch, *draw(spans())))
    items += [
        receipt(draw(peers).id, draw(sequences), draw(st.integers(0, 3)))
        for _ in range(draw(st.integers(0, 4)))
    ]
    items += [
        appointment(
            draw(peers), draw(peers).id, draw(peers).id, sequence=draw(sequences)
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return items


@settings(max_examples=60)
@given(histories(), st.data())
def test_what_replicas_say_does_not_depend_on_the_order_of_their_items(
    items: list[Item], data: st.DataObject
) -> None:
    one, other = after(items), after(data.draw(st.permutations(items)))

    assert say(one) == say(other)
    assert one.differing(other.sums) == ()


@settings(max_examples=30)
@given(histories(), st.data())
def test_two_replicas_that_tell_each_other_what_they_hold_agree(
    items: list[Item], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(items)))
    one, other = after(items[:cut]), after(items[cut:])
    by_id = {item_id(item.signed): item for item in items}

    for _ in range(4):
        for mine, theirs in ((one, other), (other, one)):
            for id in theirs.ids(mine.differing(theirs.sums)):
                mine.take(by_id[id])

    assert one.sums == other.sums
    assert say(one) == say(other)


@settings(max_examples=30)
@given(histories())
def test_what_was_taken_once_is_no_news_again(items: list[Item]) -> None:
    one = after(items)
    before = say(one)

    assert [one.take(item) for item in items] == [None] * len(items)
    assert say(one) == before


def test_superseded_items_are_named_once_and_are_held_no_more() -> None:
    one = replica()
    old, new = control(1), control(2, paused=True)
    assert one.take(old) is not None
    taken = one.take(new)

    assert taken is not None
    assert taken.superseded == (item_id(old.signed),)
    assert one.ids() == [item_id(new.signed)]
    assert one.take(old) is None


def test_an_item_is_in_the_bucket_of_its_first_byte() -> None:
    one, item = replica(), control(1)
    one.take(item)
    id = item_id(item.signed)

    assert one.differing(replica().sums) == (id[0] % BUCKETS,)
    assert one.ids([id[0] % BUCKETS]) == [id]
    assert one.ids([(id[0] + 1) % BUCKETS]) == []


def test_shards_are_ready_when_none_before_them_is_lacking() -> None:
    one = replica()
    assert one.take(shards(2, 7, 1)).shards == ()  # type: ignore[union-attr]
    taken = one.take(shards(0, 0, 3, 4))

    assert taken is not None
    assert [batch.first for batch, _ in taken.shards] == [0, 2]


def test_a_job_is_kept_as_long_as_the_newest_record_says() -> None:
    one = replica()
    assert one.keep_until == KEEP_UNTIL
    one.take(control(2, keep_until=7.0))
    one.take(control(1, keep_until=9.0))
    assert one.keep_until == 7.0


@pytest.mark.parametrize(
    "item",
    [
        control(1, by=ANN),
        receipt(ANN.id, 1, by=ANN),
        acceptance(result(ANN, 0, 1), 0, 1, by=ANN),
        acceptance(result(ANN, 0, 1), 1, 1),
        results(ANN, ranged(ANN, 0, 3, granted=(0, 2))),
        results(ANN, ranged(ANN, 1, 2, granted=(0, 2))),
        results(ANN, ranged(ANN, 0, 2, lost=True)),
        results(BOB, ranged(ANN, 0, 1)),
    ],
)
def test_what_nobody_may_say_is_refused(item: Item) -> None:
    one = replica()
    with pytest.raises(PeerError):
        one.take(item)
    assert len(one) == 0
    assert one.sums == replica().sums


def test_an_item_with_another_signature_is_refused() -> None:
    item = control(1)
    forged = Item(item.kind, Signed(item.signed.body, OWNER.public, bytes(64)))
    with pytest.raises(BadSignatureError):
        replica().take(forged)


def test_a_reader_has_no_secret_and_believes_what_it_is_given() -> None:
    item = results(BOB, ranged(ANN, 0, 1))
    reader = replica(secret=None)
    assert reader.take(item) is not None


# --- what a member may do to a replica ------------------------------------------------


def test_replicas_agree_when_two_owners_sign_at_once() -> None:
    one, other = control(1, keepers=(ANN.id,)), control(1, keepers=(BOB.id,))
    made = [appointment(by, EVE.id, by.id) for by in (ANN, BOB)]
    assert after([one, *made, other]).sums == after([other, *made, one]).sums


def test_replicas_agree_however_many_appointments_a_keeper_makes() -> None:
    first = control(1, keepers=(ANN.id, BOB.id))
    made = [
        appointment(ANN, EVE.id, BOB.id, wall=float(i)) for i in range(APPOINTMENTS + 1)
    ]
    assert after([first, *made]).sums == after([first, *made[::-1]]).sums


def test_a_keeper_can_appoint_after_however_many_control_records() -> None:
    one = replica()
    for sequence in range(1, APPOINTMENTS + 3):
        one.take(control(sequence, keepers=(ANN.id, BOB.id)))
        made = one.take(appointment(ANN, EVE.id, BOB.id, sequence=sequence))
        assert made is not None


def test_appointments_of_strangers_do_not_pile_up() -> None:
    one = replica()
    one.take(control(1, keepers=(ANN.id, BOB.id)))
    for i in range(300):
        stranger = Identity(i.to_bytes(32, "big"))
        try:
            one.take(appointment(stranger, EVE.id, BOB.id))
        except PeerError:
            continue
    assert len(one) < 100


def test_receipts_of_strangers_do_not_pile_up() -> None:
    one = replica()
    for i in range(300):
        try:
            one.take(receipt(PeerId(i.to_bytes(20, "big")), 1, by=EVE))
        except PeerError:
            continue
    assert len(one) < 100


def test_results_of_one_grant_do_not_pile_up() -> None:
    one = replica()
    for i in range(100):
        try:
            one.take(result(EVE, 0, 1, wall=float(i)))
        except PeerError:
            continue
    assert len(one) < 10


def test_ranges_keep_their_place_in_the_batch() -> None:
    item = results(ANN, ranged(ANN, 0, 2), ranged(ANN, 4, 6, grant=2))
    one = replica()
    taken = one.take(item)

    assert taken is not None
    assert len(read(Batch, item.signed).results) == 2
    assert [(r.place, r.start, r.stop) for r in taken.ranges] == [(0, 0, 2), (1, 4, 6)]
