"""The submitter: programs' jobs, from their first argument to their last result.

A throw-away job lives in this peer's memory for as long as the program's connection.
This peer holds the job key: it signs the shards, decides which results count, and
writes the receipts. (Jobs that outlive their program: `p2pslinger.peer.durable`.)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import msgspec

from p2pslinger import limits
from p2pslinger.errors import UnavailableError, UsageError
from p2pslinger.ids import GridId, JobId, PeerId, starting_with
from p2pslinger.peer.durable.settled import Follower
from p2pslinger.peer.events import Events, JobClosed, JobOpened
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.programs.ownjob import OwnJob
from p2pslinger.peer.programs.unread import Attic, Unread
from p2pslinger.peer.seats import KeptJob
from p2pslinger.rules.board import Board
from p2pslinger.wire.blobs import ChunkList, blob_digest
from p2pslinger.wire.control import OpenJob, ShardIn
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.manifest import (
    Manifest,
    job_id,
    seal_manifest,
)
from p2pslinger.wire.records import (
    Control,
    Notice,
    Receipt,
    seal,
)


class Submitter:
    """The jobs that were submitted at this peer.

    Args:
        loop: Gives the time.
        identity: Signs manifests, notices and receipts.
        grid: Which grid.
        wall: Gives the wall time, seconds.
        rng: Makes nonces and job keys.
        keeper: Hands out the work.
        events: Where to report.
        announce: Spreads a signed notice.
        receipts: Takes signed receipts, for the tally and for the volunteer.
        attic: Has the room for results that programs have not read.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        grid: GridId,
        wall: Callable[[], float],
        rng: random.Random,
        keeper: Keeper,
        events: Events,
        announce: Callable[[Signed], None],
        receipts: Callable[[PeerId, Signed, Receipt], None],
        attic: Attic,
    ) -> None:
        self._loop = loop
        self._identity = identity
        self._grid = grid
        self._wall = wall
        self._rng = rng
        self._keeper = keeper
        self._events = events
        self._announce = announce
        self._receipts = receipts
        self._attic = attic
        self.jobs: dict[JobId, OwnJob] = {}

    def open(self, ask: OpenJob, code: bytes, program: Follower) -> OwnJob:
        """Submit a job; its arguments follow.

        Raises:
            UsageError: the function's bytes are not the ones that it names.
        """
        function = ask.function
        if blob_digest(code) != function.digest or len(code) != function.size:
            raise UsageError("the function's bytes do not fit its description")
        now = self._wall()
        key = Identity(self._rng.randbytes(32))
        manifest = Manifest(
            self._rng.randbytes(16),
            ask.name,
            self._identity.public,
            key.public,
            function,
            ask.policy,
            now,
            now + limits.KEEP,
            ask.needs,
        )
        signed = seal_manifest(manifest, self._identity, self._grid)
        job = job_id(signed)
        own = OwnJob(
            kept=None,  # type: ignore[arg-type]  # the two name each other
            key=key,
            program=program,
            over=self._over,
            values=Unread(job, self._attic),
            code=code,
        )
        own.kept = KeptJob(
            job,
            manifest,
            signed,
            self._identity.id,
            self._loop.time(),
            Board(job, self._rng.randbytes(32), numbers=self._keeper.numbers),
            own,
        )
        self.jobs[job] = own
        self._keeper.keep(own.kept)
        self._events.emit(JobOpened(job, ask.name))
        self._notify(own, is_open=True)
        return own

    def append(self, job: OwnJob, shards: list[tuple[ShardIn, bytes]]) -> None:
        """Append arguments to a job.

        Raises:
            UsageError: it is sealed.
        """
        if job.kept.board.cancelled:
            return
        self._keeper.appended(job.kept, job.append(shards))

    def seal(self, job: OwnJob) -> None:
        """Nothing more will be appended."""
        board = job.kept.board
        board.control(Control(job.id, board.sequence + 1, sealed=board.total))
        if job.kept.board.finished:
            self._over(job)

    def withdraw(self, job: OwnJob, start: int, stop: int) -> None:
        """Some tasks are no longer wanted."""
        self._keeper.withdraw(job.kept, start, stop)

    def cancel(self, job: OwnJob, text: str) -> None:
        """Stop a job for good, and tell its program why."""
        if not job.end:
            board = job.kept.board
            board.control(Control(job.id, board.sequence + 1, cancelled=True))
            self._close(job, "cancelled")
            job.program.ended("cancelled", text)

    def leave(self, job: OwnJob) -> None:
        """Its program has gone, or wants nothing more of the job."""
        self._close(job, "left by its program")
        job.values.end()
        self.jobs.pop(job.id, None)

    def blob(self, job: JobId, digest: bytes) -> bytes:
        """Return the bytes of a function, or of arguments that are still needed.

        Raises:
            UnavailableError: the job is over, or has nothing with that digest.
        """
        own = self.jobs.get(job)
        if own is None:
            raise UnavailableError("the job is over")
        if digest == own.kept.manifest.function.digest:
            return own.code
        shard = own.kept.shelf.find(digest)
        if shard is None:
            raise UnavailableError("the job has no such arguments any more")
        data = shard.data if shard.data is not None else own.arguments.get(digest)
        assert data is not None  # as long as the shard is on its shelf
        return data

    def chunks(self, job: JobId, digest: bytes) -> ChunkList | None:
        """Return what arguments that are still needed consist of, if that is known."""
        own = self.jobs.get(job)
        return None if own is None else own.arguments.chunks(digest)

    def find(self, text: str) -> OwnJob | None:
        """Return the job whose id is, or starts with, `text`; None if none is here.

        Raises:
            UsageError: several start with it, or it is a mistyped id.
        """
        found = starting_with(text, self.jobs)
        return None if found is None else self.jobs[found]

    def renew(self) -> None:
        """Say again which jobs are open, every `limits.NOTICE_EVERY` seconds."""
        for job in self.jobs.values():
            if not job.end:
                self._notify(job, is_open=True)

    def disown(self, notice: Notice) -> None:
        """A notice of ours, from before a crash, speaks of a job that is no more."""
        if notice.open and JobId(notice.job) not in self.jobs:
            closed = msgspec.structs.replace(
                notice, open=False, sequence=notice.sequence + 1
            )
            self._announce(seal(closed, self._identity, self._grid))

    def close(self) -> None:
        """The peer goes, and its jobs with it: tell everyone."""
        for job in list(self.jobs.values()):
            self._close(job, "gone with its peer")

    # --- inside -------------------------------------------------------------------

    def _over(self, job: OwnJob) -> None:
        """All tasks have an outcome."""
        self._close(job, "computed")

    def _close(self, job: OwnJob, why: str) -> None:
        if job.end:
            return
        self._keeper.drop(job.kept)
        job.close(why)
        self._notify(job, is_open=False)
        self._events.emit(JobClosed(job.id, why))
        self._receipt(job)

    def _notify(self, job: OwnJob, *, is_open: bool) -> None:
        job.notice += 1
        manifest = job.kept.manifest
        notice = Notice(
            job.id,
            self._identity.id,
            manifest.function.python,
            is_open,
            job.notice,
            self._wall() + limits.NOTICE_LIFE,
            manifest.needs,
        )
        self._announce(seal(notice, self._identity, self._grid))

    def _receipt(self, job: OwnJob) -> None:
        """Write down who contributed what."""
        for volunteer, credit in job.kept.board.credits.items():
            receipt = Receipt(
                job.id,
                self._identity.id,
                volunteer,
                credit.tasks,
                credit.cpu,
                credit.failures,
                job.notice,
                self._wall(),
            )
            signed = seal(receipt, self._identity, self._grid)
            self._receipts(volunteer, signed, receipt)
