"""An assignment: what one slot was given at once, and what it lacks to begin."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from p2pslinger import limits
from p2pslinger.peer.computing.jobshere import JobHere, Placed
from p2pslinger.peer.computing.keepers import KeeperLink, OwnKeeper, RemoteKeeper
from p2pslinger.peer.computing.kind import USUAL, Kind
from p2pslinger.wire.messages import Grant


@dataclass(eq=False)
class Assignment:
    """What one slot was given at once: grants of one job.

    Attributes:
        keeper: Who granted them.
        job: Their job.
        kind: What kind of slot it has to have.
        left: Grants without an outcome, in order.
    """

    keeper: KeeperLink
    job: JobHere
    kind: Kind = USUAL
    left: deque[Grant] = field(default_factory=deque)

    @property
    def timeout(self) -> float | None:
        """Seconds that a task of it may take; None for as long as it likes."""
        wish = self.job.manifest.policy.timeout
        if self.kind.is_own:
            return wish
        return min(wish or limits.TASK_SECONDS, limits.TASK_SECONDS)

    @property
    def is_complete(self) -> bool:
        """Whether everything that it needs is here."""
        shards = self.shards()
        return (
            self.job.code is not None
            and shards is not None
            and not self.job.missing(shards)
            and next(self.job.missing_shared(shards), None) is None
        )

    def shards(self) -> list[Placed] | None:
        """Return the shards that it needs, or None if one is unknown."""
        found: dict[int, Placed] = {}
        for grant in self.left:
            placed = self.job.shards_of(grant.start, grant.stop)
            if placed is None:
                return None
            found.update((one.number, one) for one in placed)
        return list(found.values())

    async def fetch_next(self) -> bool:
        """Fetch one thing that is not here yet; return whether there was any.

        Raises:
            UnavailableError: its keeper is gone, or no longer has it.
            PeerError: its keeper has sent something else.
        """
        job, keeper = self.job, self.keeper
        if job.code is None:
            function = job.manifest.function
            code = await keeper.fetch(job.id, function.digest, function.size)
            job.put_code(bytes(code))  # who unpacks it wants no view
            return True
        for placed in job.missing(self.shards() or ()):
            head = placed.head
            data = await keeper.fetch(job.id, head.digest, head.size)
            # Our library has checked it chunk by chunk, or has made its name.
            checked = isinstance(keeper, RemoteKeeper | OwnKeeper)
            job.put(placed, data, checked=checked)
            return True
        for one in job.missing_shared(self.shards() or ()):
            data = await keeper.fetch(job.id, one.digest, one.size)
            job.put_shared(one.digest, data)
            return True
        return False
