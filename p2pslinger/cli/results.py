"""`slinger results`: what came of a job, printed or written into a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from p2pslinger.cli.commands import Command
from p2pslinger.cli.lines import Lines, Summary, Write
from p2pslinger.cli.options import as_json, how_to_read, read_id
from p2pslinger.cli.words import printable
from p2pslinger.errors import ConnectionLostError, UnavailableError, UsageError

if TYPE_CHECKING:
    from p2pslinger.client.job import Job

#: Seconds in which results that are there already arrive, or the next of them does.
ARRIVING = 5.0

EPILOG = (
    "slinger results k3mvb2a\n"
    "slinger results k3mvb2a --no-wait --out results.jsonl\n"
    "slinger results k3mvb2a --errors"
)

file_option = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=Command, epilog=EPILOG)
@click.argument("prefix", metavar="JOB", callback=read_id)
@click.option("--out", type=file_option, help="Write into a file instead.")
@click.option("--pickle", type=file_option, help="Write a pickled list of all values.")
@click.option(
    "--wait/--no-wait", default=True, help="Wait for those that are not there yet."
)
@click.option("--errors", is_flag=True, help="Print how tasks failed, and no values.")
@click.option("--output", is_flag=True, help="Print what tasks have printed instead.")
@how_to_read
@as_json
def results(  # noqa: PLR0917 - click passes them by name
    prefix: str,
    out: Path | None,
    pickle: Path | None,
    wait: bool,
    errors: bool,
    output: bool,
    trust: Literal["safe", "pickle"],
    as_json: bool,
) -> None:
    """Print a job's results, one JSON value a line.

    They come in the order of the job's arguments; a task without a value is a null,
    and then the exit code is 1. JOB is the job's id, or enough of its beginning; by
    its whole id it is found wherever in the grid it is kept.
    """
    _check_together(pickle, out or errors or output or as_json, errors and output)
    from p2pslinger.cli.ask import open_link
    from p2pslinger.cli.patience import saying_why
    from p2pslinger.client.grid import Grid

    with Grid(open_link(), trust=trust) as grid:
        job = grid.job(prefix)
        if not wait:
            _let_arrive(job)
        with saying_why(job) if wait else nullcontext():
            if pickle is not None:
                summary = _pickle(job, pickle, wait=wait)
            elif output:
                summary = _print_output(job, out, wait=wait, as_json=as_json)
            else:
                with _writing(out) as write:
                    lines = Lines(write, only_errors=errors, as_json=as_json)
                    _print(job, lines, wait=wait)
                summary = lines.summary
    for sentence in summary.sentences(told=errors):
        click.echo(printable(f"Note: {sentence}"), err=True)
    if not summary.complete:
        raise click.exceptions.Exit(1)


def _check_together(pickle: Path | None, others: object, both: bool) -> None:
    if pickle is not None and others:
        raise click.UsageError("--pickle goes with --wait and --trust only")
    if both:
        raise click.UsageError("--errors and --output exclude each other")


def _let_arrive(job: Job[object]) -> None:
    """Wait until the results that the peer has now have come to us."""
    facts = job.facts()
    wanted = facts.accepted if facts.owner and facts.durable else facts.computed
    deadline = time.monotonic() + ARRIVING
    with suppress(UnavailableError):  # it was cancelled: what it has has come
        for progress in job.updates(every=0.1):
            if progress.done >= wanted or time.monotonic() > deadline:
                break


def _print(job: Job[object], lines: Lines, *, wait: bool) -> None:
    """Print each task's result; a job that ends early leaves the rest without one."""
    for task, result in enumerate(_each(job, lines.summary, wait=wait)):
        if result is _MISSING:
            lines.lack()
        else:
            lines.take(task, result)


_MISSING = object()


def _each(job: Job[object], summary: Summary, *, wait: bool) -> Iterator[object]:
    """Yield a result, or what says that there is none, for each task."""
    at = 0
    try:
        for result in job.results(errors="return") if wait else ():
            yield result
            at += 1
    except ConnectionLostError:
        raise
    except UnavailableError as error:  # it was cancelled: show what it has
        summary.ended = str(error)
    for task, result in job.results_so_far(at):
        yield from (_MISSING for _ in range(at, task))
        yield result
        at = task + 1
    yield from (_MISSING for _ in range(at, job.progress.total))


def _pickle(job: Job[object], path: Path, *, wait: bool) -> Summary:
    """Write all values as one list; what has failed, as its exception."""
    from p2pslinger.cli.outfile import replaced
    from p2pslinger.client.pickling import dump

    lines = Lines(lambda _: None)
    values: list[object] = []
    for task, result in enumerate(_each(job, lines.summary, wait=wait)):
        if result is _MISSING:
            lines.lack()
            values.append(None)
        else:
            if isinstance(result, Exception):
                lines.take(task, result)
            values.append(result)
    try:
        data, _ = dump(values)
    except Exception as error:  # it runs the values' own code
        raise UsageError(f"the values can't be pickled: {error!r:.200}") from error
    with replaced(path) as file:
        file.write(data)
    return lines.summary


def _print_output(
    job: Job[object], out: Path | None, *, wait: bool, as_json: bool
) -> Summary:
    """Print what tasks have printed, each run of tasks under its title."""
    import json

    from p2pslinger.cli.follow import tasks_of

    with _writing(out) as write:
        for one in job.output(wait=wait):
            if as_json:
                told = {"start": one.start, "stop": one.stop, "peer": one.peer}
                write(json.dumps(told | {"output": one.text}))
                continue
            write(f"--- {tasks_of(one.start, one.stop)}, on {one.peer}:")
            write(printable(one.text.rstrip("\n"), lines=True))
    return Summary()


@contextmanager
def _writing(out: Path | None) -> Iterator[Write]:
    """Give what writes a line: to a file, or to standard output as it comes."""
    if out is None:
        yield click.echo
        sys.stdout.flush()
        return
    from p2pslinger.cli.outfile import replaced

    with replaced(out) as file:

        def write(line: str) -> None:
            file.write(f"{line}\n".encode())

        yield write
