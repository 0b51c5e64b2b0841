"""What several answers for one task come to."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import PeerId
from p2pslinger.rules.agreement import Finding, State, Vote, findings
from p2pslinger.rules.likeness import EXACT, Tolerance
from tests.rules.votes import answered, failure

PEERS = [PeerId(name * 20) for name in (b"a", b"b", b"c", b"d", b"e")]
ANN, BOB, CLEO, DAN, EVE = PEERS


def found(
    *votes: Vote, start: int = 0, stop: int = 4, most: int = 3, near: float = 0.0
) -> list[Finding]:
    tolerance = Tolerance(near) if near else EXACT
    return findings(votes, start, stop, most=most, tolerance=tolerance)


def test_one_answer_stands_alone() -> None:
    (one,) = found(answered(ANN, [1, 2, 3, 4]))
    assert (one.start, one.stop, one.state) == (0, 4, State.ALONE)
    assert one.votes == {ANN}


def test_the_same_bytes_agree_at_once() -> None:
    (one,) = found(answered(ANN, [1, 2, 3, 4]), answered(BOB, [1, 2, 3, 4], batch=1))
    assert one.state is State.AGREED
    assert one.with_it == {ANN, BOB}
    assert one.chosen.volunteer == ANN


def test_a_lie_is_found_at_its_task_alone() -> None:
    honest, lie = [1, 2, 3, 4], [1, 2, 7, 4]
    first, middle, last = found(answered(ANN, lie), answered(BOB, honest, batch=1))
    assert [first.state, middle.state, last.state] == [
        State.AGREED,
        State.DISPUTED,
        State.AGREED,
    ]
    assert (middle.start, middle.stop) == (2, 3)


def test_a_third_answer_decides() -> None:
    votes = [answered(PEERS[i], [n], batch=i) for i, n in enumerate([9, 1, 1])]
    (one,) = found(*votes, stop=1)
    assert one.state is State.AGREED
    assert one.chosen.volunteer == BOB
    assert one.against == {ANN}


def test_three_answers_without_a_majority_are_irreproducible() -> None:
    votes = [answered(PEERS[i], [n], batch=i) for i, n in enumerate([9, 1, 2])]
    (one,) = found(*votes, stop=1)
    assert one.state is State.IRREPRODUCIBLE
    assert one.chosen.volunteer == ANN


def test_a_second_answer_of_the_same_volunteer_is_no_vote() -> None:
    (one,) = found(answered(ANN, [1], batch=2), answered(ANN, [2], batch=1), stop=1)
    assert one.state is State.ALONE
    assert one.chosen.batch == bytes([1]) * 16


def test_answers_with_other_borders_are_compared_where_they_overlap() -> None:
    one, two = answered(ANN, [0, 1, 2, 3]), answered(BOB, [1, 2], start=1, batch=1)
    states = [(f.start, f.stop, f.state) for f in found(one, two)]
    assert states == [
        (0, 1, State.ALONE),
        (1, 3, State.AGREED),
        (3, 4, State.ALONE),
    ]


def test_lists_of_plain_values_agree_with_values_by_themselves() -> None:
    one = answered(ANN, [1, "a", 2.0, None], plain=True)
    (same,) = found(one, answered(BOB, [1, "a", 2.0, None], batch=1))
    assert same.state is State.AGREED


def test_plain_values_are_the_same_however_they_share() -> None:
    text = "".join(["ab", "c"])
    one = answered(ANN, [text, text, 1, 2], plain=True)
    other = ["".join(["a", "bc"]), "".join(["abc"]), 1, 2]
    (same,) = found(one, answered(BOB, other, batch=1, plain=True))
    assert same.state is State.AGREED


def test_floats_within_the_tolerance_agree() -> None:
    votes = answered(ANN, [1.0]), answered(BOB, [1.0 + 1e-9], batch=1)
    assert found(*votes, stop=1)[0].state is State.DISPUTED
    assert found(*votes, stop=1, near=1e-6)[0].state is State.AGREED


def test_the_same_exception_agrees() -> None:
    failures = (failure(0),)
    votes = [answered(p, [None], failures=failures) for p in (ANN, BOB)]
    (one,) = found(*votes, stop=1)
    assert one.state is State.AGREED


def test_who_reports_an_exception_is_outvoted_and_not_accused() -> None:
    one, *_ = found(
        answered(ANN, [None], failures=(failure(0, type_="ImportError"),)),
        answered(BOB, [5], batch=1),
        answered(CLEO, [5], batch=2),
        stop=1,
    )
    assert one.state is State.AGREED
    assert one.chosen.volunteer == BOB
    assert one.against == frozenset()


def test_a_time_out_says_nothing_of_the_value() -> None:
    (one,) = found(
        answered(ANN, [5]),
        answered(
            BOB, [None], batch=1, failures=(failure(0, "timeout", "TimeoutError"),)
        ),
        stop=1,
    )
    assert one.state is State.ALONE


def test_values_that_are_none_are_outvoted() -> None:
    lie = answered(ANN, [1])
    rubbish = replace(lie, answers=(), whole=None)
    (one,) = found(
        rubbish, answered(BOB, [1], batch=1), answered(CLEO, [1], batch=2), stop=1
    )
    assert one.chosen.volunteer == BOB
    assert one.against == {ANN}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PEERS),
            st.integers(0, 5),
            st.lists(st.integers(0, 2), min_size=1, max_size=4),
        ),
        max_size=6,
    ),
    st.integers(2, 6),
    st.randoms(use_true_random=False),
)
def test_findings_hold_for_every_task(
    said: list[tuple[PeerId, int, list[int]]], most: int, chance: object
) -> None:
    votes = [
        answered(who, values, start=start, batch=i)
        for i, (who, start, values) in enumerate(said)
    ]
    result = found(*votes, stop=10, most=most)
    shuffled = votes[:]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert found(*shuffled, stop=10, most=most) == result

    covered = [task for f in result for task in range(f.start, f.stop)]
    assert len(covered) == len(set(covered))
    by_task = {task: f for f in result for task in range(f.start, f.stop)}
    for task in range(10):
        answers: dict[PeerId, int] = {}
        for who, start, values in said:
            if start <= task < start + len(values):
                answers.setdefault(who, values[task - start])
        assert (task in by_task) is bool(answers)
        if answers:
            check(by_task[task], answers, most)


def check(one: Finding, answers: dict[PeerId, int], most: int) -> None:
    chosen = answers[one.chosen.volunteer]
    same = {who for who, value in answers.items() if value == chosen}
    majority = 2 * len(same) > len(answers) and len(same) > 1
    assert one.votes == answers.keys()
    if len(answers) == 1:
        assert one.state is (State.ALONE if most > 1 else State.IRREPRODUCIBLE)
    elif majority:
        assert one.state is State.AGREED
        assert one.with_it == same
        assert one.against == answers.keys() - same
    else:
        missing = len(answers) < most
        assert one.state is (State.DISPUTED if missing else State.IRREPRODUCIBLE)
