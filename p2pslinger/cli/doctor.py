"""`slinger doctor`: what can be wrong, one line each, with what to do about it.

A running peer examines itself; what can be seen from outside is examined here, so that
the command is of use when no peer runs, which is when it is needed most.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from p2pslinger import paths
from p2pslinger.cli import checks
from p2pslinger.cli.ask import PATIENCE, put
from p2pslinger.cli.commands import Command
from p2pslinger.cli.options import as_json
from p2pslinger.cli.render import show_json
from p2pslinger.cli.words import counted, printable
from p2pslinger.client.link import Link
from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.peer.config import Config, load
from p2pslinger.wire.control import Checks, GetChecks
from p2pslinger.wire.ownfacts import CheckFacts


@click.command(cls=Command, epilog="slinger doctor\nslinger doctor --json")
@as_json
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Examine what can be wrong, one line each.

    Ports, whether others can dial this machine, clock, authkey, neighbours, discovery,
    slots, disk and settings. The exit code is 1 if there is a problem.
    """
    facts = tuple(examine())
    problems = sum(not fact.ok for fact in facts)
    if as_json:
        show_json(facts)
    else:
        width = max(len(fact.name) for fact in facts)
        for fact in facts:
            show_check(fact, width)
        click.echo(counted(problems, "problem") if problems else "nothing is wrong")
    context.exit(1 if problems else 0)


def examine() -> Iterator[CheckFacts]:
    """Yield every check's outcome."""
    yield checks.python()
    try:
        config = load()
    except UsageError as error:
        yield checks.problem("settings", str(error))
        return  # where the rest lies is in the settings
    yield checks.settings(paths.config_file())
    yield checks.authkey(config)
    yield checks.data_folder(config.data)
    yield checks.disk(config.data)
    yield from _of_peer(config)


def _of_peer(config: Config) -> Iterator[CheckFacts]:
    """Ask the peer what it finds, or say that none runs."""
    try:
        with Link.open(paths.control_path(config.data), PATIENCE) as link:
            found = put(link, GetChecks(), Checks).facts
    except UnavailableError as error:
        yield checks.problem("peer", str(error))
        yield checks.port(config.port, fixed=config.port_fixed)
    else:
        yield CheckFacts("peer", ok=True, text="is running and answers", advice="")
        yield from found


def show_check(fact: CheckFacts, width: int) -> None:
    """Print one line: ok or problem, what, and what to do."""
    mark = click.style("ok     ", fg="green")
    if not fact.ok:
        mark = click.style("problem", fg="red", bold=True)
    advice = f" -> {fact.advice}" if fact.advice else ""
    text = printable(f"{fact.name.ljust(width)}  {fact.text}{advice}")
    click.echo(f"{mark}  {text}")
