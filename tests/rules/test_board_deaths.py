"""A task that kills its process is charged alone, and not tried for ever."""

from __future__ import annotations

from dataclasses import replace

from p2pslinger.limits import ATTEMPTS, LEASE
from p2pslinger.rules.delivery import Credit
from tests.rules.boards import (
    ANN,
    BOB,
    EVE,
    EVERYONE,
    ask,
    board,
    death,
    deliver,
    done,
    everything,
    offered,
    result,
)


def test_a_death_charges_one_task_and_gives_back_the_others() -> None:
    job = board(5)
    held = everything(job)

    assert deliver(job, held, death(job, held, 2)) == []
    assert (done(job), job.open, job.running, job.lost) == ([], 5, 0, 1)
    assert job.credits == {}


def test_who_lost_a_task_gets_it_again_if_there_is_nobody_else() -> None:
    job = board(1)
    held = ask(job)
    deliver(job, held, death(job, held, 0))

    both = frozenset((ANN, BOB))
    assert job.grant(ANN, places=1, now=0.0, others=both) == []
    assert job.open == 1
    assert ask(job, ANN, others=frozenset((ANN,))).start == 0


def test_a_task_that_lives_the_second_time_is_forgiven() -> None:
    job = board(1)
    held = ask(job)
    deliver(job, held, death(job, held, 0))
    again = ask(job, BOB)

    assert deliver(job, again) == [(0, 1)]
    assert (job.open, job.failed) == (0, 0)


def test_a_death_that_would_repeat_itself_is_final() -> None:
    job = board(2)
    held = everything(job)

    assert deliver(job, held, replace(death(job, held, 0), final=True)) == [(0, 1)]
    assert (job.failed, job.open) == (1, 1)


def test_final_says_nothing_about_results() -> None:
    job = board(2)
    held = everything(job)

    assert deliver(job, held, replace(result(job, held), final=True)) == [(0, 2)]


def test_one_death_reported_again_and_again_is_one_try() -> None:
    job = board(2)
    held = everything(job)
    for _ in range(5):
        assert deliver(job, held, death(job, held, 0)) == []

    assert (job.open, job.failed, job.lost) == (2, 0, 1)


def test_a_death_reported_late_takes_its_task_out_of_company() -> None:
    job = board(3)
    late = everything(job)
    job.lapse(LEASE)
    deliver(job, late, death(job, late, 1))
    assert job.open == 3

    alone = ask(job, BOB)
    assert (alone.start, alone.stop) == (1, 2)


def test_a_death_reported_late_leaves_a_task_to_who_has_it_now() -> None:
    job = board(3)
    late = everything(job)
    job.lapse(LEASE)
    now = everything(job, BOB)
    deliver(job, late, death(job, late, 1))
    assert (job.open, job.running) == (0, 3)
    assert job.grant(EVE, places=1, now=0.0, others=EVERYONE) == []

    assert deliver(job, now) == [(0, 3)]
    assert (job.open, job.running) == (0, 0)
    assert job.grant(EVE, places=1, now=0.0, others=EVERYONE) == []


def test_a_death_after_a_result_changes_nothing() -> None:
    job = board(2)
    late = everything(job)
    job.lapse(LEASE)
    now = everything(job, BOB)
    deliver(job, now)

    assert deliver(job, late, replace(death(job, late, 0), final=True)) == []
    assert (job.failed, job.open) == (0, 0)
    assert job.credits == {BOB: Credit(2)}


def test_a_task_that_killed_stays_alone_when_its_grant_comes_back() -> None:
    job = board(4)
    held = everything(job)
    deliver(job, held, death(job, held, 1))
    alone = ask(job, BOB)
    job.give_back(BOB, alone.number)

    spans = job.grant(ANN, places=1, now=0.0, others=EVERYONE)
    assert all(1 not in range(one.start, one.stop) for one in spans)
    assert ask(job, BOB).start == 1


def test_a_late_result_ends_a_task_that_waits_alone() -> None:
    job = board(2)
    late = everything(job)
    job.lapse(LEASE)
    crashed = everything(job, BOB)
    deliver(job, crashed, death(job, crashed, 0))
    assert job.open == 2

    assert deliver(job, late) == [(0, 2)]
    assert job.open == 0
    assert job.grant(EVE, places=1, now=0.0, others=EVERYONE) == []


def test_a_task_that_killed_is_granted_alone_and_to_another() -> None:
    job = board(5)
    held = everything(job)
    deliver(job, held, death(job, held, 2))

    assert offered(job, ANN) == [(0, 2)]
    assert offered(job, BOB) == [(2, 3)]
    assert offered(job, BOB) == [(3, 4)]


def test_a_task_is_tried_on_different_volunteers_and_fails_in_the_end() -> None:
    job = board(1)
    for loser, next_one in ((ANN, BOB), (BOB, EVE)):
        held = ask(job, loser)
        assert deliver(job, held, death(job, held, 0)) == []
        assert offered(job, loser) == []
        assert next_one != loser

    assert offered(job, ANN) == []
    last = ask(job, EVE)
    assert deliver(job, last, death(job, last, 0)) == [(0, 1)]
    assert job.credits == {EVE: Credit(1, 1, 0.0)}
    assert (job.failed, job.open, job.lost) == (1, 0, ATTEMPTS)


def test_a_task_that_kills_whoever_has_it_ends_with_one_volunteer_too() -> None:
    job, tries = board(3), 0
    job.sealed = True
    while not job.finished:
        (held,) = job.grant(ANN, places=9, now=0.0, others={ANN})
        killing = held.start == 1
        tries += killing
        deliver(job, held, death(job, held, 1) if killing else None)

    assert (tries, job.failed, job.credits[ANN].tasks) == (ATTEMPTS, 1, 3)


def test_deaths_reported_after_the_lease_are_charged_all_the_same() -> None:
    job = board(1)
    for peer in (ANN, BOB, EVE):
        held = ask(job, peer)
        job.leave(peer)
        new = deliver(job, held, death(job, held, 0))

    assert new == [(0, 1)]
    assert (job.failed, job.lost) == (1, ATTEMPTS)


def test_who_gives_back_its_neighbours_leaves_a_lone_task_to_its_holder() -> None:
    job = board(4)
    held = everything(job)
    deliver(job, held, death(job, held, 2))
    alone = ask(job, BOB)
    below, above = ask(job, EVE, places=0), ask(job, EVE)
    assert [(h.start, h.stop) for h in (below, alone, above)] == [
        (0, 2),
        (2, 3),
        (3, 4),
    ]
    job.leave(EVE)

    assert (job.open, job.running) == (3, 1)
    assert sorted(offered(job, EVE) + offered(job, EVE)) == [(0, 2), (3, 4)]
