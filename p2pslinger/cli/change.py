"""`slinger pause`, `resume`, `priority`, `extend` and `forget`: a job's owner decides.

Owners are the machine that has submitted a job, and those that have used an owner's
ticket for it.
"""

from __future__ import annotations

import sys

import click

from p2pslinger.cli.ask import open_link, put
from p2pslinger.cli.commands import Command
from p2pslinger.cli.finding import find
from p2pslinger.cli.options import read_id
from p2pslinger.cli.spans import read_span
from p2pslinger.cli.words import duration, of_id
from p2pslinger.errors import UsageError
from p2pslinger.wire.control import Done
from p2pslinger.wire.owning import ChangeJob

the_job = click.argument("job", metavar="JOB", callback=read_id)


def _change(
    job: str, change: str, value: float | None, told: str, *, sure: bool = False
) -> None:
    """Have this machine's peer decide; say that it has.

    Raises:
        UsageError: there is no such job, or nothing can be decided for it here.
    """
    with open_link() as link:
        facts = find(link, job)
        if not facts.durable:
            raise UsageError(
                f"job {of_id(facts.job)} ends with the program that has submitted it: "
                f"`slinger {change}` is for jobs of `slinger submit` and grid.start"
            )
        if change == "forget" and not sure and not _is_sure(facts.job):
            click.echo("nothing was changed")
            return
        idle = {("pause", "paused"), ("resume", "open")}
        if facts.owner and (change, facts.state) in idle:
            told = "is paused already" if change == "pause" else "is not paused"
        else:
            put(link, ChangeJob(facts.job, change, value), Done)
    click.echo(f"job {of_id(facts.job)} {told}")


@click.command(cls=Command, epilog="slinger pause k3mvb2a")
@the_job
def pause(job: str) -> None:
    """Have nobody begin tasks of a job.

    JOB is its id, or enough of its beginning. What runs already runs to its end.
    """
    _change(job, "pause", None, "is paused")


@click.command(cls=Command, epilog="slinger resume k3mvb2a")
@the_job
def resume(job: str) -> None:
    """Let a paused job go on.

    JOB is its id, or enough of its beginning.
    """
    _change(job, "resume", None, "goes on")


@click.command(
    cls=Command,
    epilog="slinger priority k3mvb2a 10\nslinger priority k3mvb2a -10",
    context_settings={"ignore_unknown_options": True},  # numbers below zero
)
@the_job
@click.argument("number", type=click.IntRange(-100, 100))
def priority(job: str, number: int) -> None:
    """Put a job before or behind others of this machine.

    JOB is its id, or enough of its beginning. A new job has priority 0; a higher
    NUMBER comes first.
    """
    _change(job, "priority", number, f"has priority {number} now")


@click.command(cls=Command, epilog="slinger extend k3mvb2a 2w")
@the_job
@click.argument("time", callback=read_span)
def extend(job: str, time: float) -> None:
    """Keep a job, results included, for so long from now.

    JOB is its id, or enough of its beginning. TIME is such as 12h, 3d or 2w.
    """
    _change(job, "extend", time, f"is kept for {duration(time)} from now")


@click.command(cls=Command, epilog="slinger forget k3mvb2a")
@the_job
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(job: str, yes: bool) -> None:
    """Drop a job everywhere, results included.

    JOB is its id, or enough of its beginning. On a terminal it asks first; this can't
    be undone.
    """
    _change(job, "forget", None, "is forgotten", sure=yes)


def _is_sure(job: str) -> bool:
    question = f"Drop job {of_id(job)} and its results, on all machines?"
    return not sys.stdin.isatty() or click.confirm(question, err=True)
