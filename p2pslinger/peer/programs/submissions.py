"""What a program can do with a job that it follows, of whichever kind the job is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from p2pslinger.ids import JobId
from p2pslinger.peer.blobs.shared import SharedValues
from p2pslinger.peer.durable.settled import Follower
from p2pslinger.peer.programs.ownjob import OwnJob
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.wire.control import ShardIn
from p2pslinger.wire.owning import KeptBy


class Submission(Protocol):
    """A job, as a program of this machine sees it."""

    @property
    def id(self) -> JobId:
        """Its id."""

    def append(self, shards: Sequence[tuple[ShardIn, bytes]]) -> None:
        """Append arguments; each description comes with its bytes.

        Raises:
            UsageError: it is sealed, or this program has not opened it.
        """

    def seal(self) -> None:
        """Say that nothing more will be appended."""

    def withdraw(self, start: int, stop: int) -> None:
        """Say that some tasks are no longer wanted."""

    def leave(self, follower: Follower) -> None:
        """A program has gone, or wants nothing more of the job."""

    async def values(self, digest: bytes) -> bytes:
        """Return values that are a blob.

        Raises:
            UnavailableError: nobody has them any more.
        """

    def disclaim(self, digest: bytes) -> None:
        """Hear that a program will not ask for values."""

    async def kept(self, timeout: float) -> KeptBy:
        """Return how many keepers hold it, when that is enough or time is up."""


class ThrowAway:
    """A throw-away job, as the program that has opened it sees it.

    Args:
        submitter: Runs it.
        job: The job.
        shared: Has what its arguments refer to.
    """

    def __init__(self, submitter: Submitter, job: OwnJob, shared: SharedValues) -> None:
        self._submitter = submitter
        self._job = job
        self._shared = shared

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self._job.id

    def append(self, shards: Sequence[tuple[ShardIn, bytes]]) -> None:
        """Append arguments.

        Raises:
            UsageError: it is sealed.
        """
        self._submitter.append(self._job, list(shards))

    def seal(self) -> None:
        """Say that nothing more will be appended."""
        self._submitter.seal(self._job)

    def withdraw(self, start: int, stop: int) -> None:
        """Have some tasks computed by nobody."""
        self._submitter.withdraw(self._job, start, stop)

    def leave(self, follower: Follower) -> None:
        """End the job with its program."""
        self._submitter.leave(self._job)
        self._shared.end(self._job.id)

    async def values(self, digest: bytes) -> bytes:
        """Return values that are a blob, once.

        Raises:
            UnavailableError: they were taken before.
        """
        return await self._job.values.take(digest)

    def disclaim(self, digest: bytes) -> None:
        """Drop values that are a blob."""
        self._job.values.drop(digest)

    async def kept(self, timeout: float) -> KeptBy:
        """Return that it is kept nowhere else."""
        return KeptBy(1, 1)
