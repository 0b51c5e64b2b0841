"""A free slot: fair between submitters, then priority, then age."""

from __future__ import annotations

from itertools import permutations

from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.schedule import Candidate, in_turn

ANN, BOB = PeerId(b"a" * 20), PeerId(b"b" * 20)


def job(
    name: str,
    submitter: PeerId = ANN,
    running: int = 0,
    priority: int = 0,
    since: float = 0.0,
) -> Candidate:
    return Candidate(JobId(name.encode()), submitter, running, priority, since)


def turn(*jobs: Candidate) -> str:
    orders = {
        b" ".join(one.job for one in in_turn(order)) for order in permutations(jobs)
    }
    (order,) = orders  # whatever the order that they came in
    return order.decode()


def test_no_jobs_and_one_job_need_no_choice() -> None:
    assert in_turn([]) == []
    assert in_turn(iter([job("a")])) == [job("a")]


def test_the_submitter_with_the_least_running_goes_first() -> None:
    assert turn(job("a", ANN, running=3), job("b", BOB, running=2)) == "b a"


def test_a_thousand_jobs_count_together_for_their_submitter() -> None:
    many = [job(f"m{i}", ANN, running=1) for i in range(1000)]
    one = job("one", BOB, running=999)

    assert in_turn([*many, one])[0] == one


def test_a_share_is_a_sum_and_not_a_maximum() -> None:
    a, b = job("a", ANN, running=2, since=0.0), job("b", ANN, running=2, since=1.0)
    assert turn(a, b, job("c", BOB, running=3, since=2.0)) == "c a b"


def test_among_one_submitters_jobs_priority_comes_before_age() -> None:
    assert turn(job("old", since=1.0), job("urgent", priority=1, since=2.0)) == (
        "urgent old"
    )


def test_among_equals_the_oldest_goes_first_and_ids_settle_the_rest() -> None:
    assert turn(job("b", since=2.0), job("c", since=1.0), job("a", since=2.0)) == (
        "c a b"
    )


def test_a_priority_takes_nothing_from_other_submitters() -> None:
    shout = job("shout", BOB, priority=99, since=2.0)
    assert turn(job("calm", ANN, since=1.0), shout) == "calm shout"


def test_submitters_are_as_old_as_their_oldest_job() -> None:
    old, new = job("old", ANN, since=1.0), job("new", ANN, priority=5, since=3.0)
    assert turn(old, new, job("middle", BOB, since=2.0)) == "new old middle"
