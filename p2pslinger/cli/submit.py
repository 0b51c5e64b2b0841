"""`slinger submit`: start a job that needs neither this terminal nor this machine."""

from __future__ import annotations

import warnings

import click
import msgspec

from p2pslinger import limits
from p2pslinger.cli.arguments import read_arguments
from p2pslinger.cli.commands import Command
from p2pslinger.cli.options import as_json
from p2pslinger.cli.render import show_json
from p2pslinger.cli.spans import read_span
from p2pslinger.cli.words import counted, of_id, printable
from p2pslinger.client.checks import Replicate
from p2pslinger.client.needing import asked
from p2pslinger.errors import UsageError

EPILOG = (
    "slinger submit script.py:function arguments.jsonl\n"
    "slinger submit --source script.py:function arguments.jsonl\n"
    "slinger submit package.module:function - --keepers 3 --requires 'numpy>=2'"
)


class Submitted(msgspec.Struct, frozen=True):
    """What there is to say of a new job.

    Attributes:
        job: Its id.
        name: What people call it.
        tasks: How many it has.
        kept: How many other peers keep it, and how many should.
        warning: Why those are fewer, or "".
    """

    job: str
    name: str
    tasks: int
    kept: tuple[int, int]
    warning: str


def read_requires(
    _: click.Context, __: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Read requirements.

    Raises:
        BadParameter: there is one that is none, or too many.
    """
    try:
        return asked(value, None).packages if value else ()
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def read_platform(_: click.Context, __: click.Parameter, value: str | None) -> str:
    """Read a platform.

    Raises:
        BadParameter: it is none.
    """
    try:
        return asked(None, value).platform
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def read_memory(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Read how much memory a task needs.

    Raises:
        BadParameter: it is no such size.
    """
    try:
        return None if value is None else asked(memory=value).memory
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def read_replicate(_: click.Context, __: click.Parameter, value: str) -> Replicate:
    """Return by how many peers tasks are computed.

    Raises:
        BadParameter: it is no such number, or another word.
    """
    match value:
        case "never":
            return "never"
        case "adaptive":
            return "adaptive"
    if value.isdecimal() and 2 <= int(value) <= limits.REPLICATE:
        return int(value)
    raise click.BadParameter(
        f"{value!r} is not never, adaptive, or 2 to {limits.REPLICATE}"
    )


@click.command(cls=Command, epilog=EPILOG)
@click.argument("target", metavar="SCRIPT_OR_MODULE:FUNCTION")
@click.argument("arguments", metavar="ARGS.jsonl")
@click.option("--name", help="What to call the job; the function's name if not given.")
@click.option("--star", is_flag=True, help="Every line is an array: unpack it.")
@click.option(
    "--keepers",
    type=click.IntRange(0, 7),
    metavar="N",
    default=2,
    show_default=True,
    help="Other peers that are to keep the job.",
)
@click.option(
    "--require-keepers", is_flag=True, help="Cancel the job if they can't be found."
)
@click.option(
    "--keep",
    callback=read_span,
    metavar="TIME",
    help="How long it is kept, results included: 12h, 3d, 2w; a week if not given.",
)
@click.option(
    "--priority",
    type=click.IntRange(-100, 100),
    metavar="N",
    default=0,
    help="Higher first among this machine's jobs.",
)
@click.option(
    "--timeout", callback=read_span, metavar="TIME", help="What a task may take."
)
@click.option(
    "--requires",
    multiple=True,
    callback=read_requires,
    metavar="PACKAGE",
    help='A package that a peer must have to compute it, as "numpy>=2"; repeatable.',
)
@click.option(
    "--platform",
    callback=read_platform,
    metavar="NAME",
    help="What its machine must be: linux, linux-x86_64, macos-arm64 and the like.",
)
@click.option(
    "--memory",
    callback=read_memory,
    metavar="SIZE",
    help="What a task needs: 2GiB. Peers that give a slot less never see it.",
)
@click.option(
    "--sandbox",
    is_flag=True,
    help="Confine it on this machine as well as on others'.",
)
@click.option(
    "--source",
    is_flag=True,
    help="Send it as source text, for peers of any Python version.",
)
@click.option(
    "--replicate",
    callback=read_replicate,
    default="adaptive",
    show_default=True,
    metavar="HOW",
    help="Which tasks other peers compute again, to compare: never, adaptive, or 2 to"
    " 5 for every task so many times.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="PART",
    help="How far numbers may be apart and still agree, as a part: 1e-9.",
)
@click.option("--wait", is_flag=True, help="Return when the job is done.")
@as_json
def submit(  # noqa: PLR0917 - click passes them by name
    target: str,
    arguments: str,
    name: str | None,
    star: bool,
    keepers: int,
    require_keepers: bool,
    keep: float | None,
    priority: int,
    timeout: float | None,
    requires: tuple[str, ...],
    platform: str,
    memory: int | None,
    sandbox: bool,
    source: bool,
    replicate: Replicate,
    tolerance: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Start a job that goes on by itself.

    Calls FUNCTION once for each line of ARGS.jsonl, a file of JSON values ("-" for
    standard input). Prints the job's id, with which `slinger job`, `slinger results`
    and `slinger cancel` find it, here and on every machine of the grid.
    """
    from p2pslinger.cli.ask import open_link
    from p2pslinger.cli.target import load_source, load_target
    from p2pslinger.client.grid import Grid

    values = read_arguments(arguments, star=star)
    function = load_source(target) if source else load_target(target)
    with Grid(open_link()) as grid, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is said below
        job = grid.start(
            function,
            values,
            name=name or target.rpartition(":")[2],
            timeout=timeout,
            keepers=keepers,
            require_keepers=require_keepers,
            keep=keep,
            priority=priority,
            requires=requires or None,
            replicate=replicate,
            tolerance=tolerance,
            platform=platform or None,
            memory=memory,
            sandbox=sandbox,
        )
        told = Submitted(job.id, job.name, len(values), job.kept, job.why_not_kept)
    _tell(told, as_json=as_json)
    if wait:
        _wait(job.id)


def _tell(told: Submitted, *, as_json: bool) -> None:
    """Print the id for programs and the rest for people, or all of it as JSON."""
    if as_json:
        show_json(told)
        return
    click.echo(told.job)
    have, wanted = told.kept
    kept = f"kept by {have} of {counted(wanted, 'other peer')}"
    click.echo(
        f"{counted(told.tasks, 'task')}, {kept if wanted else 'kept here only'}; "
        f"results: slinger results {of_id(told.job)}",
        err=True,
    )
    if told.warning:
        click.echo(f"Warning: {printable(told.warning)}", err=True)


def _wait(job: str) -> None:
    """Show how the job goes on; fail if it does."""
    from p2pslinger.cli.follow import Follower

    facts = Follower(err=True).run(job)
    if facts.failed or facts.state == "cancelled":
        raise click.exceptions.Exit(1)
