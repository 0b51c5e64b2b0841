"""A job that a program has started: its progress, its results, its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

from p2pslinger.client.link import Link
from p2pslinger.client.rows import Rows
from p2pslinger.client.stream import Stream
from p2pslinger.errors import UnavailableError
from p2pslinger.ids import to_text
from p2pslinger.wire.control import CancelJob, GetJobs, Jobs
from p2pslinger.wire.facts import JobFacts, TallyFacts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Tasks with an outcome.
        total: Tasks in all.
        failed: Tasks among the done ones that failed.
        by_peer: Tasks done, by the short id of the peer.
    """

    done: int
    total: int
    failed: int
    by_peer: dict[str, int]

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1."""
        return self.done / self.total if self.total else 1.0


class Job(Generic[T]):
    """A started job. Made by `Grid.start` and `Grid.job`."""

    def __init__(self, link: Link, stream: Stream, rows: Rows, name: str) -> None:
        self._link = link
        self._stream = stream
        self._rows = rows
        self.name = name

    def __repr__(self) -> str:
        progress = self.progress
        return f"<Job {self.name!r}: {progress.done} of {progress.total} tasks done>"

    @property
    def id(self) -> str:
        """Its id, as the command line takes it.

        Raises:
            UnavailableError: the peer has not taken the job.
        """
        job = self._stream.wait_until_open()
        return to_text(job)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        rows = self._rows
        return Progress(rows.done, rows.total or 0, rows.failed, dict(rows.by_peer))

    def updates(self, every: float = 1.0) -> Iterator[Progress]:
        """Yield the progress whenever it changes, at least every `every` seconds."""
        seen = -1
        while True:
            progress = self.progress
            yield progress
            if progress.done >= progress.total:
                return
            seen = progress.done
            self._rows.wait_for_change(seen, every)
            self._rows.raise_if_broken()

    def results(
        self,
        *,
        timeout: float | None = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> Iterator[T]:
        """Yield the results in order, as they arrive.

        Args:
            timeout: Seconds from the call after which a missing result raises.
            errors: "raise" the exception of a failed task, or "return" it in its place.

        Raises:
            TimeoutError: a result is not there in time.
            Exception: what a task has raised.
        """
        return cast("Iterator[T]", self._rows.read(timeout=timeout, errors=errors))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every task has an outcome; return whether that is so."""
        return self._rows.wait(timeout)

    def facts(self) -> JobFacts:
        """Return what this machine's peer knows of it, as `slinger job` shows it."""
        answer = cast(Jobs, self._link.request(GetJobs(self.id)))
        if not answer.facts:
            raise UnavailableError(f"the peer has forgotten job {self.id}")
        return answer.facts[0]

    def tally(self) -> tuple[TallyFacts, ...]:
        """Return who has computed how much of it."""
        return self.facts().volunteers

    def cancel(self) -> None:
        """Stop it; running tasks are ended."""
        self._link.request(CancelJob(self.id))
