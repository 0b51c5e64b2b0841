"""`slinger replay`: one task of a job once more, here, and whether it is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from p2pslinger.cli.commands import Command
from p2pslinger.cli.options import as_json, how_to_read, read_id
from p2pslinger.cli.words import printable

if TYPE_CHECKING:
    from p2pslinger.client.replay import Came, Replay

#: Characters of a value that are shown.
SHOWN = 400

#: How a task was confined, for a person.
WHERE = {
    "strong": "in a sandbox of level strong",
    "good": "in a sandbox of level good",
    "weak": "in a sandbox of level weak, which holds back accidents only",
    "own": "not confined, with this machine's files and network",
    "none": "under the debugger, not confined",
}


def _read_place(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, int]:
    """Return job and task of JOB/TASK.

    Raises:
        BadParameter: it is no such thing.
    """
    job, slash, task = value.rpartition("/")
    if not slash or not task.isdecimal():
        raise click.BadParameter(f"{value!r} names no task: write JOB/TASK, as k3mv/17")
    return str(read_id(context, parameter, job)), int(task)


@click.command(
    cls=Command,
    epilog="slinger replay k3mvb2a/17\nslinger replay k3mvb2a/17 --debug",
)
@click.argument("place", metavar="JOB/TASK", callback=_read_place)
@click.option(
    "--debug", is_flag=True, help="Run it under pdb, in this terminal, not confined."
)
@click.option(
    "--at-home", is_flag=True, help="Let it use this machine's files and network."
)
@how_to_read
@as_json
def replay(
    place: tuple[str, int],
    debug: bool,
    at_home: bool,
    trust: Literal["safe", "pickle"],
    as_json: bool,
) -> None:
    """Compute one task of a job once more, on this machine.

    It has the same code, arguments, hash seed, random numbers and Python version, and
    runs in the sandbox. What it prints is shown, and whether the same comes of it; if
    not, the exit code is 1. Tasks are numbered from 0. JOB is the job's id, or enough
    of its beginning; by its whole id it is found wherever in the grid it is kept.
    """
    from p2pslinger.cli.ask import open_link
    from p2pslinger.client.grid import Grid

    with Grid(open_link(), trust=trust) as grid:
        job = grid.job(place[0])
        if debug or at_home:
            _warn(ours=job.is_ours)
        done = job.replay(place[1], debug=debug, at_home=at_home)
        (_show_json if as_json else _show)(done)
    if done.same is False:
        raise click.exceptions.Exit(1)


def _warn(*, ours: bool) -> None:
    """Say that nothing confines the task; ask first, if it is another's."""
    if ours:
        click.echo(
            "Note: the task is not confined: it can do all that you can", err=True
        )
        return
    click.confirm(
        "The job was submitted on another machine, and without the sandbox its code "
        "can do all that you can. Run it?",
        abort=True,
        err=True,
    )


def _show(done: Replay) -> None:
    where = WHERE.get(done.level, done.level)
    click.echo(f"task {done.index} of {printable(done.job)}, {where}:", err=True)
    if done.output:
        click.echo(printable(done.output.rstrip("\n"), lines=True))
    if done.before is None:
        click.echo(f"here:   {_told(done.now)}")
        click.echo("before: nothing yet")
    elif done.same:
        click.echo(f"the same as before, on {done.before.peer}: {_told(done.now)}")
    else:
        click.echo(f"here:   {_told(done.now)}")
        click.echo(f"before: {_told(done.before)}, on {done.before.peer}")
    if done.now.failure is not None and done.now.failure.traceback:
        click.echo(printable(done.now.failure.traceback.rstrip(), lines=True))


def _told(came: Came) -> str:
    """Return what came of a task, in a line."""
    if came.failure is not None:
        return printable(f"{came.failure.type}: {came.failure.message}")
    try:
        text = repr(came.value())
    except Exception as error:  # noqa: BLE001 - decoding runs the value's own code
        text = f"a value that can't be shown ({error})"
    return printable(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _show_json(done: Replay) -> None:
    import json

    sides = {"here": done.now, "before": done.before}
    told: dict[str, object] = {
        "job": done.job,
        "task": done.index,
        "level": done.level,
        "same": done.same,
        "seconds": done.seconds,
        "output": done.output,
    }
    click.echo(json.dumps(told | {name: _facts(came) for name, came in sides.items()}))


def _facts(came: Came | None) -> dict[str, str] | None:
    if came is None:
        return None
    kind = "value" if came.failure is None else came.failure.kind
    trace = "" if came.failure is None else came.failure.traceback
    return {"kind": kind, "text": _told(came), "traceback": trace, "peer": came.peer}
