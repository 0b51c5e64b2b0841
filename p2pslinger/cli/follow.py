"""A job as it goes on: how far it is and what its tasks print, until it is over.

Results come over a link of their own, for the sake of the output that comes with them;
how far the job is, the peer is asked.
"""

from __future__ import annotations

import queue
import shutil
import sys
import time

import click
import msgspec

from p2pslinger.cli.ask import open_link, put
from p2pslinger.cli.finding import FOLLOWED, find, follow
from p2pslinger.cli.keepers import kept_of, there
from p2pslinger.cli.words import percent, printable
from p2pslinger.client.link import Link
from p2pslinger.client.live import Shown
from p2pslinger.errors import SlingerError
from p2pslinger.ids import PeerId, short
from p2pslinger.rules.spans import Spans
from p2pslinger.wire.control import GetJobs, Jobs, RangeOut, Results
from p2pslinger.wire.facts import JobFacts
from p2pslinger.wire.glimpse import Glimpsed

#: Seconds between two looks at how far the job is.
LOOK = 0.5

#: Seconds that the last results may take to come once the job is over, and between two
#: looks at whether they have: none is shown before its acceptance is on the disk.
LAST, SOON = 5.0, 0.1

#: What the terminal does on this: go to the line's start and clear it.
CLEAR = "\r\x1b[K"

#: Tasks of which is said how far they are.
SHOWN = 3

#: States in which nothing more happens.
OVER = {"computed", "cancelled"}


class Follower:
    """Shows one job.

    Args:
        err: Write to standard error.
        as_json: Print the facts, whenever they change, as a line of JSON.
    """

    def __init__(self, *, err: bool = False, as_json: bool = False) -> None:
        self._err = err
        self._as_json = as_json
        self._heard: queue.SimpleQueue[RangeOut | Glimpsed | SlingerError] = (
            queue.SimpleQueue()
        )
        self._output = Shown()
        self._came = Spans()
        self._draws = not as_json and (sys.stderr if err else sys.stdout).isatty()
        self._shown = ""
        self._computed = -1

    def run(self, job: str) -> JobFacts:
        """Follow a job to its end; return what is known of it then.

        Raises:
            UsageError: there is no such job.
            ConnectionLostError: the peer has gone.
        """
        with open_link() as link:
            link.on_push = self._hear
            link.on_lost = self._heard.put
            facts = find(link, job)
            if facts.durable:  # others' results go to their program only
                facts = follow(link, facts.job)
            self._show(facts)
            while facts.state not in OVER:
                self._print_output(LOOK)
                facts = put(link, GetJobs(facts.job), Jobs).facts[0]
                self._show(facts)
            self._print_rest(link, facts)
        if self._draws:
            click.echo(err=self._err)
        return facts

    def _hear(self, message: msgspec.Struct) -> None:
        if isinstance(message, Results) and message.handle == FOLLOWED:
            for out in message.ranges:
                if out.output:
                    self._heard.put(out)
                # Counted last: who sees that all have come finds their output, too.
                self._came.add(*(out.only or (out.start, out.stop)))
        elif isinstance(message, Glimpsed) and message.shown.text:
            self._heard.put(message)

    def _print_output(self, seconds: float) -> None:
        """Print what comes within so many seconds; return with the first of it."""
        try:
            out = self._heard.get(timeout=seconds)
        except queue.Empty:
            return
        if isinstance(out, SlingerError):
            raise out
        if self._as_json:
            return
        if isinstance(out, Glimpsed):
            task = out.shown.index
            self._print(task, task + 1, out.peer, self._output.new(out.peer, out.shown))
        else:
            self._print(out.start, out.stop, out.peer, self._output.rest(out))

    def _print_rest(self, link: Link, facts: JobFacts) -> None:
        """Print what comes with the last results: before the answer to a question."""
        put(link, GetJobs(), Jobs)
        until = time.monotonic() + LAST
        while (
            facts.durable
            and self._came.count < facts.computed
            and time.monotonic() < until
        ):
            self._print_output(SOON)
        while not self._heard.empty():
            self._print_output(0)

    def _print(self, start: int, stop: int, peer: bytes, output: bytes) -> None:
        if self._draws:
            click.echo(CLEAR, nl=False, err=self._err)
            self._shown = ""
        who = f"{tasks_of(start, stop)} on {short(PeerId(peer))}"
        for text in output.decode("utf-8", "replace").splitlines():
            line = text.removeprefix(f"task {start}: ") if stop == start + 1 else text
            click.echo(f"{who}: {printable(line)}", err=self._err)

    def _show(self, facts: JobFacts) -> None:
        if self._as_json:
            timeless = msgspec.structs.replace(facts, age=0.0, keepers=())
            said = msgspec.json.encode(timeless).decode()
        else:
            said = printable(line_of(facts, moves=facts.computed != self._computed))
        self._computed = facts.computed
        if said == self._shown:
            return
        self._shown = said
        if self._as_json:
            said = msgspec.json.encode(facts).decode()
        if self._draws:
            width = shutil.get_terminal_size().columns - 1
            click.echo(CLEAR + said[:width], nl=False, err=self._err)
        else:
            click.echo(said, err=self._err)


def line_of(facts: JobFacts, *, moves: bool) -> str:
    """Return how far a job is, in a line; and why it waits, unless it moves."""
    said = [one for one in facts.under_way if one.share is not None]
    more = "" if facts.sealed or facts.state in OVER else "+"
    share = percent(facts.computed / facts.tasks) if facts.tasks else "0 %"
    parts = [f"{facts.computed:,} of {facts.tasks:,}{more} tasks ({share})"]
    if facts.running:
        parts.append(f"{facts.running:,} running")
    if facts.still:
        parts.append(f"{facts.still:,} of them standing still")
    parts += [f"task {one.task} at {percent(one.share or 0)}" for one in said[:SHOWN]]
    if facts.failed:
        parts.append(f"{facts.failed:,} failed")
    if facts.wanted > there(facts):
        parts.append(kept_of(facts))
    if facts.state != "open":
        parts.append(facts.state)
    elif facts.waiting is not None and not moves:
        parts.append(f"waiting: {facts.waiting.text}")
    return ", ".join(parts)


def tasks_of(start: int, stop: int) -> str:
    """Return "task 3" or "tasks 3 to 7"."""
    return f"task {start}" if stop == start + 1 else f"tasks {start} to {stop - 1}"
