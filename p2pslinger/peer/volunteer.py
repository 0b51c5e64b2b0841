"""The volunteer: finds work for this peer's slots, and sends back what they compute.

Every slot has a station (`p2pslinger.peer.station`) with two places: one for the
running assignment, one for the next. For each free place a request is parked at every
keeper that has open jobs; the first answer takes the place, the others are taken back.

Whatever happens to a slot or to a keeper's connection, each grant ends in one of three
ways: its result is delivered, it is given back, or its keeper is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.peer.assignments import Assignment, JobHere, Placed
from p2pslinger.peer.events import Dropped, Events, SlotDied
from p2pslinger.peer.keepers import KeeperLink
from p2pslinger.peer.outcomes import Finished, batches, died, finished
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.station import Station
from p2pslinger.peer.timers import Heartbeat, Timeouts
from p2pslinger.sandbox.slot import Exit, Outcome, SlotSource
from p2pslinger.wire.manifest import job_id, open_manifest
from p2pslinger.wire.messages import GiveBack, Grant, Revoke, Want, Work

#: Seconds before a slot that could not be made is tried again: 1, 2, 4, ... at most 60.
FIRST_RETRY, LAST_RETRY = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms this peer computes.

    Attributes:
        grid: Which grid.
        host: This machine's name, for failures.
        pythons: Minor versions that its slots are.
        slots: How many.
        memory: Bytes each may use.
    """

    grid: GridId
    host: str
    pythons: tuple[str, ...]
    slots: int
    memory: int


class Volunteer:
    """This peer's slots at work.

    Args:
        loop: Gives the time.
        owner: Owns the tasks that start slots and fetch blobs.
        source: Makes slots.
        terms: How many, and for what.
        events: Where to report.
        at_fault: Called with a keeper that broke the protocol, and how.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        source: SlotSource,
        terms: Terms,
        events: Events,
        at_fault: Callable[[PeerId, PeerError], None],
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._source = source
        self._terms = terms
        self._events = events
        self._at_fault = at_fault
        self._keepers: list[KeeperLink] = []
        self._jobs: dict[JobId, JobHere] = {}
        self._numbers = 0
        self._wants = 0
        self._outbox: dict[KeeperLink, list[Finished]] = {}
        self._closing = False
        self.stations = [Station() for _ in range(terms.slots)]
        self._heartbeat = Heartbeat(loop, self.stations, self.revoke)
        self._timeouts = Timeouts(loop, self.stations)
        #: Tasks computed since the peer started.
        self.computed = 0
        #: Why the last slot could not be made, or "".
        self.broken = ""

    async def start(self) -> None:
        """Start the slots; they are ready soon after."""
        for station in self.stations:
            self._owner.spawn(self._staff(station))

    def close(self) -> None:
        """Take no more work; what runs is given back."""
        self._closing = True
        for station in self.stations:
            self._unwant(station, 0)
            self._abandon(station, list(station.assignments))
        self._heartbeat.close()
        self._timeouts.close()

    @property
    def busy(self) -> int:
        """Slots that compute something."""
        return sum(1 for station in self.stations if station.line)

    @property
    def ready(self) -> int:
        """Slots whose process is there."""
        return sum(1 for station in self.stations if station.slot is not None)

    # --- keepers ------------------------------------------------------------------

    def serve(self, keepers: Iterable[KeeperLink]) -> None:
        """Ask these keepers for work from now on, the first ones first."""
        self._keepers = list(keepers)[: limits.PARKED_AT]
        for station in self.stations:
            self._fill(station)

    def working_for(self) -> set[KeeperLink]:
        """Return the keepers whose assignments our stations hold."""
        return {one.keeper for s in self.stations for one in s.assignments}

    def lose(self, keeper: KeeperLink) -> None:
        """A keeper is gone, and what we compute for it has lost its purpose."""
        self._keepers = [one for one in self._keepers if one is not keeper]
        self._outbox.pop(keeper, None)
        for station in self.stations:
            station.wants = {
                number: want
                for number, want in station.wants.items()
                if want[0] is not keeper
            }
            mine = [one for one in station.assignments if one.keeper is keeper]
            self._abandon(station, mine, tell=False)

    def revoke(self, keeper: PeerId, revoke: Revoke) -> None:
        """Stop some grants of a job; without any named, the job is over."""
        numbers = set(revoke.grants)
        for station in self.stations:
            hit = [
                one
                for one in station.assignments
                if one.keeper.peer == keeper
                and one.job.id == revoke.job
                and (not numbers or any(g.grant in numbers for g in one.left))
            ]
            self._abandon(station, hit)
        if not numbers:
            job = self._jobs.pop(JobId(revoke.job), None)
            if job is not None:
                for station in self.stations:
                    station.forget(job.number)

    def _fill(self, station: Station) -> None:
        """Park a request for each free place at each keeper; take back the others."""
        free = 0 if self._closing else station.free
        self._unwant(station, free)
        for keeper in self._keepers:
            parked = [queued for one, queued in station.wants.values() if one is keeper]
            for _ in range(free - len(parked)):
                queued = bool(station.assignments) or False in parked
                parked.append(queued)
                self._want(station, keeper, queued)

    def _unwant(self, station: Station, free: int) -> None:
        """Take back the requests that are more than `free` at a keeper."""
        room = dict.fromkeys(self._keepers, free)
        for number, (keeper, _) in list(station.wants.items()):
            if room.get(keeper, 0) > 0:
                room[keeper] -= 1
            else:
                del station.wants[number]
                keeper.unwant(number)

    def _want(self, station: Station, keeper: KeeperLink, queued: bool) -> None:
        self._wants += 1
        number = self._wants

        def answered(work: Work) -> None:
            if station.wants.pop(number, None) is None:
                self._refuse(keeper, work.grants)  # it crossed our taking it back
            elif work.grants:
                self._take(station, keeper, work)

        station.wants[number] = (keeper, queued)
        keeper.want(Want(number, self._terms.pythons, queued), answered)

    # --- work comes in ------------------------------------------------------------

    def _take(self, station: Station, keeper: KeeperLink, work: Work) -> None:
        try:
            job = self._read(keeper, work)
        except PeerError as error:
            self._events.emit(Dropped("work", str(error)))
            self._at_fault(keeper.peer, error)
            return
        if job is None or not station.free:
            self._refuse(keeper, work.grants, forgot=job is None)
        else:
            assignment = Assignment(keeper, job)
            assignment.left.extend(work.grants)
            if assignment.shards() is None:
                self._refuse(keeper, work.grants, forgot=True)
            else:
                station.assignments.append(assignment)
                self._prepare(station, assignment)
        self._fill(station)
        self._heartbeat.go_on()

    def _read(self, keeper: KeeperLink, work: Work) -> JobHere | None:
        """Check what came with an assignment; return its job if we know it."""
        for signed in work.manifests:
            job = job_id(signed)
            if job not in self._jobs:
                manifest = open_manifest(signed, self._terms.grid)
                self._numbers += 1
                self._jobs[job] = JobHere(self._numbers, job, manifest)
        here = self._jobs.get(JobId(work.grants[0].job))
        if here is None:
            return None
        for batch in work.batches:
            here.add_batch(batch, keeper.peer, self._terms.grid)
        for shard in work.shards:
            here.add_data(shard)
        return here

    def _prepare(self, station: Station, assignment: Assignment) -> None:
        """Begin an assignment, now or when all that it needs is here."""
        job = assignment.job
        missing = [p for p in assignment.shards() or () if job.data(p) is None]
        other = station.submitter not in (None, job.submitter)
        if job.code is None or missing or other:
            self._owner.spawn(self._get_ready(station, assignment, missing))
        else:
            self._begin(station, assignment)

    async def _get_ready(
        self, station: Station, assignment: Assignment, missing: Sequence[Placed]
    ) -> None:
        """Fetch what is too big for a message, and give each submitter a fresh slot."""
        job, keeper = assignment.job, assignment.keeper
        function = job.manifest.function
        try:
            if job.code is None:
                job.code = await keeper.fetch(job.id, function.digest, function.size)
            for placed in missing:
                if job.data(placed) is None:
                    head = placed.head
                    data = await keeper.fetch(job.id, head.digest, head.size)
                    job.put(placed, data)
        except SlingerError as error:
            self._events.emit(Dropped("fetch", str(error)))
            self._abandon(station, [assignment])
            return
        if station.submitter not in (None, job.submitter):
            self._abandon(station, [assignment])
            if not station.line and station.slot is not None:
                station.killed = "it has worked for another submitter"
                station.slot.kill()
            return
        self._begin(station, assignment)

    def _begin(self, station: Station, assignment: Assignment) -> None:
        if assignment in station.assignments and station.slot is not None:
            station.begin(assignment)
            self._timeouts.watch(assignment.job.manifest.policy.timeout)

    # --- results go out -----------------------------------------------------------

    def _done(self, station: Station, outcome: Outcome) -> None:
        assignment, grant = station.line.popleft()
        if assignment not in station.assignments:
            return  # it has been given back, and the slot is being ended
        assignment.left.popleft()
        if not assignment.left:  # first: its job may be over once the result is told
            station.assignments.remove(assignment)
        if outcome.stop > outcome.start:
            self.computed += outcome.stop - outcome.start
            result = finished(grant, outcome, self._terms.host)
            self._send(assignment, result, more=bool(station.line))
        else:
            self._refuse(assignment.keeper, (grant,))
        if not assignment.left:
            assignment.job.prune(
                placed.number
                for one in station.assignments
                for placed in one.shards() or ()
            )
            station.shed()
            self._fill(station)

    def _send(
        self, assignment: Assignment, result: Finished, *, more: bool = False
    ) -> None:
        """Send a result: at once, or if more are about to come, together with them."""
        if not self._outbox and more:
            self._loop.call_soon(self._flush)
        self._outbox.setdefault(assignment.keeper, []).append(result)
        if not more:
            self._flush()

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, {}
        for keeper, results in outbox.items():
            for part in batches(results):
                blobs = [one.blob for one in part if one.blob is not None]
                keeper.deliver([one.result for one in part], blobs)

    def _refuse(
        self, keeper: KeeperLink, grants: Iterable[Grant], *, forgot: bool = False
    ) -> None:
        by_job: dict[bytes, list[int]] = {}
        for grant in grants:
            by_job.setdefault(grant.job, []).append(grant.grant)
        for job, numbers in by_job.items():
            keeper.give_back(GiveBack(job, tuple(numbers), forgot))

    # --- slots come and go --------------------------------------------------------

    async def _staff(self, station: Station) -> None:
        """Give a station a process; try again for as long as it takes."""
        wait = FIRST_RETRY
        while True:
            try:
                slot = await self._source.slot(
                    lambda outcome: self._done(station, outcome),
                    lambda exit: self._exited(station, exit),
                    self._terms.memory,
                )
            except UnavailableError as error:
                self.broken = str(error)
                await asyncio.sleep(wait)
                wait = min(LAST_RETRY, wait * 2)
            else:
                self.broken = ""
                station.slot = slot
                self._fill(station)
                return

    def _exited(self, station: Station, exit: Exit) -> None:
        """A slot is gone: charge the task that it was at, give back the rest."""
        killed, line = station.killed, list(station.line)
        held = station.emptied()
        if line and (not killed or killed == "timeout"):
            assignment, grant = line[0]
            lost = died(grant, exit, killed, self._terms, assignment.job)
            self._events.emit(SlotDied(assignment.job.id, lost.result.start, lost.how))
            self._send(assignment, lost)
            assignment.left.popleft()
        elif not killed and not self._closing:
            self._events.emit(SlotDied(None, None, "it ended by itself"))
        for assignment in held:
            if assignment.left:
                self._refuse(assignment.keeper, assignment.left)
        self._unwant(station, 0)
        if not self._closing:
            self._owner.spawn(self._staff(station))

    def _abandon(
        self, station: Station, assignments: list[Assignment], *, tell: bool = True
    ) -> None:
        """Drop assignments: take them off, and end the slot if it has begun them."""
        begun = False
        for assignment in assignments:
            if assignment not in station.assignments:
                continue
            station.assignments.remove(assignment)
            begun = begun or assignment.begun
            if tell:
                self._refuse(assignment.keeper, assignment.left)
        if begun and station.slot is not None:
            station.killed = station.killed or "no longer wanted"
            station.slot.kill()
        elif assignments:
            self._fill(station)
