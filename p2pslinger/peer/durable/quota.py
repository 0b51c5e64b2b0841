"""How much this peer keeps for others, and how much of that it may: items and blobs.

Jobs that this peer owns are its own business. Whoever would have it keep more of
somebody's jobs than there is room for is refused, and this machine's owner hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from p2pslinger.errors import UnavailableError
from p2pslinger.ids import PeerId, short
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.events import Noted
from p2pslinger.rules.preferences import DISK
from p2pslinger.wire.ownfacts import KeepingFacts

#: Bytes that this peer keeps for others, all together and for one submitter.
QUOTA = DISK
SUBMITTER_QUOTA = 500_000_000


class Quota:
    """The room that this peer gives to others' jobs.

    Args:
        means: Has the store of items, and tells of a disk in trouble.
        held: Gives the jobs that are here.
        willing: The owner wants this peer to keep jobs for others.
    """

    def __init__(
        self, means: Means, held: Callable[[], Iterable[Held]], *, willing: bool
    ) -> None:
        self._means = means
        self._held = held
        self._willing = willing
        #: Bytes that this peer keeps for others, at most.
        self.most = QUOTA
        #: This peer will stop, and gives what it keeps to others.
        self.leaving = False

    @property
    def keeps(self) -> bool:
        """Whether this peer keeps jobs for others at all."""
        return self._willing and self.most > 0 and not self.leaving

    def check(self, submitter: PeerId, adding: int = 0) -> None:
        """Check that there is room to keep more of somebody's jobs.

        Args:
            submitter: Whose they are.
            adding: Bytes that would come to what is here.

        Raises:
            UnavailableError: there is none.
        """
        if self.leaving:
            raise UnavailableError("this peer is about to stop, and keeps no more")
        jobs = self._jobs()
        sizes = self._means.store.sizes()
        theirs = [job for job in jobs if job.kept.submitter == submitter]
        used = sizes.get(submitter, 0) + _blobs(theirs)
        if used + adding > min(SUBMITTER_QUOTA, self.most):
            self._refuse(f"keeps enough for submitter {short(submitter)}")
        if not self.most or self._used(sizes, jobs) + adding > self.most:
            self._refuse("keeps as much as its owner allows")
        if self._means.journal.trouble:
            raise UnavailableError(f"this peer's disk: {self._means.journal.trouble}")

    def facts(self) -> KeepingFacts:
        """Return what is kept for others."""
        jobs = self._jobs()
        used = self._used(self._means.store.sizes(), jobs)
        return KeepingFacts(self.keeps, len(jobs), used, self.most)

    def _jobs(self) -> list[DurableJob]:
        """Return the jobs that are kept for others."""
        jobs = (held.job for held in self._held())
        return [job for job in jobs if job.is_keeper and job.key is None]

    def _used(self, sizes: Mapping[PeerId, int], jobs: Iterable[DurableJob]) -> int:
        own = sizes.get(self._means.me.id, 0)
        return sum(sizes.values()) - own + _blobs(jobs)

    def _refuse(self, why: str) -> None:
        self._means.events.emit(Noted(f"this peer {why}, and takes no more"))
        raise UnavailableError(f"this peer {why}")


def _blobs(jobs: Iterable[DurableJob]) -> int:
    return sum(job.blob_bytes for job in jobs)
