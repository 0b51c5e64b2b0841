"""Preferences in words: what each is called, and what it may be.

`p2pslinger.rules.notation` reads and writes the values; here is which of them is what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from p2pslinger.errors import UsageError
from p2pslinger.rules import notation
from p2pslinger.rules.preferences import DEFAULTS, Preferences

#: Most slots that anybody would name: more than the largest machine has cores.
CORES = 4096


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


def _cores(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    number = int(value)
    if not 1 <= number <= CORES:
        raise ValueError(value)
    return number


_FLAG = "true or false"
_SHARE = "a part such as 25%, more than 0 and at most 100%"
_RATE = "bytes a second such as 500KB/s, at least 50KB/s, or unlimited"

#: Every preference, by the name of its field in `Preferences`.
KEYS: dict[str, Key] = {
    "enabled": Key(
        notation.flag, notation.as_flag, _FLAG, "Compute for other members at all."
    ),
    "paused_until": Key(
        notation.moment,
        notation.as_moment,
        "a time such as 2027-01-31T18:00:00, or resumed, or never",
        "Not before this time; `slinger prefs pause 2h` sets it.",
    ),
    "when_idle": Key(
        notation.flag,
        notation.as_flag,
        _FLAG,
        "Only while nobody uses keyboard or mouse.",
    ),
    "idle_after": Key(
        notation.span,
        notation.as_span,
        "a time span such as 5min, at most 7d",
        "So long after the last key or mouse, nobody does.",
    ),
    "on_battery": Key(notation.flag, notation.as_flag, _FLAG, "On battery, too."),
    "foreign_load": Key(
        notation.or_none(notation.share),
        notation.absent("off", notation.as_share),
        f"{_SHARE}, or off",
        "Stop while other programs use more of all processors than this.",
    ),
    "cores": Key(
        notation.or_none(_cores, "auto", "all"),
        notation.absent("auto", str),
        f"a whole number from 1 to {CORES}, or auto for all of the peer's slots",
        "Slots that compute for others at once.",
    ),
    "core_share": Key(
        notation.share,
        notation.as_share,
        _SHARE,
        "How much of a core each of them may use.",
    ),
    "memory": Key(
        notation.share,
        notation.as_share,
        _SHARE,
        "How much of the machine's memory all of them may use.",
    ),
    "disk": Key(
        notation.size,
        notation.as_size,
        "a size such as 2GB, or 0",
        "How much of others' jobs is kept on disk.",
    ),
    "hours": Key(
        notation.hours,
        notation.as_hours,
        'hours such as "mon-fri 22:00-06:00, sat-sun 00:00-24:00", or always',
        "When, in this machine's local time.",
    ),
    "upload": Key(
        notation.or_none(notation.rate),
        notation.absent("unlimited", notation.as_rate),
        _RATE,
        "How fast arguments and results of others' jobs are sent.",
    ),
    "download": Key(
        notation.or_none(notation.rate),
        notation.absent("unlimited", notation.as_rate),
        _RATE,
        "How fast they are received.",
    ),
    "compute_for": Key(
        notation.among("members", "allowed"),
        notation.as_word,
        "members (of the grid) or allowed (those named by `slinger allow`)",
        "Whose work is computed.",
    ),
    "program_peers": Key(
        notation.flag,
        notation.as_flag,
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
