"""Time spans on the command line: 90s, 45min, 12h, 3d, 2w; a bare number is seconds."""

from __future__ import annotations

import re

import click

#: Seconds of the units that people write.
UNITS = {
    "": 1.0,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}

#: Seconds of the longest that can be meant: some 30 years.
LONGEST = 1e9

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def read_span(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return a time span in seconds.

    Raises:
        BadParameter: it is none, or none that makes sense.
    """
    if value is None:
        return None
    found = _SPAN.fullmatch(value.strip().lower())
    seconds = float(found[1]) * UNITS.get(found[2], 0.0) if found else 0.0
    if seconds > LONGEST:
        raise click.BadParameter(f"{value!r} is longer than 30 years")
    if not seconds > 0:
        raise click.BadParameter(
            f"{value!r} is no time span such as 90s, 45min, 12h, 3d or 2w"
        )
    return seconds
