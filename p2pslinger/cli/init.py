"""`slinger init`: make a grid on this machine, or make this machine join one.

The authkey is shown once, when it is made. It comes in through a hidden prompt or
stdin, never as an argument: arguments are visible to every user of the machine.
"""

from __future__ import annotations

import secrets
import socket
import sys

import click

from p2pslinger import limits, paths
from p2pslinger.cli.commands import Command
from p2pslinger.cli.skeleton import write_skeleton
from p2pslinger.errors import AuthkeyError, UsageError
from p2pslinger.ids import short
from p2pslinger.peer.config import Config, load
from p2pslinger.store.keyfile import AUTHKEY, load_authkey, save_authkey
from p2pslinger.wire import authkey as authkeys
from p2pslinger.wire.authkey import Authkey

MADE = """\
This machine is the first of the new grid {grid}. The grid's authkey, shown only now:

    {text}

Whoever has it is a member of the grid: hand it on as you would a password. It is kept
in {file}. On every other machine:

    slinger init --join                  # asks for the authkey
    slinger up --bootstrap {host}
"""

STRETCHED = """\
This machine is in the grid {grid} of that name and passphrase. On every other machine,
with the same name and passphrase:

    slinger init --passphrase
    slinger up --bootstrap {host}

Whoever can see the grid's network traffic can try to guess a passphrase at leisure. If
that worries you, `slinger init --force` makes an authkey that nobody guesses.
"""

JOINED = "This machine is in the grid {grid} now. Its authkey is kept in {file}.\n"


@click.command(
    cls=Command,
    epilog="slinger init\nslinger init --join\nslinger init --join < authkey.txt",
)
@click.option("--join", is_flag=True, help="Join a grid: asks for its authkey.")
@click.option(
    "--passphrase",
    is_flag=True,
    help="Make the authkey from a grid name and a passphrase: asks for both.",
)
@click.option(
    "--force", is_flag=True, help="Leave the grid that this machine is in already."
)
def init(join: bool, passphrase: bool, force: bool) -> None:
    """Make a grid, or join one, on this machine.

    Stores the authkey in the data folder, and a settings file with every setting
    explained. A settings file that exists is kept; with --force it is set aside.
    """
    if join and passphrase:
        raise click.UsageError("--join and --passphrase exclude each other")
    config = load()
    _refuse_to_overwrite(config, force=force)
    if join:
        key, told = authkeys.read(ask("Authkey")), JOINED
    elif passphrase:
        key, told = _stretch(), STRETCHED
    else:
        key, told = authkeys.from_random(secrets.token_bytes(40)), MADE
    save_authkey(config.data, key, replace=force)
    settings = write_skeleton(paths.config_file(), replace=force)
    file = config.data / AUTHKEY
    text = key.to_text() if told is MADE else ""
    click.echo(
        told.format(grid=short(key.grid), file=file, host=_here(config), text=text)
    )
    click.echo(settings)
    if paths.control_path(config.data).is_socket():
        click.echo(
            "The peer that runs here stays what it was until it is started anew:"
        )
        click.echo("\n    slinger down")
    else:
        click.echo("Start this machine's peer with:\n")
    click.echo("    slinger up")


def _here(config: Config) -> str:
    """Return where others find this machine's peer, for `--bootstrap`."""
    host = socket.gethostname()
    return host if config.port in {0, limits.PORT} else f"{host}:{config.port}"


def _refuse_to_overwrite(config: Config, *, force: bool) -> None:
    """Make sure that a new authkey would count, and that no other is lost.

    Raises:
        UsageError: it would not, or another would be.
        DiskError: the authkey that is there can't be read.
    """
    if config.authkey is not None:
        raise UsageError(
            "the environment (SLINGER_AUTHKEY) or the settings file "
            f"({paths.config_file()}) names an authkey, which counts more than one "
            "that `slinger init` would make: remove it there first"
        )
    held = load_authkey(config.data)
    if held is not None and not force:
        raise UsageError(
            f"this machine is in the grid {short(held.grid)} already (its authkey is "
            f"in {config.data / AUTHKEY}): `slinger init --force` leaves that grid"
        )


def _stretch() -> Authkey:
    """Ask for a grid's name and passphrase; return the authkey that they make."""
    name = ask("Name of the grid", hidden=False)
    passphrase = ask("Passphrase")
    if ask("Passphrase again") != passphrase:
        raise AuthkeyError("the two passphrases differ: nothing was changed")
    return authkeys.from_passphrase(name, passphrase)


def ask(what: str, *, hidden: bool = True) -> str:
    """Ask on the terminal, or read a line of stdin if that is something else."""
    if sys.stdin.isatty():
        said: str = click.prompt(what, hide_input=hidden, err=True)
        return said.strip()
    line = sys.stdin.readline()
    if not line.strip():
        raise AuthkeyError(f"stdin ended where a line was expected: {what.lower()}")
    return line.strip()
