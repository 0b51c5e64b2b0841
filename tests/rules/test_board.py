"""The board: every task is granted, computed and credited, whoever comes and goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2pslinger.errors import PeerError, UsageError
from p2pslinger.limits import JOB_TASKS, LEASE, SIGNED_RANGES
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
    result,
)

# --- the plain course -----------------------------------------------------------------


def test_appended_tasks_are_numbered_on_from_the_last() -> None:
    new = board()

    assert new.append(3) == 0
    assert new.append(2) == 3
    assert (new.total, new.open) == (5, 5)


def test_a_sealed_job_takes_no_more_tasks() -> None:
    full = board(3)
    full.sealed = True

    with pytest.raises(UsageError, match="sealed"):
        full.append(1)
    assert full.total == 3


def test_a_job_has_an_end() -> None:
    full = board(JOB_TASKS - 1)
    full.append(1)

    with pytest.raises(UsageError, match="at most"):
        full.append(1)
    assert full.total == JOB_TASKS


def test_a_job_without_tasks_is_finished_once_it_is_sealed() -> None:
    empty = board()
    assert not empty.finished
    assert empty.grant(ANN, places=1, now=0.0, others=EVERYONE) == []

    empty.sealed = True
    assert empty.finished


def test_tasks_are_open_then_granted_then_done() -> None:
    job = board(2)
    job.sealed = True
    first, second = ask(job), ask(job, BOB)
    assert (first.start, first.stop, second.start, second.stop) == (0, 1, 1, 2)
    assert (job.open, job.running, job.grants) == (0, 2, 2)
    assert job.live() == [first, second]

    assert deliver(job, second) == [(1, 2)]
    assert not job.finished
    assert deliver(job, first) == [(0, 1)]
    assert job.finished
    assert (job.open, job.running, job.grants) == (0, 0, 0)


def test_more_places_make_smaller_grants() -> None:
    assert ask(board(100), places=1).stop == 50
    assert ask(board(100), places=5).stop == 10


def test_a_measured_task_time_sizes_the_next_grant() -> None:
    job = board(1000)
    held = ask(job, places=100)
    deliver(job, held, replace(result(job, held), wall=5 * 0.5))

    assert ask(job, places=1).stop - held.stop == 2


def test_a_result_that_is_not_new_measures_nothing() -> None:
    job = board(4)
    held = ask(job)
    deliver(job, held, replace(result(job, held), wall=2.0))
    deliver(job, held, replace(result(job, held), wall=2000.0))

    assert job.pace.seconds == pytest.approx(1.0)


def test_a_death_measures_nothing() -> None:
    job = board(4)
    held = ask(job)
    deliver(job, held, replace(death(job, held, 0), final=True))

    assert job.pace.seconds is None


def test_a_part_is_new_and_the_rest_is_open_again() -> None:
    job = board(10)
    held = everything(job)

    assert deliver(job, held, replace(result(job, held), stop=4)) == [(0, 4)]
    assert (job.open, job.running) == (6, 0)
    assert ask(job, BOB).start == 4


def test_tasks_that_came_back_are_granted_before_later_ones() -> None:
    job = board(10)
    held = ask(job)
    job.give_back(ANN, held.number)

    again = ask(job, BOB)
    assert (again.start, again.stop) == (0, 5)


def test_scattered_tasks_are_granted_together_up_to_a_bound() -> None:
    job = board(1000)
    for task in range(0, 1000, 2):
        job.withdraw(task, task + 1)
    assert job.open == 500

    helds = job.grant(ANN, places=1, now=0.0, others=EVERYONE)
    assert [(h.start, h.stop) for h in helds] == [
        (i, i + 1) for i in range(1, 2 * SIGNED_RANGES, 2)
    ]
    assert job.open == 500 - SIGNED_RANGES


# --- volunteers who do not keep their word ------------------------------------------


def test_a_silent_volunteers_tasks_are_open_again_when_its_lease_ends() -> None:
    job = board(4)
    held = ask(job, now=10.0)
    assert job.next_lapse() == 10.0 + LEASE

    assert job.lapse(10.0 + LEASE - 0.1) == []
    assert job.lapse(10.0 + LEASE) == [held]
    assert (job.open, job.running, job.lost) == (4, 0, 1)
    assert job.next_lapse() is None


def test_a_heartbeat_keeps_a_grant_alive() -> None:
    job = board(4)
    held = ask(job, now=0.0)

    assert job.renew(ANN, held.number, 1, now=3.0)
    assert job.lapse(LEASE) == []
    assert held.index == 1
    assert not job.renew(BOB, held.number, 1, now=3.0)
    assert not job.renew(ANN, held.number + 1, 1, now=3.0)


def test_who_leaves_leaves_its_tasks_to_others() -> None:
    job = board(4)
    mine, theirs = ask(job, ANN), ask(job, BOB)

    assert job.leave(ANN) == [mine]
    assert (job.open, job.live(), job.lost) == (3, [theirs], 1)
    assert job.leave(ANN) == []


def test_giving_back_is_no_loss() -> None:
    job = board(4)
    held = ask(job)

    assert not job.give_back(BOB, held.number)
    assert job.give_back(ANN, held.number)
    assert not job.give_back(ANN, held.number)
    assert (job.open, job.lost) == (4, 0)


def test_a_late_result_counts_and_is_not_computed_again() -> None:
    job = board(4)
    held = everything(job)
    job.lapse(LEASE)

    assert deliver(job, held, replace(result(job, held), stop=2)) == [(0, 2)]
    assert job.open == 2
    assert ask(job, BOB).start == 2


def test_the_first_of_two_results_counts() -> None:
    job = board(4)
    late = everything(job)
    job.lapse(LEASE)
    copy = everything(job, BOB)

    assert deliver(job, late, replace(result(job, late), stop=3)) == [(0, 3)]
    assert deliver(job, copy) == [(3, 4)]
    assert job.credits == {ANN: Credit(3), BOB: Credit(1)}


def test_a_result_that_comes_twice_is_credited_once() -> None:
    job = board(4)
    held = everything(job)
    got = replace(result(job, held), failures=1, cpu=2.0)

    assert deliver(job, held, got) == [(0, 4)]
    assert deliver(job, held, got) == []
    assert job.credits == {ANN: Credit(4, 1, 2.0)}
    assert job.failed == 1


def test_a_volunteer_whose_every_result_is_old_is_not_listed() -> None:
    job = board(2)
    held = everything(job)
    job.withdraw(0, 2)
    deliver(job, held)

    assert job.credits == {}


def test_a_part_that_is_new_is_credited_in_part() -> None:
    job = board(4)
    held = everything(job)
    job.withdraw(0, 3)
    deliver(job, held, replace(result(job, held), failures=3, cpu=4.0))

    assert job.credits == {ANN: Credit(1, 1, 1.0)}


def test_volunteers_are_credited_for_all_that_they_do() -> None:
    job = board(8)
    for peer in (ANN, BOB, ANN):
        held = ask(job, peer)  # 4, 2 and 1 tasks
        deliver(job, held, replace(result(job, held), failures=1, cpu=3.0, wall=1.0))

    assert job.credits == {ANN: Credit(5, 2, 6.0), BOB: Credit(2, 1, 3.0)}
    assert job.failed == 3


# --- the submitter changes its mind ---------------------------------------------------


def test_withdrawn_tasks_are_done_without_credit() -> None:
    job = board(10)
    job.sealed = True

    assert job.withdraw(2, 5) == []
    assert (done(job), job.open, job.credits) == ([(2, 5)], 7, {})
    job.withdraw(0, 99)
    assert (done(job), job.open, job.finished) == ([(0, 10)], 0, True)


def test_withdrawing_beyond_the_end_does_not_touch_what_is_appended_later() -> None:
    job = board(2)
    assert job.withdraw(5, 9) == []
    assert job.withdraw(0, 9) == []
    job.append(2)

    assert (job.open, ask(job).start) == (2, 2)


def test_withdrawing_revokes_what_has_nothing_left_to_do() -> None:
    job = board(8)
    first, second = ask(job, ANN), ask(job, BOB)  # 0..4, 4..6

    assert job.withdraw(2, 6) == [second]
    assert job.live() == [first]
    assert not job.renew(BOB, second.number, 4, now=0.0)
    assert deliver(job, first) == [(0, 2)]
    assert deliver(job, second) == []


def test_a_withdrawn_task_that_killed_is_forgotten() -> None:
    job = board(2)
    held = everything(job)
    deliver(job, held, death(job, held, 0))
    job.withdraw(0, 1)

    assert (job.open, ask(job, ANN).start) == (1, 1)


def test_a_cancelled_job_gives_nothing_and_takes_nothing() -> None:
    job = board(8)
    held = ask(job)
    lost = ask(job, BOB)
    deliver(job, lost, death(job, lost, lost.start))

    assert job.cancel() == [held]
    assert job.finished
    assert (job.open, job.running, job.next_lapse()) == (0, 0, None)
    assert deliver(job, held) == []
    assert deliver(job, lost, replace(death(job, lost, lost.start), final=True)) == []
    assert (done(job), job.credits, job.lost) == ([], {}, 1)
    assert job.grant(EVE, places=1, now=0.0, others=EVERYONE) == []
    assert not job.give_back(ANN, held.number)
    assert job.cancel() == []


def test_a_program_may_append_to_a_job_that_somebody_cancelled() -> None:
    job = board(1)
    job.cancel()
    job.append(1)

    assert (job.total, job.open, job.finished) == (2, 0, True)


def test_a_cancelled_job_still_refuses_lies() -> None:
    job = board(2)
    held = ask(job)
    job.cancel()

    with pytest.raises(PeerError):
        deliver(job, held, replace(result(job, held), mac=b"guess"))
