"""Hours of the week, as a machine's owner writes them: "mon-fri 22:00-06:00".

Local time, whatever the clock says. A span that passes midnight belongs to the day on
which it begins. Nothing here looks at a clock: the minute of the week comes in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Days as they are written, Monday first.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: Minutes of a day and of a week.
DAY, WEEK = 24 * 60, 7 * 24 * 60

#: Spans that one owner may name: three a day are beyond any need.
SPANS = 21

_SPAN = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:\s*-\s*[a-z]{3})?)\s+)?"
    r"(?P<from>\d{1,2}:\d{2})\s*-\s*(?P<to>\d{1,2}:\d{2})"
)


@dataclass(frozen=True, slots=True)
class Hours:
    """When something is allowed.

    Attributes:
        text: As it was written.
        spans: [start, stop) in minutes of the week, Monday 0:00 being 0; one that
            passes the end of the week goes on beyond it.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    def hold_at(self, minute: float) -> bool:
        """Tell whether a minute of the week is inside."""
        return any(
            start <= minute < stop or start <= minute + WEEK < stop
            for start, stop in self.spans
        )

    def minutes_until_change(self, minute: float) -> float | None:
        """Return in how many minutes they begin or end; None if they never do."""
        now = self.hold_at(minute)
        borders = {border % WEEK for span in self.spans for border in span}
        ahead = sorted((border - minute) % WEEK or WEEK for border in borders)
        for minutes in ahead:
            if self.hold_at((minute + minutes) % WEEK) != now:
                return minutes
        return None


ALWAYS = Hours("always", ((0, WEEK),))


def read_hours(text: str) -> Hours:
    """Read "always", or spans such as "mon-fri 22:00-06:00, sat 10:00-24:00".

    Raises:
        ValueError: it is neither.
    """
    words = text.strip().lower()
    if words == ALWAYS.text:
        return ALWAYS
    parts = [part.strip() for part in words.replace(";", ",").split(",")]
    if len(parts) > SPANS:
        raise ValueError(text)
    spans = tuple(span for part in parts for span in _read_span(part))
    return Hours(", ".join(parts), spans)


def _read_span(text: str) -> list[tuple[int, int]]:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(text)
    start, stop = _minute(match["from"]), _minute(match["to"])
    if start in {DAY, stop}:
        raise ValueError(text)
    if stop < start:
        stop += DAY
    return [(DAY * day + start, DAY * day + stop) for day in _days(match["days"])]


def _days(text: str | None) -> list[int]:
    if text is None:
        return list(range(7))
    names = [name.strip() for name in text.split("-")]
    first, last = (DAYS.index(names[0]), DAYS.index(names[-1]))  # ValueError: no day
    return [(first + i) % 7 for i in range((last - first) % 7 + 1)]


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > DAY:
        raise ValueError(text)
    return hour * 60 + minute


def clock(minute: float) -> str:
    """Return a minute of the week as people say it: "Tue 18:00"."""
    day, rest = divmod(int(minute) % WEEK, DAY)
    return f"{DAYS[day].capitalize()} {rest // 60:02}:{rest % 60:02}"
