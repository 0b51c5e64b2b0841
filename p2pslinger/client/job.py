"""A started job: its progress, its results, its keepers, its end.

It goes on without the program that has started it. Whoever holds the job key decides
for it: that is this machine's peer, if the job was submitted here or an owner's ticket
has been used here. Others can read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

from p2pslinger.client.keeping import check_priority, seconds_of
from p2pslinger.client.link import Link
from p2pslinger.client.outputs import Output
from p2pslinger.client.progress import Progress
from p2pslinger.client.rows import Rows
from p2pslinger.client.stream import Stream
from p2pslinger.client.tables import Facts, job_html, said
from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import to_text
from p2pslinger.wire.agreeing import AgreementFacts
from p2pslinger.wire.control import GetJobs, GetStatus, GetWhy, Jobs, Status, Why
from p2pslinger.wire.facts import JobFacts, TallyFacts, WhyFacts
from p2pslinger.wire.owning import ChangeJob, GetTicket, KeptBy, Ticket
from p2pslinger.wire.ticket import ticket_text

if TYPE_CHECKING:
    from p2pslinger.client.replay import Replay

T = TypeVar("T")


class Job(Generic[T]):
    """A started job. Made by `Grid.start`, `Grid.job` and `Grid.use_ticket`."""

    def __init__(
        self,
        link: Link,
        stream: Stream,
        rows: Rows,
        name: str,
        kept: KeptBy | None = None,
    ) -> None:
        self._link = link
        self._stream = stream
        self._rows = rows
        self._kept = kept
        self.name = name

    def __repr__(self) -> str:
        progress = self.progress
        return f"<Job {self.name!r}: {progress.done} of {progress.total} tasks done>"

    def _repr_html_(self) -> str:
        try:
            return job_html(self.facts())
        except SlingerError as error:
            return f"<p>job {said(self.name)}: {said(error)}</p>"

    @property
    def id(self) -> str:
        """Its id, as the command line takes it.

        Raises:
            UnavailableError: the peer has not taken the job.
        """
        job = self._stream.wait_until_open()
        return to_text(job)

    # --- how far it is ------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._rows.progress

    def updates(self, every: float = 1.0) -> Iterator[Progress]:
        """Yield the progress whenever it changes, at least every `every` seconds."""
        while True:
            seen, progress = self._rows.changes, self.progress
            yield progress
            if progress.done >= progress.total:
                return
            self._rows.wait_for_change(seen, every)
            self._rows.raise_if_broken()

    @property
    def kept(self) -> tuple[int, int]:
        """How many keepers it has besides its submitter's peer, and how many it should.

        Of a job that this program has started: those that held it all on disk when
        `start` returned. Of another: those that can be asked now.
        """
        if self._kept is not None:  # which counts the submitter's peer as well
            return max(0, self._kept.have - 1), max(0, self._kept.wanted - 1)
        facts = self.facts()
        others = [one for one in facts.keepers if one.peer != facts.submitter]
        there = sum(one.state in {"here", "connected"} for one in others)
        return there, max(0, facts.wanted - 1)

    @property
    def why_not_kept(self) -> str:
        """Why keepers were missing when `start` returned, as a sentence, or ""."""
        kept = self._kept
        return kept.why if kept is not None and kept.have < kept.wanted else ""

    def facts(self) -> JobFacts:
        """Return what this machine's peer knows of it, as `slinger job` shows it."""
        answer = cast(Jobs, self._link.request(GetJobs(self.id)))
        if not answer.facts:
            raise UnavailableError(f"the peer has forgotten job {self.id}")
        return answer.facts[0]

    @property
    def is_ours(self) -> bool:
        """Whether it was submitted on this machine."""
        me = cast(Status, self._link.request(GetStatus())).facts.peer
        return self.facts().submitter == me

    def why(self, task: int | None = None) -> WhyFacts:
        """Return what it is doing, or one task of it; or why that waits.

        Args:
            task: Index of the task.

        Raises:
            UsageError: there is no such task.
        """
        return cast(Why, self._link.request(GetWhy(self.id, task))).facts

    @property
    def checks(self) -> AgreementFacts:
        """What comparing the results of several peers has shown so far, in tasks."""
        return self.facts().checks or AgreementFacts()

    def tally(self) -> tuple[TallyFacts, ...]:
        """Return who has computed how much of it."""
        return Facts(self.facts().volunteers)

    # --- what came of it ----------------------------------------------------------

    def results(
        self,
        *,
        timeout: float | None = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> Iterator[T]:
        """Yield the results in order, as they arrive.

        Big ones are fetched when their turn comes near, and not kept here.

        Args:
            timeout: Seconds from the call after which a missing result raises.
            errors: "raise" the exception of a failed task, or "return" it in its place.

        Raises:
            TimeoutError: a result is not there in time.
            Exception: what a task has raised.
        """
        return cast("Iterator[T]", self._rows.read(timeout=timeout, errors=errors))

    def results_so_far(self, since: int = 0) -> Iterator[tuple[int, T | Exception]]:
        """Yield the number and the result of each task that has one, in order.

        In place of a result that could not be had there is its exception.

        Args:
            since: The first task that is of interest.
        """
        ready = self._rows.read_ready(since)
        return cast("Iterator[tuple[int, T | Exception]]", ready)

    def output(self, *, wait: bool = True) -> Iterator[Output]:
        """Yield what the tasks have printed, as it comes, until all are done.

        Args:
            wait: Wait for more; without, yield what has come by now.
        """
        return self._rows.read_output() if wait else iter(self._rows.output_so_far())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every task has an outcome; return whether that is so."""
        return self._rows.wait(timeout)

    def replay(
        self, index: int, *, at_home: bool = False, debug: bool = False
    ) -> Replay:
        """Compute one task once more on this machine, and compare what comes of it.

        It has the same code, arguments, hash seed, random numbers and Python version as
        on the peer that has computed it, if that version is installed here, and is
        confined as well as this machine can.

        Args:
            index: The task's number.
            at_home: Let it use this machine's files and network, as a machine's own
                tasks may, instead of confining it.
            debug: Run it under pdb in this terminal, not confined at all.

        Raises:
            UsageError: there is no such task.
            UnavailableError: something that it needs can't be had, such as its Python.
        """
        from p2pslinger.client.replay import replay_task

        return replay_task(
            self._link,
            self.id,
            index,
            trust=self._stream.trust,
            ours=self.is_ours,
            at_home=at_home,
            debug=debug,
        )

    def watch(self) -> bool:
        """Show how far it is until every task has an outcome; return whether all have.

        In a notebook or a terminal one bar, elsewhere a line now and then. To interrupt
        it ends nothing but the watching: the job goes on.

        Raises what has ended the job, if something has.
        """
        from p2pslinger.client.watching import Watch  # few programs show anything

        with Watch(lambda: self.progress, self.name, why=lambda: self.facts().waiting):
            return self.wait()

    # --- decisions ----------------------------------------------------------------

    def cancel(self) -> None:
        """Stop it for good; running tasks are ended."""
        self._change("cancel")

    def pause(self) -> None:
        """Grant no more of it; what is running ends well."""
        self._change("pause")

    def resume(self) -> None:
        """Go on after `pause`."""
        self._change("resume")

    def priority(self, priority: int) -> None:
        """Put it before jobs of a lower priority, -100 to 100, of this submitter."""
        self._change("priority", check_priority(priority))

    def extend(self, keep: float | timedelta) -> None:
        """Have it kept for so long from now: seconds, or a time span."""
        self._change("extend", seconds_of(keep))

    def forget(self) -> None:
        """Have everybody drop it, results included. This can't be undone."""
        self._change("forget")

    def ticket(self, *, owner: bool = False) -> str:
        """Return a ticket, with which any machine of the grid finds the job.

        Args:
            owner: With the job key: its holder may do all that this machine may. It
                is a secret then.

        Raises:
            UsageError: this machine's peer does not have the job key.
        """
        ask = GetTicket(self.id, owner)
        return ticket_text(cast(Ticket, self._link.request(ask)))

    def _change(self, change: str, value: float | None = None) -> None:
        self._link.request(ChangeJob(self.id, change, value))
