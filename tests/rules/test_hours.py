"""Hours of the week: read as people write them, right at their borders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.hours import ALWAYS, DAY, WEEK, clock, read_hours

MON, SAT, SUN = 0, 5 * DAY, 6 * DAY


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    hours = read_hours("Mon-Fri 22:00-06:00")
    assert hours.hold_at(MON + 22 * 60)
    assert hours.hold_at(SAT + 5 * 60 + 59)  # Friday's night
    assert not hours.hold_at(SAT + 6 * 60)
    assert not hours.hold_at(MON + 5 * 60)  # Sunday's night
    assert not hours.hold_at(MON + 21 * 60 + 59)


def test_the_last_night_of_the_week_reaches_into_the_next() -> None:
    hours = read_hours("sun 23:00-01:30")
    assert hours.hold_at(SUN + 23 * 60)
    assert hours.hold_at(MON + 89)
    assert not hours.hold_at(MON + 90)


def test_days_may_be_left_out_be_single_or_run_over_the_weekend() -> None:
    assert read_hours("9:00-17:00").hold_at(SUN + 9 * 60)
    assert not read_hours("sat 9:00-17:00").hold_at(SUN + 9 * 60)
    both = read_hours("sat-mon 00:00-24:00")
    assert both.hold_at(SUN)
    assert both.hold_at(MON)
    assert not both.hold_at(DAY)


def test_neighbouring_spans_have_no_border_in_between() -> None:
    hours = read_hours("sat-sun 00:00-24:00")
    assert hours.minutes_until_change(SAT) == 2 * DAY
    assert hours.minutes_until_change(SUN + DAY - 1) == 1
    assert hours.minutes_until_change(MON) == 5 * DAY


def test_always_never_changes() -> None:
    assert ALWAYS.hold_at(0)
    assert ALWAYS.hold_at(WEEK - 1)
    assert ALWAYS.minutes_until_change(17) is None
    assert read_hours(" ALWAYS ") == ALWAYS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "mon",
        "mon 8-12",
        "mon 08:00",
        "mon 08:60-09:00",
        "mon 24:00-25:00",
        "mon 24:00-08:00",
        "mon 08:00-08:00",
        "xyz 08:00-09:00",
        "mon-xyz 08:00-09:00",
        "mon 08:00-09:00,",
        ",".join(["mon 08:00-09:00"] * 22),
    ],
)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_hours(text)


def test_a_minute_of_the_week_is_said_as_people_say_it() -> None:
    assert clock(0) == "Mon 00:00"
    assert clock(SAT + 18 * 60 + 5.9) == "Sat 18:05"
    assert clock(WEEK + 61) == "Mon 01:01"


@given(
    st.integers(0, WEEK - 1), st.sampled_from(["mon-fri 22:00-06:00", "sun 0:01-0:00"])
)
def test_the_next_change_is_the_first_minute_that_differs(
    minute: int, text: str
) -> None:
    hours = read_hours(text)
    until = hours.minutes_until_change(minute)
    assert until is not None
    assert until > 0
    now = hours.hold_at(minute)
    assert hours.hold_at((minute + until) % WEEK) != now
    assert hours.hold_at((minute + until - 1) % WEEK) == now
