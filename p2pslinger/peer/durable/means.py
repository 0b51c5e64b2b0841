"""What the durable jobs of a peer work with: the rest of the peer, as they see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from p2pslinger.ids import GridId, PeerId
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.crew import Crew
from p2pslinger.peer.events import Events
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.seats import KeptJob
from p2pslinger.store.jobs import JobStore
from p2pslinger.wire.identity import Identity, Signed


@dataclass(frozen=True)
class Means:
    """What all durable jobs of a peer work with.

    Attributes:
        loop: Gives the time.
        wall: Gives the wall time, seconds.
        grid: Which grid.
        me: Signs receipts and appointments.
        journal: Makes things durable.
        store: Where they go.
        library: Has the blobs.
        keeper: Hands out the work.
        events: Where to report.
        mine: Tells whether a peer's values are trusted like our own.
        credited: Called with every receipt, for this peer's tally.
        company: What is known of the volunteers.
        owner: Owns the tasks that compare results.
    """

    loop: asyncio.AbstractEventLoop
    wall: Callable[[], float]
    grid: GridId
    me: Identity
    journal: Journal
    store: JobStore
    library: Library
    keeper: Keeper
    events: Events
    mine: Callable[[PeerId], bool]
    credited: Callable[[Signed], None]
    company: Crew
    owner: Owner

    def unpickles(self, job: KeptJob, volunteer: PeerId) -> bool:
        """Tell whether programs of this machine may unpickle a job's values.

        It takes two: the submitter's function says what is returned, wherever it runs,
        in the sandbox of our own slots as well; and the volunteer can send anything.
        A submitter that asks for a sandbox does not trust the function.
        """
        trusted = self.mine(job.submitter) and not job.needs.sandbox
        return trusted and self.mine(volunteer)
