"""`slinger rekey`: give the grid another authkey, machine by machine.

The next authkey never goes over the grid: whoever has the one before could read it
there. It is shown once, and typed or piped on the other machines. It is stored before
it is shown, in one step: a machine that dies in between has both, or the old one.
"""

from __future__ import annotations

import datetime
import math
import secrets
import time

import click

from p2pslinger import paths
from p2pslinger.cli.acquaintance import tell
from p2pslinger.cli.ask import ask as query
from p2pslinger.cli.commands import Command
from p2pslinger.cli.init import ask
from p2pslinger.cli.spans import read_span
from p2pslinger.cli.words import counted
from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.ids import short
from p2pslinger.peer.config import Config, load
from p2pslinger.store.keyfile import AUTHKEY, change_keyring
from p2pslinger.wire import authkey as authkeys
from p2pslinger.wire.authkey import SECRET_BYTES
from p2pslinger.wire.control import GetStatus, Status
from p2pslinger.wire.keyring import Keyring

#: How long the older authkey counts, unless it is said: a week, in which every machine
#: of a household or laboratory is on once.
OVERLAP = 7 * 86_400.0

#: How long it may count, at most: thirty years, which every calendar has.
LONGEST = 30 * 365.25 * 86_400.0

MADE = """\
The next authkey of grid {grid}, shown only now:

    {text}

{counts}
On every other machine, which asks for it:

    {command}

It is kept in {file}. Hand it on as you would a password, and not over this grid.
"""

JOINED = "This machine uses the authkey now. {counts}"

OVERLAPS = "The older one counts until {ends} as well, so that machines can follow."

AGAIN = """
The one before was still to be handed on, and is replaced by this one: machines that
have taken it need this one as well, or they will not find those that have not."""

EXPELS = """\
The older one counts no more here, from now on and for good. Until the other machines
have the next one, this machine is alone; whoever does not get it stays out."""


@click.command(
    cls=Command,
    epilog="slinger rekey\nslinger rekey --join\nslinger rekey --expel\n"
    "slinger rekey --end",
)
@click.option("--join", is_flag=True, help="Take the next authkey: asks for it.")
@click.option(
    "--overlap",
    callback=read_span,
    metavar="TIME",
    help="How long the older one counts, such as 12h, 3d or 2w; a week by default.",
)
@click.option("--until", metavar="WHEN", help="The same, as a date and time.")
@click.option("--expel", is_flag=True, help="The older one ends at once, for good.")
@click.option("--end", is_flag=True, help="End the older one now; make no other.")
def rekey(
    join: bool, overlap: float | None, until: str | None, expel: bool, end: bool
) -> None:
    """Give the grid another authkey.

    Makes the next one and shows it, with what to run on the other machines. For a while
    both count, so that machines can be moved one by one; `slinger status` says how many
    have. Jobs, tallies and peers' ids stay what they are. With --expel there is no such
    while: who is to go must not get in again.
    """
    _check(join=join, given=[overlap, until, expel or None], end=end)
    config = load()
    _refuse_elsewhere(config)
    if end:
        left = _left_behind()
        change_keyring(config.data, Keyring.alone)
        tell()
        click.echo(f"only the newest authkey counts on this machine now{left}")
        return
    ends = 0.0 if expel else _ends(overlap, until)
    if join:
        key = authkeys.read(ask("Authkey"))
        change_keyring(config.data, lambda held: _joined(held, key, ends))
        click.echo(JOINED.format(counts=_counts(ends)))
        tell()
    else:
        secret = secrets.token_bytes(SECRET_BYTES)
        made = change_keyring(config.data, lambda held: _followed(held, secret, ends))
        click.echo(_told(made, ends, config))  # before anything else can go wrong
        tell()


def _check(*, join: bool, given: list[object], end: bool) -> None:
    """See that the options go together."""
    if sum(one is not None for one in given) > 1:
        raise click.UsageError("--overlap, --until and --expel exclude each other")
    if end and (join or any(one is not None for one in given)):
        raise click.UsageError("--end goes with nothing else")


def _left_behind() -> str:
    """Return what becomes of neighbours that have not got the newest authkey."""
    try:
        facts = query(GetStatus(), Status).facts.rekeying
    except UnavailableError:
        return ""
    if facts is None or facts.newer >= facts.known:
        return ""
    lack = counted(facts.known - facts.newer, "neighbour")
    return (
        f"; {lack} without it can't connect until `slinger rekey --join` is run there"
    )


def _refuse_elsewhere(config: Config) -> None:
    """See that the authkey is in the data folder, where it can be changed.

    Raises:
        UsageError: it is elsewhere.
    """
    if config.authkey is not None:
        raise UsageError(
            "the environment (SLINGER_AUTHKEY) or the settings file "
            f"({paths.config_file()}) names this machine's authkey: put the next one "
            "there, made by `slinger rekey` on another machine, and start the peer anew"
        )


def _ends(overlap: float | None, until: str | None) -> float:
    """Return the wall time at which the older authkey ends.

    Raises:
        UsageError: it is no time, or past.
    """
    if until is None:
        ends = time.time() + (OVERLAP if overlap is None else overlap)
        return math.ceil(ends / 60) * 60.0  # so that it is the same where it is typed
    try:
        when = datetime.datetime.fromisoformat(until).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{until!r} is no time such as 2026-11-30T12:00Z"
        ) from None
    if when <= time.time():
        raise click.BadParameter(f"{until} is past: use --expel if that is meant")
    if when > time.time() + LONGEST:
        raise click.BadParameter(f"{until} is more than 30 years away")
    return when


def _joined(held: Keyring, key: authkeys.Authkey, ends: float) -> Keyring:
    if key == held.newest and (ends or not held.older):
        raise UsageError("this machine uses that authkey already")
    return held.join(key, ends) if ends else held.alone().join(key, 0.0).alone()


def _followed(held: Keyring, secret: bytes, ends: float) -> Keyring:
    kept = held.at(time.time()) if ends else held.alone()
    followed = kept.follow(secret, ends)
    return followed if ends else followed.alone()


def _told(made: Keyring, ends: float, config: Config) -> str:
    when = datetime.datetime.fromtimestamp(ends, datetime.UTC)
    how = f"--until {when:%Y-%m-%dT%H:%MZ}" if ends else "--expel"
    return MADE.format(
        grid=short(made.grid),
        text=made.newest.to_text(),
        counts=_counts(ends) + (AGAIN if len(made.older) > 1 else ""),
        command=f"slinger rekey --join {how}",
        file=config.data / AUTHKEY,
    )


def _counts(ends: float) -> str:
    if not ends:
        return EXPELS
    when = datetime.datetime.fromtimestamp(ends)
    return OVERLAPS.format(ends=f"{when:%Y-%m-%d %H:%M}")
