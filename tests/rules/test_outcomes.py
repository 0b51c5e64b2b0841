"""Which result counts: the same rule for all who know the same records."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import PeerId
from p2pslinger.limits import ATTEMPTS
from p2pslinger.rules.outcomes import Outcome, Range, outcomes
from p2pslinger.wire.records import Accepted

ANN = PeerId(b"a" * 20)
TASKS = 8

Batches = dict[bytes, list[Range]]


def one(batch: bytes, start: int, stop: int, *, place: int = 0) -> Range:
    return Range(
        batch,
        place,
        ANN,
        start,
        stop,
        failures=0,
        lost=False,
        final=False,
        grant=1,
        granted=(start, stop),
        mac=batch + bytes([place]),
        wall=1.0,
        cpu=1.0,
        blob=b"",
        size=0,
    )


def lost(batch: bytes, task: int, mac: bytes = b"", *, final: bool = False) -> Range:
    made = one(batch, task, task + 1)
    return replace(made, lost=True, failures=1, final=final, mac=mac or batch)


def table(found: list[Outcome]) -> dict[int, tuple[bytes, bool]]:
    """Return of each task its batch, and whether it is accepted."""
    return {
        task: (outcome.range.batch, outcome.accepted)
        for outcome in found
        for task in range(outcome.start, outcome.stop)
    }


def test_whose_results_do_not_count_have_those_that_were_accepted_only() -> None:
    bad = replace(one(b"1", 0, 4), volunteer=PeerId(b"e" * 20))
    batches = {b"1": [bad], b"2": [one(b"2", 2, 6)]}
    accepted = [Accepted(0, 1, b"1")]

    found = outcomes(batches, accepted, excluded={bad.volunteer})
    assert table(found) == {
        0: (b"1", True),
        **dict.fromkeys(range(2, 6), (b"2", False)),
    }


@st.composite
def known(draw: st.DrawFn) -> tuple[Batches, list[Accepted]]:
    batches: Batches = {}
    for name in draw(st.sets(st.sampled_from([b"1", b"2", b"3", b"4", b"5"]))):
        start = draw(st.integers(0, TASKS - 1))
        if draw(st.booleans()):
            mac = draw(st.sampled_from((b"x", b"y", b"z")))
            batches[name] = [lost(name, start, mac, final=draw(st.booleans()))]
        else:
            batches[name] = [one(name, start, draw(st.integers(start + 1, TASKS)))]
    accepted = draw(
        st.lists(
            st.builds(
                lambda at, count, batch: Accepted(at, min(TASKS, at + count), batch),
                st.integers(0, TASKS - 1),
                st.integers(1, 4),
                st.sampled_from([b"1", b"2", b"3", b"9"]),
            ),
            max_size=4,
        )
    )
    return batches, accepted


@given(known(), st.data())
def test_the_order_of_records_does_not_matter(
    said: tuple[Batches, list[Accepted]], data: st.DataObject
) -> None:
    batches, accepted = said
    other = dict(data.draw(st.permutations(list(batches.items()))))
    turned = data.draw(st.permutations(accepted))

    assert outcomes(batches, accepted) == outcomes(other, turned)


@given(known())
def test_no_task_has_two_outcomes_and_they_come_in_order(
    said: tuple[Batches, list[Accepted]],
) -> None:
    found = outcomes(*said)

    assert all(before.stop <= after.start for before, after in pairwise(found))
    for outcome in found:
        assert outcome.range.start <= outcome.start < outcome.stop <= outcome.range.stop


@given(known())
def test_what_was_accepted_is_never_replaced_by_what_was_not(
    said: tuple[Batches, list[Accepted]],
) -> None:
    batches, accepted = said
    found = table(outcomes(batches, accepted))
    for task in range(TASKS):
        named = {a.batch for a in accepted if a.start <= task < a.stop}
        if named and task in found:
            assert found[task] == (min(named), True)


def test_of_two_results_the_one_with_the_lower_id_counts() -> None:
    batches = {b"2": [one(b"2", 0, 4)], b"1": [one(b"1", 2, 6)]}

    assert table(outcomes(batches, ())) == {
        **dict.fromkeys((0, 1), (b"2", False)),
        **dict.fromkeys((2, 3, 4, 5), (b"1", False)),
    }


def test_an_accepted_batch_that_is_not_here_leaves_its_tasks_open() -> None:
    batches = {b"1": [one(b"1", 0, 3)]}
    found = outcomes(batches, [Accepted(1, 2, b"9")])

    assert table(found) == {0: (b"1", False), 2: (b"1", False)}


def test_of_two_acceptances_the_one_of_the_lower_batch_counts() -> None:
    batches = {b"1": [one(b"1", 0, 1)], b"2": [one(b"2", 0, 1)]}
    accepted = [Accepted(0, 1, b"2"), Accepted(0, 1, b"1")]

    assert table(outcomes(batches, accepted)) == {0: (b"1", True)}


def test_a_task_that_kills_its_slot_has_an_outcome_after_the_last_try() -> None:
    tries = {bytes([i]): [lost(bytes([i]), 0)] for i in range(1, ATTEMPTS + 1)}
    few = dict(list(tries.items())[1:])

    assert outcomes(few, ()) == []
    assert table(outcomes(tries, ())) == {0: (b"\x01", False)}


def test_a_try_that_was_reported_twice_is_one_try() -> None:
    tries = {bytes([i]): [lost(bytes([i]), 0, b"same")] for i in range(1, 5)}
    assert outcomes(tries, ()) == []


def test_a_time_out_is_not_tried_again() -> None:
    batches = {b"1": [lost(b"1", 0, final=True)]}
    assert table(outcomes(batches, ())) == {0: (b"1", False)}


def test_a_value_comes_before_the_tries_that_were_lost() -> None:
    tries = {bytes([i]): [lost(bytes([i]), 0)] for i in range(1, ATTEMPTS + 1)}
    tries[b"\xff"] = [one(b"\xff", 0, 1)]
    assert table(outcomes(tries, ())) == {0: (b"\xff", False)}


def test_one_batch_accepted_in_two_lengths_shows_the_same_in_any_order() -> None:
    batches = {b"1": [one(b"1", 0, 2)]}
    accepted = [Accepted(0, 2, b"1"), Accepted(0, 1, b"1")]

    assert outcomes(batches, accepted) == outcomes(batches, accepted[::-1])
