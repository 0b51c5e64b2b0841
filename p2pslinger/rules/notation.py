"""How people write shares, sizes, times and rates, and how they are written for them.

What reads takes a TOML value or the words of a command line and raises ValueError; the
words for the user are made by whoever knows where the value came from. What writes
makes TOML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from p2pslinger.rules.hours import Hours, read_hours
from p2pslinger.rules.preferences import UNTIL_RESUMED

#: Bytes of the units that people write.
_BYTES: dict[str, int] = {"": 1, "b": 1}
_BYTES |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}

#: Seconds of the units that people write.
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")

#: Bytes a second below which a bound only makes transfers fail: a chunk of a mebibyte
#: has a minute to come.
LEAST = 50_000

#: How the absence of a limit is written.
_NONE = {"off", "none", "unlimited", "no", "false"}


def flag(value: object) -> bool:
    """Read yes or no."""
    if isinstance(value, bool):
        return value
    word = _text(value)
    if word not in {"true", "false", "yes", "no", "on", "off"}:
        raise ValueError(value)
    return word in {"true", "yes", "on"}


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip().lower()


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def share(value: object) -> float:
    """Read a part of 1: 0.25, or "25%"."""
    if isinstance(value, str):
        text = _text(value)
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    else:
        number = _number(value)
    if not 0 < number <= 1:
        raise ValueError(value)
    return number


def _amount(value: object, units: Mapping[str, float], *, most: float) -> float:
    """Read a number with a unit, above 0."""
    if isinstance(value, str):
        match = _AMOUNT.fullmatch(_text(value))
        if match is None or match[2] not in units:
            raise ValueError(value)
        number = float(match[1]) * units[match[2]]
    else:
        number = _number(value)
    if not 0 < number <= most:
        raise ValueError(value)
    return number


def span(value: object) -> float:
    """Read a time span of a week at most; return seconds."""
    return _amount(value, _SECONDS, most=7 * 86400)


def size(value: object) -> int:
    """Return bytes, from a number or from words such as "2 GiB".

    Raises:
        ValueError: they are none.
    """
    if value == 0 or (isinstance(value, str) and _text(value) == "0"):
        return 0
    return int(_amount(value, _BYTES, most=1e18))


def rate(value: object) -> float:
    """Read bytes a second: "500KB/s"."""
    if isinstance(value, str):
        value = _text(value).removesuffix("/s")
    found = _amount(value, _BYTES, most=1e15)
    if found < LEAST:
        raise ValueError(value)
    return found


def or_none(
    read: Callable[[object], object], *words: str
) -> Callable[[object], object]:
    """Let a preference be absent, in one of these words besides the usual ones."""

    def reading(value: object) -> object:
        if value is False or (
            isinstance(value, str) and _text(value) in {*_NONE, *words}
        ):
            return None
        return read(value)

    return reading


def hours(value: object) -> Hours:
    """Read hours of the week, in one text or several."""
    if isinstance(value, list | tuple) and value:
        return read_hours(", ".join(_text(one) for one in value))
    return read_hours(_text(value))


def moment(value: object) -> float:
    """Read a moment; return its wall time, 0 for never."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        word = _text(value)
        if word in {"resumed", "resume"}:
            return UNTIL_RESUMED
        if word in {*_NONE, "never"}:
            return 0.0
        return datetime.fromisoformat(word.upper()).timestamp()
    raise ValueError(value)


def among(*words: str) -> Callable[[object], str]:
    """Make a reader of one of these words."""

    def read(value: object) -> str:
        word = _text(value)
        if word not in words:
            raise ValueError(value)
        return word

    return read


# --- writing ------------------------------------------------------------------------


def as_flag(value: object) -> str:
    """Write yes or no."""
    return "true" if value else "false"


def as_share(value: object) -> str:
    """Write a part of 1 as a percentage."""
    assert isinstance(value, float)
    return f'"{100 * value:g}%"'


def as_span(value: object) -> str:
    """Write seconds with the unit that suits them."""
    assert isinstance(value, float)
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if value % size == 0:
            return f'"{value / size:g}{unit}"'
    return f'"{value:g}s"'


def as_size(value: object) -> str:
    """Write bytes with the unit that suits them."""
    assert isinstance(value, int | float)
    names = {"TB": "tb", "GB": "gb", "MB": "mb", "KB": "kb"}
    names |= {"GiB": "gib", "MiB": "mib", "KiB": "kib"}
    for name, unit in names.items():
        if value and value % _BYTES[unit] == 0:
            return f'"{value / _BYTES[unit]:g} {name}"'
    return f'"{value:.0f}"'


def as_rate(value: object) -> str:
    """Write bytes a second."""
    return f'{as_size(value)[:-1]}/s"'


def as_hours(value: object) -> str:
    """Write hours of the week as they were read."""
    assert isinstance(value, Hours)
    return f'"{value.text}"'


def as_moment(value: object) -> str:
    """Write a wall time, in UTC."""
    assert isinstance(value, float)
    if value == UNTIL_RESUMED:
        return '"resumed"'
    if not value:
        return '"never"'
    return datetime.fromtimestamp(round(value), UTC).isoformat().replace("+00:00", "Z")


def as_word(value: object) -> str:
    """Write a word."""
    return f'"{value}"'


def absent(word: str, write: Callable[[object], str]) -> Callable[[object], str]:
    """Make a writer that has a word for None."""
    return lambda value: f'"{word}"' if value is None else write(value)
