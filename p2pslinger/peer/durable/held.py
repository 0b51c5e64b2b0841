"""A durable job here, and those who keep it with us."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from p2pslinger.peer.durable.fellows import Fellows
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.sharing import Sharing
from p2pslinger.rules.keeping import Places


@dataclass(eq=False)
class Held:
    """A durable job here, and those who keep it with us.

    Attributes:
        job: The job.
        fellows: Everyone else who keeps or owns it.
        sharing: What the keepers tell each other of their grants.
        compared: When its replicas were compared last, on the loop's clock.
        forgetting: It will be deleted in a moment.
        missing: Blobs that it should have here, by digest, with their sizes.
        reading: A task looks for news of it, because it is not kept here.
        invited: When this peer was asked to keep it, on the loop's clock.
        submitter_seen: When its submitter's peer was connected last.
        look_at: When its keepers are looked for again, where they are not known.
        pause: Seconds between the last two times.
        on_change: Called when another keeper may hold more of it than before.
    """

    job: DurableJob
    fellows: Fellows
    sharing: Sharing
    compared: float
    forgetting: bool = False
    missing: dict[bytes, int] = field(default_factory=dict)
    reading: bool = False
    submitter_seen: float = float("-inf")
    invited: float = float("-inf")
    look_at: float = 0.0
    pause: float = 0.0
    on_change: list[Callable[[], None]] = field(default_factory=list)

    def changed(self) -> None:
        """Tell whoever waits that another keeper may hold more of it."""
        if self.job.kept.board.waits:
            self.begin(any(one.agrees for one in self.fellows.there()))
        for heard in list(self.on_change):
            heard()

    def begin(self, knows: bool) -> None:
        """Hand out tasks, if this peer `knows` what the other keepers have."""
        if knows:
            self.job.kept.board.waits = False
            self.job.means.keeper.settle(self.job.kept)

    @property
    def state(self) -> str:
        """What people are told: "open", "paused", "computed" or "cancelled"."""
        board, end = self.job.kept.board, self.job.end
        if end == "gone":
            return "cancelled"
        complete = board.sealed and board.done.count >= board.total
        if not self.job.is_keeper and complete:
            return "computed"
        return end or ("paused" if board.paused else "open")

    @property
    def wanted(self) -> int:
        """How many keepers it should have besides its submitter's peer."""
        newest = self.job.replica.standing.newest
        return newest.wanted if newest is not None else 0

    @property
    def places(self) -> Places:
        """Who keeps it."""
        return self.job.replica.places
