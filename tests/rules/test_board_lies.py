"""What a volunteer says that no honest one says is refused and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2pslinger.errors import PeerError
from p2pslinger.rules.board import Board
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.spans import Span
from tests.rules.boards import (
    ANN,
    BOB,
    EVE,
    JOB,
    ask,
    board,
    deliver,
    done,
    everything,
    result,
)


def forgeries(good: Delivery) -> dict[str, tuple[Delivery, Span, str]]:
    whole = (good.start, good.stop)
    return {
        "mac": (replace(good, mac=bytes(16)), whole, "nobody gave"),
        "no mac": (replace(good, mac=b""), whole, "nobody gave"),
        "number": (replace(good, grant=99), whole, "nobody gave"),
        "volunteer": (replace(good, volunteer=EVE), whole, "nobody gave"),
        "grant": (replace(good, stop=9), (0, 9), "nobody gave"),
        "beyond": (replace(good, stop=9), whole, "outside"),
        "nothing": (replace(good, stop=good.start), whole, "outside"),
        "before": (replace(good, start=good.start - 1), whole, "outside"),
        "gap": (replace(good, start=good.start + 1), whole, "first tasks"),
        "deaths": (
            replace(good, lost=True, failures=2),
            whole,
            "more than one task",
        ),
        "silent death": (
            replace(good, lost=True, stop=good.start + 1),
            whole,
            "0 failures of 1 task",
        ),
        "failures": (replace(good, failures=3), whole, "3 failures of 2 tasks"),
    }


@pytest.mark.parametrize("lie", sorted(forgeries(Delivery(ANN, 1, b"", 2, 4))))
def test_a_lie_is_refused_and_changes_nothing(lie: str) -> None:
    job = board(4)
    ask(job, BOB)  # 0..2
    held = everything(job)  # 2..4
    got, granted, why = forgeries(result(job, held))[lie]

    with pytest.raises(PeerError, match=why):
        job.deliver(got, granted)
    assert (done(job), job.grants, job.lost, job.credits) == ([], 2, 0, {})
    assert deliver(job, held) == [(2, 4)]


def test_another_jobs_keys_open_nothing() -> None:
    job, other = board(4), Board(JOB, b"x" * 32)
    held = ask(job)

    with pytest.raises(PeerError):
        deliver(job, held, result(other, held))


def test_a_volunteer_that_overstates_its_time_keeps_nothing_from_being_relieved() -> (
    None
):
    """It claims to have taken for ever, then holds the last tasks and stays silent."""
    job = board(20)
    first = ask(job, EVE, now=10.0)
    slow = replace(result(job, first), wall=1e12)
    job.deliver(slow, (first.start, first.stop), now=11.0)
    assert job.pace.seconds is not None
    assert job.pace.seconds <= 1.0

    while job.open:
        last = ask(job, EVE, now=20.0)
    for now in range(20, 40):
        assert job.renew(EVE, last.number, last.start, float(now))
    assert job.hasten(40.0)


def test_how_long_others_tasks_took_is_not_known() -> None:
    job = board(4)
    held = ask(job, BOB, now=10.0)
    job.leave(BOB)
    job.deliver(replace(result(job, held), wall=5.0), (held.start, held.stop), now=90.0)

    assert job.pace.seconds is None
