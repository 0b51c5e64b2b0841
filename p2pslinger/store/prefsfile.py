"""prefs.toml: the owner's preferences, in a file that may be edited.

A command changes the one line that it is about; the rest, with all comments, stays as
it is. The first one finds no file and leaves one in which every preference is
explained, none set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from p2pslinger.errors import UsageError
from p2pslinger.paths import read_settings
from p2pslinger.rules.preferences import DEFAULTS, Preferences
from p2pslinger.rules.prefkeys import KEYS, read_preferences, written
from p2pslinger.store.rewriting import alone, replace_text

#: The file's name, beside the settings file.
NAME = "prefs.toml"

_HEAD = """\
# What other members of the grid may have of this machine. Your own work is never held
# back by this. Take away the "#" before a preference to set it, or use `slinger prefs`;
# a running peer notices within two seconds.
"""


def load(file: Path) -> Preferences:
    """Return what the file says; one that does not exist has the defaults.

    Raises:
        UsageError: it is no TOML, or says something that can't be; the text says what.
    """
    found = read_settings(file)
    return read_preferences(found, _places(file) if found else str)


def change(file: Path, name: str, value: str) -> Preferences:
    """Set one preference, or take it back; return what holds now.

    Args:
        file: Where.
        name: Of the preference: one of `KEYS`.
        value: As it stands in a file; "" takes it back.

    Raises:
        UsageError: the file can't be understood, or changed line by line.
        DiskError: it can't be written.
    """
    import tomllib  # a peer only reads, and mostly there is no file

    with alone(file):
        read_settings(file)  # what is no TOML is the owner's to mend
        lines = _lines(file) or skeleton().splitlines()
        line = f"{name} = {value}" if value else ""
        text = "\n".join(_with_line(lines, name, line)) + "\n"
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            found = {}
        right = name in found if line else name not in found
        if not right:
            raise UsageError(f"{file} can't be changed line by line: set {line} there")
        read_preferences(found, _places(file))  # and so are other lines
        replace_text(file, text)
    return load(file)


def skeleton() -> str:
    """Return a file in which every preference is explained, none set."""
    import textwrap  # only for who writes a file

    parts = [_HEAD]
    for name, key in KEYS.items():
        about = f"{key.about} {key.allowed[0].upper()}{key.allowed[1:]}."
        explained = textwrap.fill(
            about, 86, initial_indent="# ", subsequent_indent="# "
        )
        parts.append(f"{explained}\n# {name} = {written(DEFAULTS, name)}\n")
    return "\n".join(parts)


def _places(file: Path) -> Callable[[str], str]:
    """Return what names the line of a file that sets a key."""
    lines = _lines(file)

    def where(key: str) -> str:
        line = next((n for n, text in enumerate(lines, 1) if _sets(text, key)), 1)
        return f"{file}, line {line}"

    return where


def _with_line(lines: list[str], name: str, line: str) -> list[str]:
    """Put a line in the place of the one that sets a key, or where it belongs."""
    for at, text in enumerate(lines):
        if _sets(text, name):
            kept = lines[:at] + ([line + _comment(text)] if line else [])
            return kept + lines[at + 1 :]
    if not line:
        return lines
    for at, text in enumerate(lines):
        if re.match(rf"#\s*{name}\s*=", text):
            return [*lines[: at + 1], line, *lines[at + 1 :]]
    return [*lines, line]


def _comment(text: str) -> str:
    """Return what stands behind a value as a comment, if that is clear."""
    found = re.fullmatch(r"""[^=]*=\s*(?:"[^"]*"|[^"'#]*?)(\s*#.*)""", text)
    return found[1] if found else ""


def _sets(text: str, key: str) -> bool:
    spelt = "[_-]".join(map(re.escape, re.split("[_-]", key)))
    return bool(re.match(rf"""\s*["']?{spelt}["']?\s*=""", text, re.IGNORECASE))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
