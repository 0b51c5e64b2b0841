"""Forgotten jobs: remembered as such, so that nobody who was away brings them back.

A tombstone holds the control record by which the job was forgotten: the proof, for
whoever still has the job, that it must. One of a job that has expired needs none.
"""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.errors import DiskError
from p2pslinger.ids import JobId
from p2pslinger.peer.journal import Journal
from p2pslinger.store.jobs import JobStore
from p2pslinger.wire.keeping import Item


class Tombstones(dict[JobId, tuple[float, Item | None]]):
    """By job until when it is remembered (wall time), and the proof.

    Args:
        journal: Writes.
        store: Where they are on disk.
    """

    def __init__(self, journal: Journal, store: JobStore) -> None:
        super().__init__()
        self._journal = journal
        self._store = store
        self._refused: list[Callable[[], None]] = []

    def load(self) -> None:
        """Take up those that are on disk."""
        self.update(self._store.buried())

    def bury(self, job: JobId, until: float, proof: Item | None) -> None:
        """Have the disk forget a job; again and again if it refuses to."""
        self[job] = (until, proof)

        def buried(error: DiskError | None) -> None:
            if error is not None:
                self._refused.append(lambda: self.bury(job, until, proof))

        store = self._store
        self._journal.write(lambda: store.bury(job, until, proof), buried, urgent=True)

    def drop(self, job: JobId, *, unless: Callable[[], bool]) -> None:
        """Have the disk drop a job for good, unless it is kept anew by then."""

        def dropped(error: DiskError | None) -> None:
            if error is not None:
                self._refused.append(lambda: self.drop(job, unless=unless))

        store = self._store
        if not unless():
            self._journal.write(lambda: store.drop(job), dropped, urgent=True)

    def write_again(self) -> None:
        """Do what the disk has refused to: it takes something again."""
        refused, self._refused = self._refused, []
        for again in refused:
            again()

    def prune(self, wall: float) -> None:
        """Drop those that nobody needs any more at some wall time."""
        over = [job for job, (until, _) in self.items() if until < wall]
        for job in over:
            del self[job]
        if over:
            store = self._store
            self._journal.write(lambda: store.prune_tombstones(wall))
