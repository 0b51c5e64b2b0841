"""Which answers stay: the same ones, in whatever order they come."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import PeerId
from p2pslinger.rules.answers import BUCKET, Answers
from p2pslinger.rules.outcomes import Range
from tests.rules.votes import a_range

PEERS = [PeerId(name * 20) for name in (b"a", b"b", b"c", b"d")]
ANN, BOB, CLEO, DAN = PEERS

Batches = dict[bytes, tuple[Range, ...]]

SPANS = st.tuples(st.sampled_from(PEERS), st.integers(0, 5), st.integers(1, 4))


def batch(number: int, *ranges: Range) -> tuple[Range, ...]:
    id = bytes([number]) * 16
    return tuple(
        replace(one, batch=id, place=place, mac=bytes([number, place]))
        for place, one in enumerate(ranges)
    )


def kept(
    batches: list[tuple[Range, ...]], *, most: int, accepted: set[bytes]
) -> Answers:
    answers = Answers(most)
    for one in batches:
        answers.add(one[0].batch, one, accepted)
    return answers


def numbers(answers: Answers) -> list[int]:
    return sorted(id[0] for id in answers.batches)


def test_more_answers_than_a_task_may_have_go() -> None:
    some = [batch(n, a_range(PEERS[n], 0, 1)) for n in range(4)]
    assert numbers(kept(some, most=2, accepted=set())) == [0, 1]
    assert numbers(kept(some[::-1], most=2, accepted=set())) == [0, 1]


def test_answers_that_do_not_count_leave_room_for_others() -> None:
    some = [batch(n, a_range(PEERS[n], 0, 1)) for n in range(4)]
    answers = Answers(2)
    answers.excluded = {ANN, BOB}
    for one in some:
        answers.add(one[0].batch, one, ())
    assert numbers(answers) == [0, 1, 2, 3]


def test_a_second_answer_of_a_volunteer_goes() -> None:
    some = [batch(1, a_range(ANN, 0, 2)), batch(2, a_range(ANN, 0, 1))]
    assert numbers(kept(some, most=3, accepted=set())) == [1]


def test_an_answer_stays_that_says_something_new_of_one_task() -> None:
    some = [batch(1, a_range(ANN, 0, 2)), batch(2, a_range(ANN, 1, 3))]
    assert numbers(kept(some, most=2, accepted=set())) == [1, 2]


def test_what_was_accepted_stays() -> None:
    some = [batch(n, a_range(PEERS[n], 0, 1)) for n in range(4)]
    assert numbers(kept(some, most=2, accepted={bytes([3]) * 16})) == [0, 1, 3]


def test_answers_are_found_across_the_borders_of_the_index() -> None:
    long = a_range(ANN, BUCKET - 2, 3 * BUCKET)
    answers = kept([batch(1, long)], most=2, accepted=set())
    assert [one.start for one in answers.at(BUCKET - 1, BUCKET + 1)] == [BUCKET - 2]
    assert answers.at(0, BUCKET - 2) == []
    assert len(answers.at(2 * BUCKET, 2 * BUCKET + 1)) == 1


@given(
    st.lists(st.lists(SPANS, min_size=1, max_size=3), min_size=1, max_size=9),
    st.integers(1, 3),
    st.sets(st.integers(0, 8)),
    st.randoms(use_true_random=False),
)
def test_the_same_answers_stay_in_whatever_order_they_come(
    said: list[list[tuple[PeerId, int, int]]],
    most: int,
    accepted: set[int],
    chance: object,
) -> None:
    some = [
        batch(n, *(a_range(ranges[0][0], low, low + size) for _, low, size in ranges))
        for n, ranges in enumerate(said)
    ]
    final = {bytes([n]) * 16 for n in accepted}
    one = kept(some, most=most, accepted=final)
    shuffled = some[:]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert numbers(kept(shuffled, most=most, accepted=final)) == numbers(one)
    asked = {task for ranges in some for r in ranges for task in range(r.start, r.stop)}
    for task in asked:
        first = min(
            (r for ranges in some for r in ranges if r.start <= task < r.stop),
            key=lambda r: (r.batch, r.place),
        )
        assert first in one.at(task, task + 1)


def test_tasks_with_several_answers_are_counted_once() -> None:
    some = [
        batch(1, a_range(ANN, 0, 4), a_range(ANN, 6, 9)),
        batch(2, a_range(BOB, 2, 7)),
        batch(3, a_range(CLEO, 3, 4), a_range(CLEO, 9, 12)),
    ]
    assert kept(some, most=3, accepted=set()).several() == 3  # 2, 3 and 6
    assert kept(some[:1], most=3, accepted=set()).several() == 0
