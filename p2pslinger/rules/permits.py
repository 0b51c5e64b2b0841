"""What the owner's preferences permit at this moment, and why not more.

    (Preferences, Facts, Course so far, Now) -> Course, with a Permit and its reason

Pure: sensors and clocks are elsewhere. Everything that withholds the permit does so at
once, but for other programs' load: that must last for `BUSY` seconds first, and be gone
for `QUIET` afterwards, because a compiler run of a second is no reason to stop, and a
pause in it no reason to go on. What nobody knows (a machine without a battery, or whose
load was not measured yet) withholds nothing, with one exception: who
gives idle time only gives none before idleness is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from p2pslinger.rules.hours import WEEK, clock
from p2pslinger.rules.preferences import UNTIL_RESUMED, Preferences
from p2pslinger.rules.reasons import Reason, reason_for
from p2pslinger.wire.facts import ReasonFacts

#: Seconds that other programs' load must last before we stop, and must be gone before
#: we go on.
BUSY, QUIET = 10.0, 60.0

#: Part of the machine's processor time that shows somebody to be there, where no other
#: sign of it can be read.
PRESENT = 0.10

#: Seconds after which everything is looked at again, whatever is due.
LONGEST = 3600.0

#: Days to say "Tue 18:00"; what is farther off is said in days.
WITHIN_A_WEEK = 6.5 * 86400


@dataclass(frozen=True, slots=True)
class Now:
    """The time: monotonic, on the wall, and in minutes of the local week."""

    mono: float
    wall: float
    week: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What sensors say; None is "nobody knows".

    Attributes:
        on_battery: The machine runs on battery.
        idle: Seconds since a key or a mouse was last touched.
        load: Part of all processors' time that other programs have used, lately.
        lately: For how many seconds that was measured.
        program: Who has used most of it.
        program_load: How much, of the same whole.
    """

    on_battery: bool | None = None
    idle: float | None = None
    load: float | None = None
    lately: float = 0.0
    program: str = ""
    program_load: float = 0.0


@dataclass(frozen=True, slots=True)
class Permit:
    """What others may have now.

    Attributes:
        suspended: Nothing: what runs for them stands still.
        slots: How many slots, or None for all.
        share: Part of a core that each may use.
        memory: Part of the machine's memory for all of them.
        reason: Why nothing, or None.
        since: Wall time since which that has been so.
    """

    suspended: bool = False
    slots: int | None = None
    share: float = 1.0
    memory: float = 0.25
    reason: ReasonFacts | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """The permit, and what has to be remembered for the next one.

    Attributes:
        permit: What others may have.
        over: Since when the load has been above the limit, monotonic.
        under: Since when it has been below.
        loaded: It has been above for long, and not yet below for long.
        program: Who it was.
        quiet: Since when no load has shown somebody to be there, monotonic.
        due: Seconds after which time alone may change something.
    """

    permit: Permit = Permit()
    over: float | None = None
    under: float | None = None
    loaded: bool = False
    program: str = ""
    quiet: float | None = None
    due: float = LONGEST


def permit(wishes: Preferences, facts: Facts, before: Course, now: Now) -> Course:
    """Return what is permitted now."""
    course = _weigh_load(wishes, facts, before, now)
    reason = _why_not(wishes, facts, course, now)
    old = before.permit
    same = (old.reason and old.reason.code) == (reason and reason.code)
    given = Permit(
        suspended=reason is not None,
        slots=wishes.cores,
        share=wishes.core_share,
        memory=wishes.memory,
        reason=reason,
        since=old.since if same and old.since else now.wall,
    )
    return replace(course, permit=given, due=_due(wishes, facts, course, now))


# --- load -----------------------------------------------------------------------------


def _weigh_load(wishes: Preferences, facts: Facts, before: Course, now: Now) -> Course:
    """Take in the load of other programs: for how long has there been how much?"""
    if facts.load is None:
        return replace(before, over=None, under=None, loaded=False, quiet=None)
    began = now.mono - facts.lately
    limit = math.inf if wishes.foreign_load is None else wishes.foreign_load
    quiet = before.quiet if before.quiet is not None else began
    course = replace(before, quiet=None if facts.load > PRESENT else quiet)
    if facts.load > limit:
        over = began if course.over is None else course.over
        loaded = course.loaded or now.mono - over >= BUSY
        named = _named(facts)
        return replace(course, over=over, under=None, loaded=loaded, program=named)
    under = began if course.under is None else course.under
    loaded = course.loaded and now.mono - under < QUIET and limit < math.inf
    return replace(course, over=None, under=under, loaded=loaded)


def _named(facts: Facts) -> str:
    if not facts.program:
        return ""
    return f"{facts.program} ({100 * facts.program_load:.0f} %)"


# --- reasons --------------------------------------------------------------------------


def _why_not(
    wishes: Preferences, facts: Facts, course: Course, now: Now
) -> ReasonFacts | None:
    """Return why others get nothing, or None: what the owner said outright first."""
    if not wishes.enabled:
        return reason_for(Reason.DISABLED, "its preferences say not to")
    if wishes.paused_until > now.wall:
        return reason_for(Reason.PAUSED, f"it is paused {_until(wishes, now)}")
    if not wishes.hours.hold_at(now.week):
        return _out_of_hours(wishes, now)
    if facts.on_battery and not wishes.on_battery:
        return reason_for(Reason.ON_BATTERY, "the machine runs on battery")
    if wishes.when_idle and _in_use(wishes, facts, course, now):
        return _because_of_use(wishes, facts)
    if course.loaded:
        most = f", most of all {course.program}" if course.program else ""
        text = f"other programs need the processor{most}"
        return reason_for(Reason.FOREIGN_LOAD, text)
    return None


def _until(wishes: Preferences, now: Now) -> str:
    if wishes.paused_until == UNTIL_RESUMED:
        return "until somebody resumes it"
    seconds = wishes.paused_until - now.wall
    if seconds > WITHIN_A_WEEK:
        return f"for {seconds / 86400:.0f} more days"
    return f"until {clock(now.week + seconds / 60)}"


def _out_of_hours(wishes: Preferences, now: Now) -> ReasonFacts:
    minutes = wishes.hours.minutes_until_change(now.week)
    goes_on = f"; it goes on at {clock(now.week + minutes)}" if minutes else ""
    text = f"this is outside of its hours, {wishes.hours.text}{goes_on}"
    return reason_for(Reason.OUT_OF_HOURS, text)


def _in_use(wishes: Preferences, facts: Facts, course: Course, now: Now) -> bool:
    if facts.idle is not None:
        return facts.idle < wishes.idle_after
    return course.quiet is None or now.mono - course.quiet < wishes.idle_after


def _because_of_use(wishes: Preferences, facts: Facts) -> ReasonFacts:
    minutes = f"{wishes.idle_after / 60:g} min"
    if facts.idle is not None:
        text = f"somebody has used the machine within the last {minutes}"
    else:
        text = (
            f"other programs have not been quiet for {minutes} yet, and this system "
            "does not say whether somebody uses it"
        )
    return reason_for(Reason.IN_USE, text)


# --- when to look again ---------------------------------------------------------------


def _due(wishes: Preferences, facts: Facts, course: Course, now: Now) -> float:
    """Return the seconds after which time alone may change the permit."""
    times = [LONGEST]
    if now.wall < wishes.paused_until < UNTIL_RESUMED:
        times.append(wishes.paused_until - now.wall)
    minutes = wishes.hours.minutes_until_change(now.week % WEEK)
    if minutes is not None:
        times.append(60 * minutes)
    if course.over is not None and not course.loaded:
        times.append(course.over + BUSY - now.mono)
    if course.under is not None and course.loaded:
        times.append(course.under + QUIET - now.mono)
    if wishes.when_idle and facts.idle is not None and facts.idle < wishes.idle_after:
        times.append(wishes.idle_after - facts.idle)
    if wishes.when_idle and facts.idle is None and course.quiet is not None:
        times.append(course.quiet + wishes.idle_after - now.mono)
    return min(time for time in times if time > 0)
