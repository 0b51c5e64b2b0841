"""`slinger prefs`: what others may have of this machine, shown and set.

It is written to a file, whether or not a peer runs; a running one is asked what follows
from it, and reads it anew for that.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from p2pslinger import paths
from p2pslinger.cli.ask import ask
from p2pslinger.cli.commands import Command
from p2pslinger.cli.options import as_json
from p2pslinger.cli.render import Column, show_json, show_reason, show_table
from p2pslinger.cli.spans import read_span
from p2pslinger.cli.words import counted, percent, printable, when
from p2pslinger.errors import UnavailableError
from p2pslinger.rules.preferences import DEFAULTS, UNTIL_RESUMED, Preferences
from p2pslinger.rules.prefkeys import KEYS, key_named, read_value, written
from p2pslinger.store.prefsfile import NAME, change, load
from p2pslinger.wire.ownfacts import PermitFacts
from p2pslinger.wire.permitting import GetPermit, Permitted

EPILOG = (
    "slinger prefs\n"
    'slinger prefs hours "mon-fri 22:00-06:00, sat-sun 00:00-24:00"\n'
    "slinger prefs cores 2\n"
    "slinger prefs pause 2h\n"
    "slinger prefs resume"
)

#: Words that stand where a preference's name may.
COMMANDS = ("pause", "resume")

COLUMNS = (
    Column("preference"),
    Column("value", wraps=True),
    Column("default"),
    Column("about", wraps=True),
)


class PrefsFacts(msgspec.Struct, frozen=True):
    """What `slinger prefs --json` prints.

    Attributes:
        file: Where they are written down.
        values: Each preference, as it stands in such a file.
        now: What follows from them, or None if no peer runs.
    """

    file: str
    values: dict[str, str]
    now: PermitFacts | None


@click.command(cls=Command, epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="[KEY [VALUE] | pause [TIME] | resume]")
@click.option("--reset", metavar="KEY", help="Take a preference back: its default.")
@as_json
def prefs(words: tuple[str, ...], reset: str | None, as_json: bool) -> None:
    """Show or set what others may have of this machine.

    Preferences govern the work of other members; your own is never held back. Without
    arguments all are shown, and what applies now. KEY shows one, KEY VALUE sets it.
    `pause` gives others nothing for a TIME such as 2h, or until `resume`.

    They are kept in prefs.toml beside the settings file, which may be edited. A running
    peer follows within two seconds.
    """
    file, changed = paths.config_folder() / NAME, ""
    given = words[1:] if words[:1] == ("set",) else words
    if reset is not None:
        _expect(given, 0)
        changed = key_named(reset)
        change(file, changed, "")
    elif given[:1] in {("pause",), ("resume",)}:
        _expect(given, 2 if given[0] == "pause" else 1)
        changed = "paused_until"
        change(file, changed, _end_of_pause(given))
    elif len(given) > 1:
        _expect(given, 2)
        changed = key_named(given[0], COMMANDS)
        value = read_value(changed, changed, given[1])
        change(file, changed, KEYS[changed].write(value))
    elif given:
        _show_one(load(file), key_named(given[0], COMMANDS), as_json=as_json)
        return
    _show(file, load(file), changed, as_json=as_json)


def _expect(words: tuple[str, ...], most: int) -> None:
    if len(words) > most:
        more = " ".join(words[most:])
        raise click.UsageError(
            f"{more!r} is too much: a VALUE with blanks needs quotes"
        )


def _end_of_pause(words: tuple[str, ...]) -> str:
    """Return what is to be written of a pause's end; nothing, if it is over."""
    write = KEYS["paused_until"].write
    if words[0] == "resume":
        return ""
    if len(words) == 1:
        return write(UNTIL_RESUMED)
    context = click.get_current_context()
    span = read_span(context, context.command.params[0], words[1])
    assert span is not None
    return write(time.time() + span)


def _show_one(preferences: Preferences, name: str, *, as_json: bool) -> None:
    key, value = KEYS[name], written(preferences, name)
    if as_json:
        file = str(paths.config_folder() / NAME)
        show_json(PrefsFacts(file, {name: value.strip('"')}, None))
        return
    click.echo(f"{name} = {value}")
    click.echo(f"{key.about} It may be {key.allowed}.")


def _show(file: Path, preferences: Preferences, changed: str, *, as_json: bool) -> None:
    """Print what holds, or only what was changed, and what follows from it."""
    try:
        now = ask(GetPermit(), Permitted).facts
    except UnavailableError:
        now = None
    if as_json:
        values = {name: written(preferences, name).strip('"') for name in KEYS}
        show_json(PrefsFacts(str(file), values, now))
        return
    if changed:
        click.echo(f"{changed} = {_row(preferences, changed)[1]}")
    else:
        show_table(COLUMNS, [_row(preferences, name) for name in KEYS])
    click.echo()
    for line in [f"file:    {file}", *_told(now)]:
        click.echo(printable(line))
    if now is not None and now.reason is not None:
        show_reason(now.reason)


def _row(preferences: Preferences, name: str) -> tuple[str, ...]:
    value, usual = written(preferences, name), written(DEFAULTS, name)
    if name == "paused_until" and 0 < preferences.paused_until < UNTIL_RESUMED:
        value = when(preferences.paused_until)
    shown = "" if value == usual else usual.strip('"')
    return name, value.strip('"'), shown, KEYS[name].about


def _told(now: PermitFacts | None) -> list[str]:
    """Return what follows from them, line by line."""
    if now is None:
        return ["now:     no peer runs on this machine"]
    if not now.governed:
        return ["now:     preferences do not apply to a throw-away local grid"]
    if now.reason is not None:
        return [f"now:     nothing for others, since {when(now.since)}", *_seen(now)]
    slots = counted(now.slots, "slot")
    each = "" if now.share == 1 else f", {percent(now.share)} of a core each"
    memory = f"{percent(now.memory)} of the memory"
    return [f"now:     up to {slots} for others{each}, {memory}", *_seen(now)]


def _seen(now: PermitFacts) -> list[str]:
    """Return what the sensors say, as far as they were asked."""
    seen = []
    if now.on_battery is not None:
        seen.append("on battery" if now.on_battery else "on mains")
    if now.idle is not None:
        seen.append(f"last used {now.idle:.0f} s ago (says {now.sources['input']})")
    elif "nothing" in now.sources.get("input", ""):
        seen.append(f"when it was last used, says {now.sources['input']}")
    if now.load is not None:
        most = f", most of it {now.program}" if now.program else ""
        seen.append(f"other programs use {percent(now.load)} of the processor{most}")
    return [f"seen:    {'; '.join(seen)}"] if seen else []
