"""`slinger jobs`, `job` and `cancel`: what was submitted to this machine's peer."""

from __future__ import annotations

import click

from p2pslinger.cli.ask import ask, open_link, put
from p2pslinger.cli.checked import advice_on, said_of
from p2pslinger.cli.commands import Command
from p2pslinger.cli.finding import find
from p2pslinger.cli.keepers import kept_of, show_keepers, there
from p2pslinger.cli.options import as_json, read_id, whole_ids
from p2pslinger.cli.render import Column, show_json, show_pairs, show_reason, show_table
from p2pslinger.cli.tally import show_tally
from p2pslinger.cli.words import duration, of_id, percent, when
from p2pslinger.wire.control import CancelJob, Done, GetJobs, Jobs
from p2pslinger.wire.facts import JobFacts, TaskFacts
from p2pslinger.wire.owning import ChangeJob

COLUMNS = (
    Column("job"),
    Column("name", wraps=True),
    Column("state"),
    Column("tasks", number=True),
    Column("computed", number=True),
    Column("running", number=True),
    Column("failed", number=True),
    Column("kept", number=True),
    Column("age", number=True),
)

#: Of running tasks that say how far they are, or print.
RUNNING = (
    Column("task", number=True),
    Column("on", wraps=True),
    Column("done", number=True),
    Column("says", wraps=True),
)


@click.command(cls=Command, epilog="slinger jobs\nslinger jobs --json")
@as_json
@whole_ids
def jobs(as_json: bool, whole: bool) -> None:
    """List the jobs of this machine's peer, newest first.

    "running" are tasks that peers have taken, a few in advance for each slot. "kept" is
    how many peers keep a job, and how many should; a job without that ends with the
    program that has submitted it.
    """
    facts = ask(GetJobs(), Jobs).facts
    if as_json:
        show_json(facts)
    elif not facts:
        click.echo("no jobs here: see `slinger submit --help`, or p2pslinger.connect()")
    else:
        show_table(COLUMNS, [row(job, whole=whole) for job in facts])


@click.command(cls=Command, epilog="slinger job k3mvb2a\nslinger job k3mvb2a --follow")
@click.argument("prefix", metavar="JOB", callback=read_id)
@click.option(
    "--follow",
    is_flag=True,
    help="Show how it goes on and what its tasks print, until it is over.",
)
@as_json
@whole_ids
def job(prefix: str, follow: bool, as_json: bool, whole: bool) -> None:
    """Show one job: how far it is, why it waits, who computed it.

    JOB is the job's id, or enough of its beginning; by its whole id it is found
    wherever in the grid it is kept. With --follow and --json, every change is a line.
    """
    if follow:
        from p2pslinger.cli.follow import Follower

        Follower(as_json=as_json).run(prefix)
        return
    with open_link() as link:
        facts = find(link, prefix)
    if as_json:
        show_json(facts)
    else:
        show_job(facts, whole=whole)


@click.command(cls=Command, epilog="slinger cancel k3mvb2a")
@click.argument("prefix", metavar="JOB", callback=read_id)
def cancel(prefix: str) -> None:
    """Cancel a job.

    JOB is the job's id, or enough of its beginning. What is running is stopped, and
    the program that submitted the job is told.
    """
    with open_link() as link:
        facts = find(link, prefix)
        if facts.state == "cancelled":
            click.echo(f"{_called(facts)} is cancelled already")
            return
        if facts.state == "computed" and facts.owner:
            click.echo(f"{_called(facts)} is computed: nothing is left to be cancelled")
            return
        durable = ChangeJob(facts.job, "cancel")
        put(link, durable if facts.durable else CancelJob(facts.job), Done)
    click.echo(f"{_called(facts)} is cancelled")


def row(job: JobFacts, *, whole: bool) -> tuple[str, ...]:
    """Return a job's line of the table."""
    return (
        of_id(job.job, whole=whole),
        job.name,
        job.state,
        _tasks(job),
        f"{job.computed:,}",
        f"{job.running:,}",
        f"{job.failed:,}",
        f"{there(job)}/{job.wanted}" if job.durable else "",
        duration(job.age),
    )


def show_job(job: JobFacts, *, whole: bool = False) -> None:
    """Print one job for a person."""
    show_pairs(
        [
            ("job", of_id(job.job, whole=True)),
            ("name", job.name),
            ("state", job.state),
            ("age", duration(job.age)),
            ("tasks", _tasks(job)),
            ("computed", f"{job.computed:,}"),
            ("running", _running_now(job)),
            ("failed", f"{job.failed:,}"),
            ("lost", f"{job.lost:,} tries that died with their process or machine"),
            *_lasting(job),
        ]
    )
    if job.waiting is not None:
        click.echo()
        show_reason(job.waiting)
    if job.under_way:
        click.echo()
        show_table(RUNNING, [_running(one, whole=whole) for one in job.under_way])
    if job.checks is not None and job.checks.irreproducible:
        click.echo()
        click.echo(advice_on(job.checks))
    if job.keepers:
        click.echo()
        show_keepers(job.keepers, whole=whole)
    if job.volunteers:
        click.echo()
        show_tally(job.volunteers, whole=whole)


def _running_now(job: JobFacts) -> str:
    still = f", {job.still:,} of them standing still" if job.still else ""
    return f"{job.running:,}{still}"


def _running(one: TaskFacts, *, whole: bool) -> tuple[str, ...]:
    share = "" if one.share is None else percent(one.share)
    return str(one.task), one.name or of_id(one.peer, whole=whole), share, one.line


def _lasting(job: JobFacts) -> list[tuple[str, str]]:
    """Return what only jobs have that go on without their program."""
    if not job.durable:
        return [("kept", "nowhere: it ends with the program that has submitted it")]
    decides = "this machine" if job.owner else "its submitter, not this machine"
    return [
        ("accepted", f"{job.accepted:,}"),
        *([("checked", said_of(job.checks))] if job.checks else []),
        *([("excluded", _excluded(job))] if job.excluded else []),
        ("kept", kept_of(job).removeprefix("kept ")),
        *([("until", when(job.keep_until))] if job.keep_until else []),
        ("priority", str(job.priority)),
        ("decides", decides),
    ]


def _excluded(job: JobFacts) -> str:
    who = ", ".join(map(of_id, job.excluded))
    return f"{who}: results that were not accepted before do not count"


def _tasks(job: JobFacts) -> str:
    more = not job.sealed and job.state in {"open", "paused"}
    return f"{job.tasks:,}+" if more else f"{job.tasks:,}"


def _called(job: JobFacts) -> str:
    return f"job {of_id(job.job)}"
