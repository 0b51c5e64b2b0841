"""`slinger status`: this machine's peer at a glance."""

from __future__ import annotations

import click

from p2pslinger.cli.ask import ask
from p2pslinger.cli.commands import Command
from p2pslinger.cli.options import as_json, whole_ids
from p2pslinger.cli.render import show_json, show_pairs, show_reason
from p2pslinger.cli.words import (
    amount,
    counted,
    duration,
    how_far,
    of_id,
    printable,
    when,
)
from p2pslinger.wire.control import GetStatus, Status
from p2pslinger.wire.ownfacts import KeepingFacts, ReachFacts, RekeyFacts, StatusFacts


@click.command(cls=Command, epilog="slinger status\nslinger status --json")
@as_json
@whole_ids
def status(as_json: bool, whole: bool) -> None:
    """Show what this machine's peer is doing, and why not more."""
    facts = ask(GetStatus(), Status).facts
    if as_json:
        show_json(facts)
    else:
        show_status(facts, whole=whole)


def show_status(facts: StatusFacts, *, whole: bool = False) -> None:
    """Print a peer's state for a person."""
    show_pairs(
        [
            ("peer", f"{of_id(facts.peer, whole=whole)} ({facts.name})"),
            ("grid", of_id(facts.grid, whole=whole) or "none: this machine alone"),
            ("address", facts.address or "nowhere: for this machine's programs only"),
            ("reachable", reachable(facts.reach)),
            ("running", f"for {duration(facts.uptime)}, slinger {facts.software}"),
            ("neighbours", f"{facts.neighbours:,}"),
            *rekeying(facts.rekeying),
            ("slots", f"{facts.slots:,}, {facts.busy:,} of them busy"),
            ("sandbox", printable(facts.sandbox.text) if facts.sandbox else "unknown"),
            ("computed", counted(facts.computed, "task")),
            ("jobs", f"{facts.jobs:,} open here, {facts.heard:,} of others heard of"),
            *keeping(facts.keeping),
            ("dropped", dropped(facts)),
        ]
    )
    if facts.idle_because is not None:
        click.echo()
        show_reason(facts.idle_because)
    if facts.reach is not None and facts.reach.advice:
        click.echo(f"note: {printable(facts.reach.advice)}")
    for note in facts.notes:
        click.echo(f"note: {printable(note)}")


def rekeying(facts: RekeyFacts | None) -> list[tuple[str, str]]:
    """Return how far the neighbours have gone over to another authkey, if they are."""
    if facts is None:
        return []
    return [("rekeying", how_far(facts.newer, facts.known, when(facts.ends)))]


def keeping(facts: KeepingFacts | None) -> list[tuple[str, str]]:
    """Return what the peer keeps for others, of what it may."""
    if facts is None:
        return []
    jobs = counted(facts.jobs, "job")
    text = f"{jobs} for others, {amount(facts.bytes)} of {amount(facts.quota)}"
    if facts.willing:
        return [("keeping", text)]
    going = f"{jobs} of others until other peers have taken them over"
    return [("keeping", going if facts.jobs else "nothing for others: keep = false")]


def reachable(reach: ReachFacts | None) -> str:
    """Return whether others can dial the peer, for how long, and how that is known."""
    if reach is None:
        return "unknown"
    yes = {"reachable": "yes", "unreachable": "no"}.get(reach.state, "unknown")
    return f"{yes}, for {duration(reach.since)}: {printable(reach.text)}"


def dropped(facts: StatusFacts) -> str:
    """Return how many packets and frames were dropped, and for what."""
    causes = [(count, cause) for cause, count in facts.dropped.items() if count]
    if not causes:
        return "nothing"
    return ", ".join(f"{count:,} {cause}" for count, cause in sorted(causes)[::-1])
