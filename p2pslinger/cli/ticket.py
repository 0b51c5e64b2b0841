"""`slinger ticket`: hand a job on to another machine of the grid, or take one up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pslinger.cli.commands import Command
from p2pslinger.cli.options import read_id
from p2pslinger.cli.words import of_id, printable

if TYPE_CHECKING:
    from p2pslinger.wire.owning import Ticket

EPILOG = (
    "slinger ticket k3mvb2a\n"
    "slinger ticket k3mvb2a --owner --out sums.ticket\n"
    "slinger ticket --use sums.ticket"
)

WARNING = (
    "Warning: whoever has this ticket may cancel, extend and forget the job: hand it "
    "on as you would a password"
)


@click.command(cls=Command, epilog=EPILOG)
@click.argument("prefix", metavar="[JOB]", callback=read_id, required=False)
@click.option("--owner", is_flag=True, help="With the right to decide for the job.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it into a new file that only you can read.",
)
@click.option("--use", metavar="FILE", help='Take up a job by its ticket; "-": stdin.')
def ticket(prefix: str | None, owner: bool, out: Path | None, use: str | None) -> None:
    """Make a ticket for a job, or use one.

    JOB is the job's id, or enough of its beginning. With its ticket any machine of
    the grid finds the job; with an owner's ticket it can also pause, cancel, extend
    and forget it, and accept its results.
    """
    if (prefix is None) == (use is None):
        raise click.UsageError("name a job to make a ticket, or a FILE to --use one")
    if use is not None:
        if owner or out is not None:
            raise click.UsageError("--use goes with neither --owner nor --out")
        _use(use)
    else:
        _make(prefix or "", owner=owner, out=out)


def _make(job: str, *, owner: bool, out: Path | None) -> None:
    from p2pslinger.cli.ask import ask
    from p2pslinger.client.tickets import save_ticket
    from p2pslinger.wire.owning import GetTicket, Ticket
    from p2pslinger.wire.ticket import ticket_text

    if out is not None and out.exists():
        raise click.UsageError(f"{out} exists: choose another name")
    made = ask(GetTicket(job, owner), Ticket)
    if out is None:
        click.echo(ticket_text(made))
    else:
        save_ticket(out, made)
        click.echo(f"the ticket is in {out}")
    if owner:
        click.echo(WARNING, err=True)


def _use(place: str) -> None:
    from p2pslinger.cli.ask import open_link, put
    from p2pslinger.cli.finding import FINDING
    from p2pslinger.wire.control import Attached

    ticket = _read(place)
    with open_link() as link:
        facts = put(link, ticket, Attached, FINDING).facts
    name = printable(facts.name)
    click.echo(f"found job {of_id(facts.job, whole=True)} ({name}), {facts.state}")
    if ticket.key:
        click.echo("this machine may decide for it now")


def _read(place: str) -> Ticket:
    """Read a ticket; a wrong one was typed wrongly."""
    from p2pslinger.client.tickets import load_ticket
    from p2pslinger.errors import UsageError
    from p2pslinger.wire.ticket import read_ticket

    try:
        return read_ticket(sys.stdin.read(4096)) if place == "-" else load_ticket(place)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
