"""`slinger tally`: who contributed how much."""

from __future__ import annotations

from collections.abc import Sequence

import click

from p2pslinger.cli.ask import ask
from p2pslinger.cli.commands import Command
from p2pslinger.cli.naming import of_name
from p2pslinger.cli.options import as_json, read_id, whole_ids
from p2pslinger.cli.render import Column, show_json, show_table
from p2pslinger.cli.words import of_id, percent
from p2pslinger.wire.control import GetTally, Tally
from p2pslinger.wire.facts import TallyFacts

COLUMNS = (
    Column("peer"),
    Column("name", wraps=True),
    Column("tasks", number=True),
    Column("failures", number=True),
    Column("checks", number=True),
    Column("CPU seconds", number=True),
    Column("share", number=True),
)


@click.command(cls=Command, epilog="slinger tally\nslinger tally k3mvb2a --json")
@click.argument("prefix", metavar="[JOB]", callback=read_id, required=False)
@as_json
@whole_ids
def tally(prefix: str | None, as_json: bool, whole: bool) -> None:
    """Show who contributed how much.

    To all jobs of this machine's peer, or to JOB: its id, or enough of its beginning.
    Checks are tasks that it computed as others had, with the same outcome. CPU seconds
    are what each volunteer says; the tally is no proof of work.
    """
    facts = ask(GetTally(prefix or ""), Tally).facts
    if as_json:
        show_json(facts)
    elif not facts:
        click.echo("nobody has computed anything for this machine yet")
    else:
        show_tally(facts, whole=whole)


def show_tally(facts: Sequence[TallyFacts], *, whole: bool = False) -> None:
    """Print contributions as a table."""
    show_table(COLUMNS, [row(one, whole=whole) for one in facts])


def row(one: TallyFacts, *, whole: bool) -> tuple[str, ...]:
    """Return a contributor's line of the table."""
    return (
        of_id(one.peer, whole=whole),
        of_name(one.name, one.petname),
        f"{one.tasks:,}",
        f"{one.failures:,}",
        f"{one.checks:,}",
        f"{one.cpu:,.2f}",
        percent(one.share),
    )
