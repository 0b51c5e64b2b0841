"""people.toml: what the owner has said of other peers, in a file that may be edited.

    [petnames]
    k3mvb2a-... = "grandma"
    [allow]
    k3mvb2a-... = 2026-11-23

Sections allow, deny and banned say since when. The file is private (mode 0600): whom
somebody bans is nobody else's business. It is replaced in one step, under a lock, so
that two commands at once lose nothing and a reader never sees half of it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId, from_text, to_text
from p2pslinger.paths import read_settings
from p2pslinger.rules.members import PEOPLE, People, checked_name
from p2pslinger.store.rewriting import alone, replace_text

#: The file's name, beside the settings file.
NAME = "people.toml"

#: Sections, and the field of `People` that each fills.
SECTIONS = {
    "petnames": "petnames",
    "allow": "allowed",
    "deny": "denied",
    "banned": "banned",
}

#: What a file says that nobody has written a date into.
SOME_DAY = "?"

_HEAD = """\
# What this machine's owner has said of other peers: see `slinger people`. Written by
# `slinger name`, `allow`, `deny` and `ban`; it may be edited, and is read anew at once.
"""


def load(file: Path) -> People:
    """Return what the file says; one that does not exist says nothing.

    Raises:
        UsageError: it is no TOML, or says something else; the text says what.
    """
    found = read_settings(file)
    unknown = next((key for key in found if key not in SECTIONS), None)
    if unknown is not None:
        there = ", ".join(SECTIONS)
        raise UsageError(f"{file}: {unknown!r} is no section; there are {there}")
    read = {
        field: _section(file, key, found.get(key)) for key, field in SECTIONS.items()
    }
    names = [name.casefold() for name in read["petnames"].values()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{file} [petnames]: {twice!r} is two peers: rename one")
    return People(**read)


def change(file: Path, by: Callable[[People], People]) -> tuple[People, People]:
    """Change what the file says; return what it said before, and what it says now.

    Raises:
        UsageError: the file can't be understood, or `by` refuses.
        DiskError: it can't be written.
    """
    with alone(file):
        before = load(file)
        after = by(before)
        if after != before:
            replace_text(file, _text(after))
    return before, after


def _section(file: Path, key: str, found: object) -> dict[PeerId, str]:
    where = f"{file} [{key}]"
    if found is None:
        return {}
    if not isinstance(found, dict) or len(found) > PEOPLE:
        raise UsageError(f"{where} is no section of at most {PEOPLE:,} peers")
    return {_peer(where, text): _said(where, key, said) for text, said in found.items()}


def _peer(where: str, text: str) -> PeerId:
    try:
        return PeerId(from_text(text))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _said(where: str, key: str, said: object) -> str:
    if key == "petnames":
        if not isinstance(said, str):
            raise UsageError(f'{where}: {said!r:.80} is no petname such as "grandma"')
        try:
            return checked_name(said)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
    return said.isoformat() if isinstance(said, datetime.date) else SOME_DAY


def _text(people: People) -> str:
    parts = [_HEAD]
    listed: Mapping[PeerId, str]
    for key, field in SECTIONS.items():
        listed = getattr(people, field)
        if listed:
            lines = [
                f"{to_text(peer)} = {_value(key, listed[peer])}" for peer in listed
            ]
            parts.append("\n".join((f"[{key}]", *lines, "")))
    return "\n".join(parts)


def _value(key: str, said: str) -> str:
    if key != "petnames":
        return "true" if said == SOME_DAY else said
    quoted = said.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
