"""What a volunteer owes to one durable job: copies of results, and whom to offer them.

A copy is offered to the job's keepers in rounds: in each of them to everyone once, one
after the other, until one says that enough of them hold it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import RangeResult


@dataclass(eq=False, slots=True)
class Copy:
    """Signed results of one job, and the values that are too big for the message.

    Attributes:
        size: Bytes of both.
        at: The keeper that it is being offered to.
        queued: It waits for a keeper that has room for it.
        due: When to offer it again, on the loop's clock.
        tried: Keepers that it was offered to in this round, one after the other.
    """

    batch: Signed
    results: tuple[RangeResult, ...]
    blobs: tuple[bytes, ...]
    size: int
    at: KeeperLink | None = None
    queued: bool = False
    due: float = 0.0
    tried: dict[KeeperLink, None] = field(default_factory=dict)

    def new_round(self, *, alone: bool) -> None:
        """Let keepers be tried again, but first others than the last one."""
        last = list(self.tried)[-1:]
        self.tried = {} if alone else dict.fromkeys(last)


@dataclass(eq=False, slots=True)
class Owed:
    """What we owe to one job.

    Attributes:
        id: The job.
        until: When everyone may forget it, on the loop's clock.
        copies: Its copies, oldest first.
        queue: Those that wait for a keeper that has room for them.
        links: Its keepers that can be reached.
        peers: Its keepers, as far as they have been seen.
        shunned: Keepers that call our results a fault: asking again would not help.
        over: Keepers that have said that the job is over.
    """

    id: JobId
    until: float
    copies: dict[Copy, None] = field(default_factory=dict)
    queue: deque[Copy] = field(default_factory=deque)
    links: dict[PeerId, KeeperLink] = field(default_factory=dict)
    peers: dict[PeerId, None] = field(default_factory=dict)
    shunned: set[PeerId] = field(default_factory=set)
    over: set[PeerId] = field(default_factory=set)

    def meet(self, link: KeeperLink) -> bool:
        """Note a keeper; return whether it is new, or has come back."""
        if self.links.get(link.peer) is link:
            return False
        self.links[link.peer] = link
        self.peers[link.peer] = None
        return True

    def put(self, copy: Copy, *, first: bool = False) -> None:
        """Queue a copy, unless it is queued or under way."""
        if copy in self.copies and copy.at is None and not copy.queued:
            copy.queued = True
            (self.queue.appendleft if first else self.queue.append)(copy)

    def untried(self, copy: Copy) -> list[KeeperLink]:
        """Return the keepers that it could be offered to in this round."""
        return [
            link
            for peer, link in self.links.items()
            if link not in copy.tried and peer not in self.shunned
        ]
