"""Who checks others and agrees has earned it; whoever contradicts has not."""

from __future__ import annotations

from p2pslinger.ids import PeerId
from p2pslinger.rules.answers import Answers
from p2pslinger.rules.checkers import earned_by_checking
from p2pslinger.rules.delivery import Credit
from p2pslinger.rules.outcomes import Outcome, Range
from p2pslinger.rules.spans import Spans
from tests.rules.votes import a_range

ANN, BOB, EVE = (PeerId(name * 20) for name in (b"a", b"b", b"e"))


def agreeing(**who: tuple[int, int]) -> dict[PeerId, Spans]:
    found: dict[PeerId, Spans] = {}
    for name, span in who.items():
        found[PeerId(name.encode() * 20)] = Spans()
        found[PeerId(name.encode() * 20)].add(*span)
    return found


def earned(
    outcome: Outcome, agree: dict[PeerId, Spans], *others: Range
) -> dict[PeerId, Credit]:
    answers = Answers(5)
    for one in (outcome.range, *others):
        answers.add(one.batch, (one,), ())
    return earned_by_checking([outcome], agree, answers.at)


FIRST = a_range(ANN, 0, 4, batch=1)
ACCEPTED = Outcome(0, 4, FIRST, accepted=True)


def test_whoever_answered_as_the_accepted_one_has_earned_its_tasks_and_their_time() -> (
    None
):
    agree = agreeing(a=(0, 4), b=(0, 3))
    found = earned(ACCEPTED, agree, a_range(BOB, 1, 5, batch=2))
    assert found == {BOB: Credit(checks=2, cpu=0.5)}


def test_whoever_answered_otherwise_has_earned_nothing() -> None:
    agree = agreeing(a=(0, 4), b=(0, 4))
    copies = a_range(BOB, 0, 4, batch=2), a_range(EVE, 0, 4, batch=3)
    assert earned(ACCEPTED, agree, *copies).keys() == {BOB}


def test_what_agrees_with_another_answer_than_the_accepted_one_earns_nothing() -> None:
    agree = agreeing(b=(0, 4), e=(0, 4))  # found out after ANN's was accepted
    copies = a_range(BOB, 0, 4, batch=2), a_range(EVE, 0, 4, batch=3)
    assert earned(ACCEPTED, agree, *copies) == {}


def test_nothing_is_earned_before_the_owner_has_accepted() -> None:
    agree = agreeing(a=(0, 4), b=(0, 4))
    undecided = Outcome(0, 4, FIRST, accepted=False)
    assert earned(undecided, agree, a_range(BOB, 0, 4, batch=2)) == {}


def test_a_task_that_was_checked_twice_by_one_counts_once() -> None:
    agree = agreeing(a=(0, 4), b=(0, 4))
    copies = a_range(BOB, 0, 3, batch=2), a_range(BOB, 2, 4, batch=3)
    assert earned(ACCEPTED, agree, *copies)[BOB].checks == 4
