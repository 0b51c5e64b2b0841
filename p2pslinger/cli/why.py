"""`slinger why`: why this machine's peer does not compute, or a job or a task waits."""

from __future__ import annotations

import click

from p2pslinger.cli.ask import open_link, put
from p2pslinger.cli.commands import Command
from p2pslinger.cli.finding import find
from p2pslinger.cli.options import as_json, read_id, whole_ids
from p2pslinger.cli.render import show_json, show_reason
from p2pslinger.cli.words import counted, of_id, printable, when
from p2pslinger.wire.control import GetWhy, Why
from p2pslinger.wire.facts import WhyFacts


def read_place(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, int | None]:
    """Read "JOB" or "JOB/TASK".

    Raises:
        BadParameter: it is neither.
    """
    if value is None:
        return "", None
    job, slash, task = value.partition("/")
    if slash and not (task.isascii() and task.isdigit() and len(task) <= 12):
        raise click.BadParameter(f"{task!r} is no task's number: write JOB/0")
    return read_id(context, parameter, job) or "", int(task) if slash else None


@click.command(
    cls=Command, epilog="slinger why\nslinger why k3mvb2a\nslinger why k3mvb2a/7"
)
@click.argument("place", metavar="[JOB[/TASK]]", required=False, callback=read_place)
@as_json
@whole_ids
def why(place: tuple[str, int | None], as_json: bool, whole: bool) -> None:
    """Say why this peer does not compute, or a job or a task waits.

    Without an argument it is about the peer. JOB is a job's id, or enough of its
    beginning, and TASK the number of a task, from 0.
    """
    job, task = place
    with open_link() as link:
        if job:
            job = find(link, job).job
        facts = put(link, GetWhy(job, task), Why).facts
    if as_json:
        show_json(facts)
    else:
        show_why(facts, whole=whole)


def show_why(facts: WhyFacts, *, whole: bool = False) -> None:
    """Print it for a person."""
    click.echo(printable(_state(facts, whole=whole)))
    if facts.reason is not None:
        show_reason(facts.reason)


def _state(facts: WhyFacts, *, whole: bool) -> str:
    """Return what it is doing, as a sentence."""
    if not facts.job:
        slots = f"computes, in {counted(facts.running, 'slot')}"
        return (
            f"this peer {slots if facts.state == 'computing' else 'does not compute'}"
        )
    job = f"job {of_id(facts.job, whole=whole)}"
    if facts.task is None:
        return {
            "waiting": f"{job} does not run",
            "computing": f"{job} runs, {_now(facts)}",
        }.get(facts.state, f"{job} is {facts.state}")
    task = f"task {facts.task:,} of {job}"
    if facts.state == "running":
        who = facts.name or of_id(facts.peer, whole=whole)
        since = f", which has had it since {when(facts.since)}" if facts.since else ""
        return f"{task} is being computed by {who}{since}"
    return f"{task} {'waits' if facts.state == 'waiting' else f'is {facts.state}'}"


def _now(facts: WhyFacts) -> str:
    """Return how many tasks of a job are computed now, and how many stand still."""
    now = f"{counted(facts.running - facts.still, 'task')} of it now"
    if not facts.still:
        return now
    stand = "stands" if facts.still == 1 else "stand"
    return f"{now}; {facts.still:,} more {stand} still, as their machines' owners wish"
