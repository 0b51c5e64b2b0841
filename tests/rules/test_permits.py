"""What preferences permit: every transition, a reason for each, and never too late."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.hours import DAY, WEEK, read_hours
from p2pslinger.rules.permits import BUSY, QUIET, Course, Facts, Now, permit
from p2pslinger.rules.preferences import DEFAULTS, UNTIL_RESUMED, Preferences
from p2pslinger.rules.reasons import Reason

#: Tuesday, noon.
NOON = DAY + 12 * 60

FREE = Facts(on_battery=False, idle=1000.0, load=0.0, lately=1.0)
LOADED = replace(FREE, load=0.9, program="make", program_load=0.8)


def at(seconds: float) -> Now:
    return Now(100.0 + seconds, 1e9 + seconds, (NOON + seconds / 60) % WEEK)


def over_time(
    wishes: Preferences, moments: Iterable[tuple[float, Facts]]
) -> list[tuple[float, Course]]:
    course, courses = Course(), []
    for seconds, facts in moments:
        course = permit(wishes, facts, course, at(seconds))
        courses.append((seconds, course))
    return courses


def once(wishes: Preferences, facts: Facts = FREE, seconds: float = 0.0) -> Course:
    return permit(wishes, facts, Course(), at(seconds))


def code(course: Course) -> str | None:
    reason = course.permit.reason
    return reason.code if reason else None


def test_by_default_an_idle_machine_on_mains_computes_for_others() -> None:
    given = once(DEFAULTS).permit
    assert not given.suspended
    assert given.reason is None
    assert (given.slots, given.share, given.memory) == (None, 1.0, 0.25)


def test_what_nobody_knows_withholds_nothing() -> None:
    assert not once(DEFAULTS, Facts()).permit.suspended


@pytest.mark.parametrize(
    ("wishes", "facts", "reason", "said"),
    [
        (replace(DEFAULTS, enabled=False), FREE, Reason.DISABLED, "say not to"),
        (
            replace(DEFAULTS, paused_until=1e9 + 7200),
            FREE,
            Reason.PAUSED,
            "paused until Tue 14:00",
        ),
        (
            replace(DEFAULTS, paused_until=1e9 + 30 * 86400),
            FREE,
            Reason.PAUSED,
            "for 30 more days",
        ),
        (
            replace(DEFAULTS, paused_until=UNTIL_RESUMED),
            FREE,
            Reason.PAUSED,
            "until somebody resumes it",
        ),
        (
            replace(DEFAULTS, hours=read_hours("22:00-06:00")),
            FREE,
            Reason.OUT_OF_HOURS,
            "it goes on at Tue 22:00",
        ),
        (
            DEFAULTS,
            replace(FREE, on_battery=True),
            Reason.ON_BATTERY,
            "runs on battery",
        ),
        (
            replace(DEFAULTS, when_idle=True),
            replace(FREE, idle=299.0),
            Reason.IN_USE,
            "within the last 5 min",
        ),
        (
            replace(DEFAULTS, when_idle=True),
            replace(FREE, idle=None, load=None),
            Reason.IN_USE,
            "does not say whether somebody uses it",
        ),
    ],
)
def test_each_preference_withholds_at_once_and_says_why(
    wishes: Preferences, facts: Facts, reason: Reason, said: str
) -> None:
    course = once(wishes, facts)
    assert course.permit.suspended
    assert code(course) == reason
    assert course.permit.reason is not None
    assert said in course.permit.reason.text
    assert course.permit.reason.advice


def test_preferences_that_allow_it_are_not_in_the_way() -> None:
    assert not once(
        replace(DEFAULTS, on_battery=True), replace(FREE, on_battery=True)
    ).permit.suspended
    assert not once(replace(DEFAULTS, when_idle=True)).permit.suspended
    assert not once(replace(DEFAULTS, paused_until=1e9 - 1)).permit.suspended
    assert not once(replace(DEFAULTS, hours=read_hours("11:00-13:00"))).permit.suspended


def test_other_programs_are_made_room_for_after_ten_seconds_and_named() -> None:
    courses = dict(over_time(DEFAULTS, [(float(s), LOADED) for s in range(13)]))
    assert not courses[8].permit.suspended
    assert code(courses[10]) == Reason.FOREIGN_LOAD  # the first look covered a second
    reason = courses[10].permit.reason
    assert reason is not None
    assert "most of all make (80 %)" in reason.text
    assert courses[12].permit.since == courses[10].permit.since


def test_it_goes_on_when_they_have_been_quiet_for_a_minute() -> None:
    moments = [(float(s), LOADED) for s in range(15)]
    moments += [(float(s), FREE) for s in range(15, 90)]
    courses = dict(over_time(DEFAULTS, moments))
    assert courses[14 + QUIET - 1].permit.suspended
    assert not courses[15 + QUIET].permit.suspended


def test_a_short_burst_is_no_reason_and_a_short_silence_neither() -> None:
    bursts = [(float(s), LOADED if s % 9 else FREE) for s in range(60)]
    assert not any(one.permit.suspended for _, one in over_time(DEFAULTS, bursts))
    loaded = [(float(s), LOADED) for s in range(20)]
    breaths = [(float(s), FREE if s % 50 else LOADED) for s in range(20, 200)]
    courses = over_time(DEFAULTS, loaded + breaths)
    assert all(one.permit.suspended for seconds, one in courses if seconds >= 11)


def test_whoever_does_not_mind_other_programs_computes_beside_them() -> None:
    wishes = replace(DEFAULTS, foreign_load=None)
    courses = over_time(wishes, [(float(s), LOADED) for s in range(60)])
    assert not any(one.permit.suspended for _, one in courses)


def test_raising_the_limit_above_the_load_counts_as_quiet() -> None:
    loaded = over_time(DEFAULTS, [(float(s), LOADED) for s in range(12)])[-1][1]
    assert loaded.permit.suspended
    lenient = replace(DEFAULTS, foreign_load=None)
    assert not permit(lenient, LOADED, loaded, at(12)).permit.suspended


def test_without_a_sensor_for_use_other_programs_load_stands_for_it() -> None:
    wishes = replace(DEFAULTS, when_idle=True, idle_after=120.0, foreign_load=None)
    blind = replace(FREE, idle=None)
    busy = replace(blind, load=0.2)
    moments = [(float(s), blind) for s in range(200)]
    moments += [(200.0, busy)] + [(float(s), blind) for s in range(201, 400)]
    courses = dict(over_time(wishes, moments))
    assert code(courses[0]) == Reason.IN_USE
    assert code(courses[118]) == Reason.IN_USE
    assert not courses[119].permit.suspended
    assert code(courses[200]) == Reason.IN_USE
    assert code(courses[319]) == Reason.IN_USE
    assert not courses[321].permit.suspended


def test_load_that_is_no_longer_measured_is_forgotten() -> None:
    loaded = over_time(DEFAULTS, [(float(s), LOADED) for s in range(12)])[-1][1]
    assert loaded.permit.suspended
    blind = permit(DEFAULTS, replace(FREE, load=None), loaded, at(12))
    assert not blind.permit.suspended
    again = permit(DEFAULTS, LOADED, blind, at(3600))
    assert not again.permit.suspended, "ten seconds begin anew"


def test_the_reason_that_the_owner_chose_comes_first() -> None:
    wishes = replace(
        DEFAULTS,
        enabled=False,
        paused_until=UNTIL_RESUMED,
        hours=read_hours("22:00-23:00"),
        when_idle=True,
    )
    facts = replace(LOADED, on_battery=True, idle=0.0)
    loaded = over_time(wishes, [(float(s), facts) for s in range(12)])[-1][1]
    order = []
    for lifted in (
        {"enabled": True},
        {"paused_until": 0.0},
        {"hours": read_hours("always")},
        {"on_battery": True},
        {"when_idle": False},
        {"foreign_load": None},
    ):
        order.append(code(permit(wishes, facts, loaded, at(12))))
        wishes = replace(wishes, **lifted)
    assert order == [
        Reason.DISABLED,
        Reason.PAUSED,
        Reason.OUT_OF_HOURS,
        Reason.ON_BATTERY,
        Reason.IN_USE,
        Reason.FOREIGN_LOAD,
    ]
    assert code(permit(wishes, facts, loaded, at(12))) is None


def test_it_says_when_to_look_again() -> None:
    assert once(replace(DEFAULTS, paused_until=1e9 + 50)).due == 50
    assert once(replace(DEFAULTS, hours=read_hours("12:01-13:00"))).due == 60
    assert once(DEFAULTS, LOADED).due == BUSY - 1
    wishes = replace(DEFAULTS, when_idle=True)
    assert once(wishes, replace(FREE, idle=290.0)).due == 10
    assert once(DEFAULTS).due == 3600


# --- never too late -------------------------------------------------------------------

MAYBE = st.none() | st.floats(0, 1)
ANY_FACTS = st.builds(
    Facts,
    on_battery=st.none() | st.booleans(),
    idle=st.none() | st.floats(0, 1000),
    load=MAYBE,
    lately=st.just(1.0),
    program=st.sampled_from(["", "make"]),
)
ANY_WISHES = st.builds(
    Preferences,
    enabled=st.booleans(),
    paused_until=st.sampled_from([0.0, 1e9 + 20, 1e9 + 45, UNTIL_RESUMED]),
    when_idle=st.booleans(),
    idle_after=st.sampled_from([10.0, 30.0]),
    on_battery=st.booleans(),
    foreign_load=st.sampled_from([None, 0.25, 0.6]),
    hours=st.sampled_from(
        [read_hours("always"), read_hours("12:00-12:01"), read_hours("12:01-14:00")]
    ),
)


def against(wishes: Preferences, facts: Facts, now: Now) -> bool:
    """Tell whether computing for others is against what the owner said outright."""
    return (
        not wishes.enabled
        or now.wall < wishes.paused_until
        or not wishes.hours.hold_at(now.week)
        or (facts.on_battery is True and not wishes.on_battery)
        or (
            wishes.when_idle
            and facts.idle is not None
            and facts.idle < wishes.idle_after
        )
    )


@given(ANY_WISHES, st.lists(st.tuples(ANY_FACTS, st.integers(1, 30)), max_size=8))
def test_no_facts_leave_it_computing_against_its_preferences_for_long(
    wishes: Preferences, spells: list[tuple[Facts, int]]
) -> None:
    course, second, loaded_for = Course(), 0, 0
    for facts, seconds in spells:
        for _ in range(seconds):
            now = at(second)
            course = permit(wishes, facts, course, now)
            limit = math.inf if wishes.foreign_load is None else wishes.foreign_load
            is_over = facts.load is not None and facts.load > limit
            loaded_for = loaded_for + 1 if is_over else 0
            if against(wishes, facts, now) or loaded_for > BUSY + 1:
                assert course.permit.suspended
            assert course.permit.suspended == (course.permit.reason is not None)
            assert course.permit.since <= now.wall
            assert course.due > 0
            second += 1


@given(ANY_WISHES, ANY_FACTS, st.integers(1, 30))
def test_it_never_stays_suspended_without_a_cause(
    wishes: Preferences, facts: Facts, seconds: int
) -> None:
    course = Course()
    for second in range(seconds):
        course = permit(wishes, facts, course, at(second))
    lifted = replace(DEFAULTS, foreign_load=wishes.foreign_load)
    for second in range(seconds, seconds + 62):
        course = permit(lifted, FREE, course, at(second))
    assert not course.permit.suspended
