"""The volunteer: finds work for this peer's slots, and sends back what they compute.

Every slot has a station (`p2pslinger.peer.station`) with two places: one for the
running assignment, one for the next. `Parking` asks keepers for what is to fill them,
`Staffing` gives stations their slots.

Whatever happens to a slot or to a keeper's connection, each grant ends in one of three
ways: its result is delivered, it is given back, or its keeper is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from p2pslinger.errors import PeerError, SlingerError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.peer.assignments import Assignment, JobHere
from p2pslinger.peer.events import Dropped, Events, SlotDied
from p2pslinger.peer.keepers import KeeperLink
from p2pslinger.peer.outcomes import Finished, batches, died, finished
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.parking import Parking
from p2pslinger.peer.staffing import Staffing
from p2pslinger.peer.station import Station
from p2pslinger.peer.timers import Heartbeat, Timeouts
from p2pslinger.sandbox.slot import Exit, Outcome, SlotSource
from p2pslinger.wire.manifest import job_id, open_manifest
from p2pslinger.wire.messages import GiveBack, Grant, Revoke, Work

#: Seconds that a slot has to skip an order that was taken back before it began. If it
#: has begun it after all, the slot is ended.
SKIP = 0.05


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
        self._terms = terms
        self._events = events
        self._at_fault = at_fault
        self._jobs: dict[JobId, JobHere] = {}
        self._numbers = 0
        self._outbox: dict[KeeperLink, list[Finished]] = {}
        self._closing = False
        self.stations = [Station() for _ in range(terms.slots)]
        self._parking = Parking(
            loop, terms.pythons, self.stations, took=self._take, refuse=self._refuse
        )
        self._staffing = Staffing(
            loop,
            owner,
            source,
            terms.memory,
            done=self._done,
            exited=self._exited,
            ready=self._parking.fill,
        )
        self._heartbeat = Heartbeat(loop, self.stations, self.revoke)
        self._timeouts = Timeouts(loop, self.stations)
        #: Tasks computed since the peer started.
        self.computed = 0

    async def start(self) -> None:
        """Start the slots; they are ready soon after."""
        for station in self.stations:
            self._staffing.staff(station)

    def close(self) -> None:
        """Take no more work; what runs is given back."""
        self._closing = True
        self._parking.close()
        for station in self.stations:
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

    @property
    def broken(self) -> str:
        """Why the last slot could not be made, or ""."""
        return self._staffing.broken

    # --- keepers ------------------------------------------------------------------

    def serve(self, keepers: Iterable[KeeperLink]) -> None:
        """Ask these keepers for work from now on, the first ones first."""
        self._parking.serve(keepers)

    def lose(self, keeper: KeeperLink) -> None:
        """A keeper is gone, and what we compute for it has lost its purpose."""
        self._parking.lose(keeper)
        self._outbox.pop(keeper, None)
        for station in self.stations:
            mine = [one for one in station.assignments if one.keeper is keeper]
            self._abandon(station, mine, tell=False)
        for job in [job for job in self._jobs.values() if keeper in job.keepers]:
            self._part(job, keeper)

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
        job = self._jobs.get(JobId(revoke.job))
        if job is not None and not numbers:
            for one in [one for one in job.keepers if one.peer == keeper]:
                self._part(job, one)

    def _part(self, job: JobHere, keeper: KeeperLink) -> None:
        """Expect no more of a job from a keeper, and forget it if that was the last."""
        job.keepers.discard(keeper)
        if not job.keepers:
            del self._jobs[job.id]
            for station in self.stations:
                station.forget(job.number)

    # --- work comes in ------------------------------------------------------------

    def _take(self, station: Station, keeper: KeeperLink, work: Work) -> None:
        try:
            job = self._read(keeper, work)
        except PeerError as error:
            self._blame(keeper, error)
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
        self._parking.fill(station)
        self._heartbeat.go_on()

    def _read(self, keeper: KeeperLink, work: Work) -> JobHere | None:
        """Check what came with an assignment; return its job if we know it.

        Raises:
            PeerError: it is not what its keeper may send along.
        """
        wanted = JobId(work.grants[0].job)
        if any(g.job != wanted or g.start >= g.stop for g in work.grants):
            raise PeerError("sent work that is not of one job, or no work")
        for signed in work.manifests:
            if job_id(signed) != wanted:
                raise PeerError("sent the manifest of a job that it has no work of")
            if wanted not in self._jobs:
                manifest = open_manifest(signed, self._terms.grid)
                self._numbers += 1
                self._jobs[wanted] = JobHere(self._numbers, wanted, manifest)
        here = self._jobs.get(wanted)
        if here is None:
            return None
        here.keepers.add(keeper)
        for batch in work.batches:
            here.add_batch(batch, keeper.peer, self._terms.grid)
        for shard in work.shards:
            here.add_data(shard)
        return here

    def _prepare(self, station: Station, assignment: Assignment) -> None:
        """Begin an assignment, now or when all that it needs is here."""
        job = assignment.job
        if station.is_for_another(assignment):
            self._change_slot(station, assignment)
        elif job.code is None or job.missing(assignment.shards() or ()):
            self._owner.spawn(self._get_ready(station, assignment))
        else:
            self._begin(station, assignment)

    def _change_slot(self, station: Station, assignment: Assignment) -> None:
        """Give another submitter's work back, and have a fresh slot if this one idles.

        The work is asked for again when the new slot is there.
        """
        if station.assignments == [assignment] and not station.line:
            station.kill("it has worked for another submitter")
        self._abandon(station, [assignment])

    async def _get_ready(self, station: Station, assignment: Assignment) -> None:
        """Fetch what is too big for a message, then begin."""
        try:
            while assignment in station.assignments:
                if not await self._fetch_next(assignment):
                    self._begin(station, assignment)
                    return
        except SlingerError as error:
            self._blame(assignment.keeper, error)
            if assignment in station.assignments:
                self._parking.pause(assignment.keeper)
                self._abandon(station, [assignment])

    async def _fetch_next(self, assignment: Assignment) -> bool:
        """Fetch one thing that an assignment lacks; return whether there was any."""
        job, keeper = assignment.job, assignment.keeper
        function = job.manifest.function
        if job.code is None:
            code = await keeper.fetch(job.id, function.digest, function.size)
            job.put_code(code)
            return True
        for placed in job.missing(assignment.shards() or ()):
            head = placed.head
            job.put(placed, await keeper.fetch(job.id, head.digest, head.size))
            return True
        return False

    def _begin(self, station: Station, assignment: Assignment) -> None:
        if station.begin(assignment):
            self._timeouts.watch(assignment.job.manifest.policy.timeout)
        else:
            self._abandon(station, [assignment])

    def _blame(self, keeper: KeeperLink, error: SlingerError) -> None:
        """Report what a keeper could not do, or should not have done."""
        self._events.emit(Dropped("work", str(error)))
        if isinstance(error, PeerError):
            self._at_fault(keeper.peer, error)

    # --- results go out -----------------------------------------------------------

    def _done(self, station: Station, outcome: Outcome) -> None:
        station.useful = True
        assignment, grant = station.line.popleft()
        if assignment in station.assignments:  # else it has been given back
            self._report(station, assignment, grant, outcome)
        if station.is_dropped(0):
            self._pass_over(station)

    def _report(
        self, station: Station, assignment: Assignment, grant: Grant, outcome: Outcome
    ) -> None:
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
            assignment.job.prune(self._in_use(assignment.job))
            station.shed()
            self._parking.fill(station)

    def _in_use(self, job: JobHere) -> Iterable[int]:
        """Return the shards of a job that some station still needs."""
        for station in self.stations:
            for one in station.assignments:
                if one.job is job:
                    for placed in one.shards() or ():
                        yield placed.number

    def _pass_over(self, station: Station) -> None:
        """See that the slot does not compute the order in front, which was dropped."""
        grant = station.line[0][1]
        if grant is station.withdrawn:
            self._loop.call_later(SKIP, self._end_if_at, station, grant)
        else:
            station.kill("no longer wanted")

    def _end_if_at(self, station: Station, grant: Grant) -> None:
        if station.line and station.line[0][1] is grant:
            station.kill("no longer wanted")

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

    # --- slots end ----------------------------------------------------------------

    def _exited(self, station: Station, exit: Exit) -> None:
        """A slot is gone: charge the task that it was at, give back the rest."""
        killed, at, line = station.killed, station.at, list(station.line)
        rest = self._staffing.rest(station, exit)
        held = station.emptied()
        if line and line[0][0] in held:
            assignment, grant = line[0]
            if not killed or (killed == "timeout" and at == (grant, exit.index)):
                lost = died(grant, exit, killed, self._terms, assignment.job)
                assignment.left.popleft()
                place = (assignment.job.id, lost.result.start)
                self._events.emit(SlotDied(*place, lost.how))
                self._send(assignment, lost)
        elif not killed and not self._closing:
            self._events.emit(SlotDied(None, None, "it ended by itself"))
        for assignment in held:
            if assignment.left:
                self._refuse(assignment.keeper, assignment.left)
        self._parking.fill(station)
        if not self._closing:
            self._staffing.staff(station, after=rest)

    def _abandon(
        self, station: Station, assignments: list[Assignment], *, tell: bool = True
    ) -> None:
        """Drop assignments: take them off, and end the slot if it is at one of them."""
        dropped = [one for one in assignments if one in station.assignments]
        for assignment in dropped:
            station.assignments.remove(assignment)
            if tell:
                self._refuse(assignment.keeper, assignment.left)
        if station.is_dropped(0) and station.line[0][0] in dropped:
            station.kill("no longer wanted")
        elif dropped:
            station.withdraw()
        self._parking.fill(station)
