"""Who keeps a job, who appoints whom, and who may go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.keeping import (
    DEPTH,
    LONG_KNOWN,
    REPLACE_AFTER,
    Applicant,
    Places,
    in_order,
    may_resign,
    places,
    replacement,
)
from p2pslinger.wire.records import Appointment, Control

JOB = JobId(b"j" * 20)
A, B, C, D, E, F = (PeerId(bytes([i]) * 20) for i in range(1, 7))
EVERYBODY = (A, B, C, D, E, F)
SAID = Control(JOB, 3, keepers=(A, B, C))

Made = tuple[bytes, PeerId, Appointment]


def made(
    id: bytes,
    by: PeerId,
    new: PeerId,
    old: PeerId,
    *,
    depth: int = 1,
    sequence: int = 3,
) -> Made:
    return id, by, Appointment(JOB, sequence, new, old, depth, 0.0)


def test_without_a_control_record_nobody_keeps_it() -> None:
    assert places(None, [made(b"1", A, D, B)]) == Places((), frozenset(), {})


def test_the_owner_names_the_keepers_in_order() -> None:
    where = places(SAID, ())
    assert where.keepers == (A, B, C)
    assert where.all == {A, B, C}


def test_whoever_is_appointed_takes_the_place_and_the_other_is_extra() -> None:
    where = places(SAID, [made(b"1", A, D, B)])
    assert where.keepers == (A, D, C)
    assert where.extra == {B}
    assert where.depth[D] == 1


def test_of_two_in_one_place_the_second_is_extra() -> None:
    where = places(SAID, [made(b"2", C, E, B), made(b"1", A, D, B)])
    assert where.keepers == (A, D, C)
    assert where.extra == {B, E}


def test_an_appointment_of_an_older_record_is_void() -> None:
    assert places(SAID, [made(b"1", A, D, B, sequence=2)]).keepers == (A, B, C)


def test_strangers_appoint_nobody() -> None:
    assert places(SAID, [made(b"1", E, D, B)]).all == {A, B, C}


def test_nobody_is_appointed_twice() -> None:
    where = places(SAID, [made(b"1", A, C, B)])
    assert where.keepers == (A, B, C)


def test_whoever_was_appointed_may_appoint_but_not_for_ever() -> None:
    chain = [
        made(b"1", A, D, B),
        made(b"2", D, E, D, depth=2),
        made(b"3", E, F, E, depth=3),
    ]
    where = places(SAID, chain)
    assert where.keepers == (A, F, C)
    assert where.depth[F] == DEPTH
    assert replacement(where, A, {A, C}, {F: 999.0}) is None


def appointments() -> st.SearchStrategy[list[Made]]:
    peer = st.sampled_from(EVERYBODY)
    one = st.builds(
        lambda id, by, new, old, depth: made(id, by, new, old, depth=depth),
        st.binary(min_size=2, max_size=2),
        peer,
        peer,
        peer,
        st.integers(1, 3),
    )
    return st.lists(one, max_size=8, unique_by=lambda one: one[0])


@given(appointments(), st.data())
def test_the_order_of_appointments_does_not_matter(
    some: list[Made], data: st.DataObject
) -> None:
    assert places(SAID, some) == places(SAID, data.draw(st.permutations(some)))


@given(appointments())
def test_there_are_as_many_places_as_the_owner_has_named(some: list[Made]) -> None:
    where = places(SAID, some)
    assert len(set(where.keepers)) == len(where.keepers) == 3
    assert not where.extra & set(where.keepers)
    assert where.depth.keys() == where.all


@given(appointments(), st.sets(st.sampled_from(EVERYBODY)))
def test_one_keeper_at_most_fills_places(some: list[Made], alive: set[PeerId]) -> None:
    where = places(SAID, some)
    silent = dict.fromkeys(where.all - alive, REPLACE_AFTER + 1)
    at_it = [one for one in alive if replacement(where, one, alive, silent) is not None]
    assert len(at_it) <= 1


def test_the_first_that_is_alive_fills_the_place_of_the_first_that_is_silent() -> None:
    where = places(SAID, ())
    assert replacement(where, B, {B, C}, {A: 31.0}) == A
    assert replacement(where, C, {B, C}, {A: 31.0}) is None
    assert replacement(where, B, {B, C}, {}) is None


def test_whoever_has_a_place_does_not_resign() -> None:
    where = places(SAID, [made(b"1", A, D, B)])
    for cancelled in (False, True):
        assert may_resign(where, B, {A, C, D}, cancelled=cancelled)
        assert not may_resign(where, D, {A, B, C}, cancelled=cancelled)
    assert not may_resign(where, B, {A, C}, cancelled=False)


def test_one_living_keeper_of_a_cancelled_job_is_enough() -> None:
    where = places(SAID, [made(b"1", A, D, B)])
    assert may_resign(where, B, {C}, cancelled=True)
    assert not may_resign(where, B, set(), cancelled=True)


def test_the_long_known_are_asked_first_and_the_closest_of_them() -> None:
    at = int.from_bytes(JOB, "big")
    near, far = (
        PeerId((at ^ 1).to_bytes(20, "big")),
        PeerId((at ^ 9).to_bytes(20, "big")),
    )
    asked = in_order(
        [Applicant(near, 1.0), Applicant(B, LONG_KNOWN), Applicant(far, LONG_KNOWN)],
        JOB,
    )
    assert asked == [far, B, near]
