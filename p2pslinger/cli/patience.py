"""What a command that waits for results says, so that nobody waits without a reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from p2pslinger.cli.words import printable
from p2pslinger.client.overdue import Overdue

if TYPE_CHECKING:
    from p2pslinger.client.job import Job

#: Seconds between two looks at how much has come.
LOOK = 1.0


@contextmanager
def saying_why(job: Job[object]) -> Iterator[None]:
    """While a block waits for a job, say on standard error why nothing comes."""
    over = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(job, over), name="slinger patience", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(job: Job[object], over: threading.Event) -> None:
    overdue, told = Overdue(lambda: job.facts().waiting), ""
    while not over.wait(LOOK):
        why = overdue.look(job.progress.done)
        if why and why != told:
            click.echo(f"Note: waiting: {printable(why)}", err=True)
            told = why
