"""Preferences in words: what each is called, what it may be, how it is written.

A row reads a value from a TOML value or from the words of a command line, and writes it
as TOML. Reading raises ValueError; the words for the user are made by whoever knows
where the value came from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from p2pslinger.errors import UsageError
from p2pslinger.rules.hours import Hours, read_hours
from p2pslinger.rules.preferences import DEFAULTS, UNTIL_RESUMED, Preferences

#: Most slots that anybody would name: more than the largest machine has cores.
CORES = 4096

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


@dataclass(frozen=True, slots=True)
class Key:
    """One preference.

    Attributes:
        read: Reads a value.
        write: Writes one, as TOML.
        allowed: What it may be, to finish a sentence.
        about: What it does, as comment lines.
    """

    read: Callable[[object], object]
    write: Callable[[object], str]
    allowed: str
    about: str


def _flag(value: object) -> bool:
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


def _share(value: object) -> float:
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


def _span(value: object) -> float:
    return _amount(value, _SECONDS, most=7 * 86400)


def size(value: object) -> int:
    """Return bytes, from a number or from words such as "2 GiB".

    Raises:
        ValueError: they are none.
    """
    if value == 0 or (isinstance(value, str) and _text(value) == "0"):
        return 0
    return int(_amount(value, _BYTES, most=1e18))


def _rate(value: object) -> float:
    if isinstance(value, str):
        value = _text(value).removesuffix("/s")
    rate = _amount(value, _BYTES, most=1e15)
    if rate < LEAST:
        raise ValueError(value)
    return rate


def _or_none(
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


def _cores(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    number = int(value)
    if not 1 <= number <= CORES:
        raise ValueError(value)
    return number


def _hours(value: object) -> Hours:
    if isinstance(value, list | tuple) and value:
        return read_hours(", ".join(_text(one) for one in value))
    return read_hours(_text(value))


def _moment(value: object) -> float:
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


def _among(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        word = _text(value)
        if word not in words:
            raise ValueError(value)
        return word

    return read


# --- writing ------------------------------------------------------------------------


def _as_flag(value: object) -> str:
    return "true" if value else "false"


def _as_share(value: object) -> str:
    assert isinstance(value, float)
    return f'"{100 * value:g}%"'


def _as_span(value: object) -> str:
    assert isinstance(value, float)
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if value % size == 0:
            return f'"{value / size:g}{unit}"'
    return f'"{value:g}s"'


def _as_size(value: object) -> str:
    assert isinstance(value, int | float)
    names = {"TB": "tb", "GB": "gb", "MB": "mb", "KB": "kb"}
    names |= {"GiB": "gib", "MiB": "mib", "KiB": "kib"}
    for name, unit in names.items():
        if value and value % _BYTES[unit] == 0:
            return f'"{value / _BYTES[unit]:g} {name}"'
    return f'"{value:.0f}"'


def _as_rate(value: object) -> str:
    return f'{_as_size(value)[:-1]}/s"'


def _as_hours(value: object) -> str:
    assert isinstance(value, Hours)
    return f'"{value.text}"'


def _as_moment(value: object) -> str:
    assert isinstance(value, float)
    if value == UNTIL_RESUMED:
        return '"resumed"'
    if not value:
        return '"never"'
    return datetime.fromtimestamp(round(value), UTC).isoformat().replace("+00:00", "Z")


def _as_word(value: object) -> str:
    return f'"{value}"'


def _absent(word: str, write: Callable[[object], str]) -> Callable[[object], str]:
    return lambda value: f'"{word}"' if value is None else write(value)


_FLAG = "true or false"
_SHARE = "a part such as 25%, more than 0 and at most 100%"
_RATE = "bytes a second such as 500KB/s, at least 50KB/s, or unlimited"

#: Every preference, by the name of its field in `Preferences`.
KEYS: dict[str, Key] = {
    "enabled": Key(_flag, _as_flag, _FLAG, "Compute for other members at all."),
    "paused_until": Key(
        _moment,
        _as_moment,
        "a time such as 2027-01-31T18:00:00, or resumed, or never",
        "Not before this time; `slinger prefs pause 2h` sets it.",
    ),
    "when_idle": Key(
        _flag, _as_flag, _FLAG, "Only while nobody uses keyboard or mouse."
    ),
    "idle_after": Key(
        _span,
        _as_span,
        "a time span such as 5min, at most 7d",
        "So long after the last key or mouse, nobody does.",
    ),
    "on_battery": Key(_flag, _as_flag, _FLAG, "On battery, too."),
    "foreign_load": Key(
        _or_none(_share),
        _absent("off", _as_share),
        f"{_SHARE}, or off",
        "Stop while other programs use more of all processors than this.",
    ),
    "cores": Key(
        _or_none(_cores, "auto", "all"),
        _absent("auto", str),
        f"a whole number from 1 to {CORES}, or auto for all of the peer's slots",
        "Slots that compute for others at once.",
    ),
    "core_share": Key(
        _share, _as_share, _SHARE, "How much of a core each of them may use."
    ),
    "memory": Key(
        _share,
        _as_share,
        _SHARE,
        "How much of the machine's memory all of them may use.",
    ),
    "disk": Key(
        size,
        _as_size,
        "a size such as 2GB, or 0",
        "How much of others' jobs is kept on disk.",
    ),
    "hours": Key(
        _hours,
        _as_hours,
        'hours such as "mon-fri 22:00-06:00, sat-sun 00:00-24:00", or always',
        "When, in this machine's local time.",
    ),
    "upload": Key(
        _or_none(_rate),
        _absent("unlimited", _as_rate),
        _RATE,
        "How fast arguments and results of others' jobs are sent.",
    ),
    "download": Key(
        _or_none(_rate),
        _absent("unlimited", _as_rate),
        _RATE,
        "How fast they are received.",
    ),
    "compute_for": Key(
        _among("members", "allowed"),
        _as_word,
        "members (of the grid) or allowed (those named by `slinger allow`)",
        "Whose work is computed.",
    ),
    "program_peers": Key(
        _flag,
        _as_flag,
        _FLAG,
        "Compute in the short-lived peers of programs as well.",
    ),
}


def key_named(word: str, also: tuple[str, ...] = ()) -> str:
    """Return a preference's name, however it is spelt.

    Args:
        word: What somebody has written.
        also: Other words that may have been meant.

    Raises:
        UsageError: there is none like it.
    """
    name = word.strip().lower().replace("-", "_")
    if name in KEYS:
        return name
    import difflib  # only for who has made a mistake

    near = difflib.get_close_matches(name, [*KEYS, *also], n=1)
    rest = f": did you mean {near[0]}?" if near else f"; there are {', '.join(KEYS)}"
    raise UsageError(f"{word} is no preference{rest}")


def read_value(where: str, name: str, value: object) -> object:
    """Read one value.

    Raises:
        UsageError: it is not what it may be; the text begins with `where`.
    """
    try:
        return KEYS[name].read(value)
    except (ValueError, OverflowError):
        shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
        raise UsageError(f"{where} is {shown}, not {KEYS[name].allowed}") from None


def read_preferences(
    found: Mapping[str, object], where: Callable[[str], str]
) -> Preferences:
    """Read all values of a file.

    Args:
        found: What is in it.
        where: Says where a key stands.

    Raises:
        UsageError: a key or a value is none that there is.
    """
    read: dict[str, object] = {}
    for word, value in found.items():
        try:
            name = key_named(word)
        except UsageError as error:
            raise UsageError(f"{where(word)}: {error}") from None
        read[name] = read_value(f"{where(word)}: {name}", name, value)
    return replace(DEFAULTS, **read)  # type: ignore[arg-type]  # rows and fields are tested


def in_words(wishes: Mapping[str, object]) -> str:
    """Return a file that says so, and nothing else.

    Raises:
        UsageError: a key or a value is none that there is.
    """
    lines = []
    for word, value in wishes.items():
        name = key_named(word)
        lines.append(f"{name} = {KEYS[name].write(read_value(name, name, value))}\n")
    return "".join(lines)


def written(preferences: Preferences, name: str) -> str:
    """Return a preference's value as it stands in a file."""
    return KEYS[name].write(getattr(preferences, name))
