"""Control records: whoever reads the same ones, in any order, comes to the same job."""

from __future__ import annotations

from itertools import permutations

import pytest

from p2pslinger.errors import PeerError, UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.board import Board
from p2pslinger.rules.delivery import Delivery
from p2pslinger.wire.records import Control

JOB = JobId(b"j" * 20)
ANN = PeerId(b"a" * 20)


def board(tasks: int) -> Board:
    made = Board(JOB, bytes(32))
    made.append(tasks)
    return made


def test_the_newest_record_counts_whatever_the_order() -> None:
    records = [Control(JOB, n, priority=10 * n) for n in (1, 2, 3)]
    for order in permutations(records):
        job = board(1)
        for record in order:
            job.control(record)
        assert (job.sequence, job.priority) == (3, 30)


def test_cancelled_absorbs_even_an_older_sequence() -> None:
    job = board(4)
    (held,) = job.grant(ANN, places=1, now=0.0, others=set(), most=2)
    job.control(Control(JOB, 5, priority=1))

    assert job.control(Control(JOB, 2, cancelled=True)) == [held]
    job.control(Control(JOB, 6))
    assert job.cancelled
    assert job.finished


def test_who_is_excluded_loses_its_grants_and_gets_no_more() -> None:
    job = board(4)
    (held,) = job.grant(ANN, places=1, now=0.0, others=set(), most=2)

    assert job.control(Control(JOB, 2, excluded=(ANN,))) == [held]
    assert job.open == 4
    assert job.grant(ANN, places=1, now=0.0, others=set()) == []
    assert job.control(Control(JOB, 1)) == []
    assert job.excluded == {ANN}


def test_results_of_who_is_excluded_leave_their_tasks_open() -> None:
    job = board(2)
    (held,) = job.grant(ANN, places=1, now=0.0, others=set(), most=1)
    job.control(Control(JOB, 2, excluded=(ANN,)))
    late = Delivery(ANN, held.number, job.mac(held), held.start, held.stop)

    assert job.deliver(late, (held.start, held.stop)) == []
    assert job.open == 2


def test_what_does_not_count_any_more_is_open_again() -> None:
    job = board(4)
    (held,) = job.grant(ANN, places=1, now=0.0, others=set(), most=2)
    late = Delivery(ANN, held.number, job.mac(held), held.start, held.stop)
    job.deliver(late, (held.start, held.stop))

    assert job.redo(0, 4) == [(held.start, held.stop)]
    assert (job.open, job.done.count) == (4, 0)


def test_a_replica_is_sealed_when_it_has_heard_of_all_tasks() -> None:
    job = board(2)
    job.control(Control(JOB, 1, sealed=5))
    assert not job.sealed

    job.append(3)
    assert job.sealed
    with pytest.raises(UsageError, match="sealed"):
        job.append(1)


def test_nothing_is_appended_beyond_the_seal() -> None:
    job = board(2)
    job.control(Control(JOB, 1, sealed=3))
    with pytest.raises(UsageError, match="sealed"):
        job.append(2)
    assert job.total == 2


def test_a_record_of_another_job_or_of_too_few_tasks_is_refused() -> None:
    job = board(2)
    with pytest.raises(PeerError, match="another job"):
        job.control(Control(b"x" * 20, 1))
    with pytest.raises(PeerError, match="sealed 1 of 2"):
        job.control(Control(JOB, 1, sealed=1))
    assert job.sequence == 0
