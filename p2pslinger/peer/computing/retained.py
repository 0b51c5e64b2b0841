"""Copies of results of durable jobs, kept until enough keepers hold them.

- A result is offered at once, to the keeper that has granted it if that is still there.
- A keeper that takes it says whether enough of them hold it now; then the copy goes.
- Otherwise it is offered again: to a keeper that has just come, or come back; at once
  to another one if the first is gone or can't take it; and else after a while.
- No copy outlives its job's keep-until, as keepers have told it last. There is room for
  so many; the oldest goes if there are more, and the owner hears of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set

from p2pslinger import limits
from p2pslinger.errors import ConnectionLostError, PeerError, SlingerError
from p2pslinger.ids import JobId, PeerId, short
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.outcomes import Finished
from p2pslinger.peer.computing.owed import Copy, Owed
from p2pslinger.peer.computing.roster import Roster
from p2pslinger.peer.events import Acknowledged, Dropped, Events
from p2pslinger.rules.replica import item_id
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.messages import Delivered
from p2pslinger.wire.records import ResultBatch

#: Seconds after which a copy is offered again that not enough keepers hold: they have
#: had the time to tell each other.
AGAIN = 30.0

#: Copies, and their bytes, that a volunteer keeps: results of an hour without a keeper,
#: in memory that a machine with slots can spare.
COPIES, ROOM = 4096, 256 * limits.MIB

#: Copies that are on their way to one keeper at a time: enough to fill a connection,
#: and no burst of thousands when it comes back.
OFFERS = 64


class Retained:
    """The copies of a volunteer's results.

    Args:
        loop: Gives the time of leases and pauses.
        wall: Gives the wall time, seconds.
        sign: Signs results.
        roster: Knows the keepers that can be reached.
        events: Where to report what is lost.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        wall: Callable[[], float],
        sign: Callable[[ResultBatch], Signed],
        roster: Roster,
        events: Events,
    ) -> None:
        self._loop = loop
        self._wall = wall
        self._sign = sign
        self._roster = roster
        self._events = events
        self._owed: dict[JobId, Owed] = {}
        self._all: dict[Copy, Owed] = {}  # oldest first
        self._busy: dict[KeeperLink, int] = {}  # offers under way
        self._later: deque[tuple[float, Copy]] = deque()  # by when they are due
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._pumping = False
        #: Bytes of all copies.
        self.size = 0

    def __len__(self) -> int:
        return len(self._all)

    def take(self, job: JobHere, keeper: KeeperLink, part: Sequence[Finished]) -> None:
        """Keep a copy of results that belong together, and offer it.

        Args:
            job: Their job.
            keeper: Whoever has granted them.
            part: What fits one message, as `outcomes.batches` says.
        """
        results = tuple(one.result for one in part)
        blobs = tuple(one.blob for one in part if one.blob is not None)
        batch = self._sign(ResultBatch(results))
        size = len(batch.body) + sum(map(len, blobs))
        owed = self._owed.get(job.id)
        if owed is None:
            left = job.manifest.keep_until - self._wall()
            owed = self._owed[job.id] = Owed(job.id, self._loop.time() + left)
        copy = Copy(batch, results, blobs, size)
        self._all[copy] = owed
        owed.copies[copy] = None
        self.size += size
        self._meet(owed)
        granter = owed.links.get(keeper.peer)
        if granter is not None and not owed.queue and self._has_room(granter):
            self._offer(owed, copy, granter)
        else:
            owed.put(copy)
            self._pump(owed)
        self._make_room()

    def look(self) -> None:
        """See whether there are keepers now that were not there before."""
        for owed in list(self._owed.values()):
            if self._meet(owed):
                for copy in owed.copies:
                    owed.put(copy)
            self._pump(owed)

    def lose(self, keeper: KeeperLink) -> None:
        """A keeper is gone: what was on its way to it goes to another."""
        self._busy.pop(keeper, None)
        for owed in list(self._owed.values()):
            if owed.links.get(keeper.peer) is keeper:
                del owed.links[keeper.peer]
            for copy in owed.copies:
                if copy.at is keeper:
                    copy.at = None
                    owed.put(copy)
            self._pump(owed)

    def over(self, job: JobId, told_by: PeerId) -> None:
        """A keeper says that a job is over: ask whether the copies are needed still.

        If it was computed, that keeper may be the only one with all results; if it was
        cancelled, the keeper takes none of them.
        """
        owed = self._owed.get(job)
        if owed is not None:
            owed.over.add(told_by)
            for copy in owed.copies:
                copy.tried.clear()
                owed.put(copy)
            self._pump(owed)

    def owed(self) -> Mapping[JobId, Set[PeerId]]:
        """Return the jobs that we owe something to, and their keepers."""
        return {job: owed.peers.keys() for job, owed in self._owed.items()}

    def close(self) -> None:
        """Offer nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    # --- offering -----------------------------------------------------------------

    def _meet(self, owed: Owed) -> bool:
        """Note the keepers of a job; return whether any of them is new."""
        new = [link for link in self._roster.of(owed.id) if owed.meet(link)]
        return bool(new)

    def _has_room(self, link: KeeperLink) -> bool:
        return self._busy.get(link, 0) < OFFERS

    def _pump(self, owed: Owed) -> None:
        """Offer what is queued, as far as keepers have room for it."""
        while owed.queue and not self._closed:
            copy = owed.queue[0]
            untried = owed.untried(copy) if copy in owed.copies else []
            link = next((one for one in untried if self._has_room(one)), None)
            if untried and link is None:
                return  # the rest waits for the same ones
            owed.queue.popleft()
            copy.queued = False
            if link is not None:
                self._offer(owed, copy, link)
            elif copy in owed.copies:
                self._put_off(copy)

    def _pump_all(self) -> None:
        self._pumping = False
        for owed in list(self._owed.values()):
            self._pump(owed)

    def _offer(self, owed: Owed, copy: Copy, link: KeeperLink) -> None:
        def told(answer: Delivered | SlingerError) -> None:
            if link in self._busy:
                self._busy[link] -= 1
            if copy.at is link:
                copy.at = None
                if copy in self._all:
                    self._told(owed, copy, link, answer)
            if not self._pumping and any(one.queue for one in self._owed.values()):
                self._pumping = True  # soon: a keeper may answer within `offer`
                self._loop.call_soon(self._pump_all)

        copy.at = link
        copy.tried[link] = None
        self._busy[link] = self._busy.get(link, 0) + 1
        link.offer(copy.batch, copy.results, copy.blobs, told)

    def _told(
        self, owed: Owed, copy: Copy, link: KeeperLink, answer: Delivered | SlingerError
    ) -> None:
        """Take a keeper's answer about a copy."""
        if isinstance(answer, PeerError):
            owed.shunned.add(link.peer)
        gone = isinstance(answer, ConnectionLostError)
        count = len(copy.results)
        taken = isinstance(answer, Delivered) and len(answer.refused) < count
        if isinstance(answer, Delivered) and taken:
            batch = item_id(copy.batch)
            ranges = tuple((one.start, one.stop) for one in copy.results)
            self._events.emit(Acknowledged(owed.id, batch, answer.kept, ranges))
            left = answer.until - self._wall()  # the job may have been extended
            owed.until = max(owed.until, self._loop.time() + left)
        if isinstance(answer, Delivered) and answer.enough:
            self._drop(copy)
        elif taken:
            self._put_off(copy)
        elif link.peer in owed.over and not gone:
            self._drop(copy)
        else:
            owed.put(copy, first=True)

    # --- time ---------------------------------------------------------------------

    def _put_off(self, copy: Copy) -> None:
        """Offer a copy again after a while."""
        if copy in self._all:
            copy.due = self._loop.time() + AGAIN
            self._later.append((copy.due, copy))
            self._wind()

    def _wind(self) -> None:
        if self._timer is None and self._later and not self._closed:
            self._timer = self._loop.call_at(self._later[0][0], self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        now = self._loop.time()
        for owed in [one for one in self._owed.values() if one.until <= now]:
            self._give_up(list(owed.copies), "its job has reached its keep-until")
        while self._later and self._later[0][0] <= now:
            due, copy = self._later.popleft()
            if copy in self._all and copy.due == due and copy.at is None:
                owed = self._all[copy]
                if not owed.untried(copy):
                    copy.new_round(alone=len(owed.links) < 2)
                owed.put(copy)
        self._pump_all()
        self._wind()

    # --- room ---------------------------------------------------------------------

    def _make_room(self) -> None:
        """Drop the oldest copies of too many, but never the last one."""
        lost: list[Copy] = []
        for copy in self._all:
            count = len(self._all) - len(lost)
            size = self.size - sum(one.size for one in lost)
            if count <= 1 or (count <= COPIES and size <= ROOM):
                break
            lost.append(copy)
        self._give_up(lost, f"there were {len(self._all)} copies already")

    def _give_up(self, copies: Sequence[Copy], why: str) -> None:
        for copy in copies:
            text = f"a result of job {short(self._all[copy].id)} is kept no longer, "
            self._events.emit(Dropped("result", f"{text}though few keep it: {why}"))
            self._drop(copy)

    def _drop(self, copy: Copy) -> None:
        owed = self._all.pop(copy)
        self.size -= copy.size
        del owed.copies[copy]
        if not owed.copies:
            del self._owed[owed.id]
