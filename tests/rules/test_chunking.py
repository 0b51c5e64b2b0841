"""Ranges are long in the beginning, short in the end, and about a second at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.limits import FIRST_SLICE, RANGE_SECONDS
from p2pslinger.rules.chunking import QUEUE_BELOW, Pace

SECONDS = st.one_of(st.none(), st.floats(0, 1e12))


@given(SECONDS, st.integers(1, 1 << 40), st.integers(0, 10_000))
def test_there_is_always_something_to_grant_and_never_more_than_is_left(
    seconds: float | None, left: int, places: int
) -> None:
    assert 1 <= Pace(seconds).size(left, places) <= left


@given(SECONDS, st.integers(0, 100))
def test_of_nothing_nothing_is_granted(seconds: float | None, places: int) -> None:
    assert Pace(seconds).size(0, places) == 0


@given(st.floats(1e-6, 1e6), st.integers(1, 1 << 40), st.integers(1, 100))
def test_a_range_takes_a_second_at_most_unless_one_task_takes_longer(
    seconds: float, left: int, places: int
) -> None:
    size = Pace(seconds).size(left, places)

    assert size == 1 or size * seconds <= RANGE_SECONDS


def test_half_of_what_is_left_goes_to_all_places_together() -> None:
    assert Pace().size(400, 4) == 50
    assert Pace(0.001).size(400, 4) == 50
    assert Pace().size(401, 4) == 51
    assert Pace().size(9, 100) == 1


def test_every_place_gets_a_range_before_the_tasks_run_out() -> None:
    pace, left = Pace(), 1000
    for _ in range(20):
        left -= pace.size(left, 20)

    assert left > 0


def test_a_second_of_work_caps_a_range() -> None:
    assert Pace(0.01).size(1_000_000, 2) == 100
    assert Pace(30.0).size(1_000_000, 2) == 1


def test_tasks_too_short_to_be_worth_a_message_go_out_together() -> None:
    assert Pace(0.0001).size(100, 50) == 40
    assert Pace(0.0001).size(30, 50) == 30
    assert Pace(0.003).size(100, 50) == 1


def test_tasks_that_take_no_time_at_all_are_no_division_by_zero() -> None:
    assert Pace(0.0).size(10, 2) == 10


def test_the_first_measurement_counts_in_full_and_later_ones_in_part() -> None:
    pace = Pace()
    pace.measured(10, 1.0)
    assert pace.seconds == pytest.approx(0.1)

    pace.measured(1, 1.1)
    assert pace.seconds == pytest.approx(0.4)


def test_a_function_that_nobody_knows_gets_a_short_slice() -> None:
    assert Pace().slice == FIRST_SLICE
    assert Pace(0.1).slice == RANGE_SECONDS


def test_only_short_tasks_wait_behind_a_running_range() -> None:
    assert not Pace().may_queue
    assert Pace(QUEUE_BELOW / 2).may_queue
    assert not Pace(QUEUE_BELOW).may_queue
