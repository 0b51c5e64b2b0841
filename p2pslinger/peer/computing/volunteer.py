"""The volunteer: finds work for this peer's slots, and sends back what they compute.

Every slot has a station (`station`) with two places: one for the
running assignment, one for the next. `Parking` asks keepers for what is to fill them,
`Staffing` gives stations their slots.

Whatever happens to a slot or to a keeper's connection, each grant ends in one of three
ways: its result is delivered, it is given back, or its keeper is gone. Work on durable
jobs outlives its keeper: another one adopts it (`orphans`), and a copy
of each result stays until enough of them have it (`retained`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from p2pslinger.errors import PeerError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.computing.assignments import Assignment
from p2pslinger.peer.computing.halting import Halting
from p2pslinger.peer.computing.jobshere import BlobsInUse, JobHere, JobsHere
from p2pslinger.peer.computing.keepers import KeeperLink, refuse
from p2pslinger.peer.computing.kinds import Kinds
from p2pslinger.peer.computing.nobody import NOBODY
from p2pslinger.peer.computing.orphans import Orphans
from p2pslinger.peer.computing.outbox import Outbox
from p2pslinger.peer.computing.outcomes import died, finished
from p2pslinger.peer.computing.parking import Parking
from p2pslinger.peer.computing.readying import Readying
from p2pslinger.peer.computing.retained import Retained
from p2pslinger.peer.computing.roster import Roster
from p2pslinger.peer.computing.staffing import Staffing
from p2pslinger.peer.computing.station import Station
from p2pslinger.peer.computing.terms import Terms
from p2pslinger.peer.computing.timers import Heartbeat, Timeouts
from p2pslinger.peer.events import Events, SlotDied
from p2pslinger.peer.owner import Owner
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.slot import Exit, Outcome, SlotSource
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.manifest import Manifest
from p2pslinger.wire.messages import Grant, Revoke, Work
from p2pslinger.wire.records import seal


class Volunteer:
    """This peer's slots at work.

    Args:
        loop: Gives the time.
        owner: Owns the tasks that start slots and fetch blobs.
        source: Makes slots.
        terms: How many, and for what.
        kinds: Chooses what slots there are to be.
        blobs: Has the bytes of what is big, as long as it is computed with.
        identity: Signs results of durable jobs.
        wall: Gives the wall time, seconds.
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
        kinds: Kinds,
        blobs: BlobsInUse,
        identity: Identity,
        wall: Callable[[], float],
        events: Events,
        at_fault: Callable[[PeerId, PeerError], None],
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._terms = terms
        self._kinds = kinds
        self._events = events
        self._closing = False
        self.stations = [Station() for _ in range(terms.slots)]
        self._jobs = JobsHere(terms.grid, blobs, forget=self._forget)
        self._roster = Roster(identity.id)
        #: Results of durable jobs that not enough keepers hold yet.
        self.retained = Retained(
            loop,
            wall=wall,
            sign=lambda batch: seal(batch, identity, terms.grid),
            roster=self._roster,
            events=events,
        )
        self._outbox = Outbox(loop, self.retained)
        self._orphans = Orphans(
            loop,
            self._roster,
            revoke=self.revoke,
            give_up=self._give_up,
            part=lambda job: self._jobs.end(job.id, NOBODY.peer),
        )
        self._parking = Parking(
            loop,
            terms.offer,
            self.stations,
            self._roster,
            took=self._take,
            refuse=refuse,
        )
        me, abandon = self._roster.me, self._abandon
        #: Sees to it that others have what they may have, and no more.
        self.halting = Halting(
            loop, me, self.stations, terms, self._parking, abandon=abandon
        )
        self._outbox.wait = self.halting.wait
        self._staffing = Staffing(
            loop,
            owner,
            source,
            self.halting.memory,
            done=self._done,
            exited=self._exited,
            ready=self._staffed,
            failed=self._unstaffed,
        )
        #: Says what the slots can be from now on.
        self.offer = self._parking.offer
        #: Says it to a keeper, unless it knows.
        self.tell = self._parking.tell
        self._readying = Readying(
            events, at_fault=at_fault, begin=self._begin, fail=self._unready
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
        self._staffing.close()
        self._parking.close()
        for station in self.stations:
            self._abandon(station, list(station.assignments))
        self.halting.close()
        self._heartbeat.close()
        self._timeouts.close()
        self._orphans.close()
        self.retained.close()

    @property
    def busy(self) -> int:
        """Slots that compute something."""
        return sum(1 for one in self.stations if one.line and not one.halted)

    @property
    def ready(self) -> int:
        """Slots whose process is there."""
        return sum(1 for station in self.stations if station.slot is not None)

    def manifest(self, job: JobId) -> Manifest | None:
        """Return the manifest of a job that we compute, or None."""
        return self._jobs.manifest(job)

    @property
    def broken(self) -> str:
        """Why the last slot could not be made, or ""."""
        return self._staffing.broken

    # --- keepers ------------------------------------------------------------------

    def serve(
        self,
        keepers: Iterable[KeeperLink],
        kept: Mapping[JobId, Sequence[KeeperLink]] | None = None,
    ) -> None:
        """Ask these keepers for work from now on, the first ones first.

        Args:
            keepers: Whom to ask.
            kept: The keepers that can be reached, asked or not, of each job.
        """
        self._roster.tell(kept or {})
        self._parking.serve(keepers)
        self._orphans.look()
        self.retained.look()

    def lose(self, keeper: KeeperLink) -> None:
        """A keeper is gone, and so is the purpose of what only it wanted."""
        self._parking.lose(keeper)
        self._outbox.lose(keeper)
        self._roster.lose(keeper)
        for station in self.stations:
            mine = [one for one in station.assignments if one.keeper is keeper]
            lasting = [one for one in mine if one.job.manifest.policy.durable]
            self._orphans.take(lasting)
            self._abandon(station, [o for o in mine if o not in lasting], tell=False)
        self._jobs.lose(keeper)
        self._orphans.look()
        self.retained.lose(keeper)

    def revoke(self, keeper: PeerId, revoke: Revoke) -> None:
        """Stop some grants of a job; without any named, the job is over."""
        job, numbers = JobId(revoke.job), set(revoke.grants)
        keepers = {keeper} if numbers else self._roster.told_over(job, keeper)
        for station in self.stations:
            hit = [
                one
                for one in station.assignments
                if one.keeper.peer in keepers
                and one.job.id == job
                and (not numbers or any(g.grant in numbers for g in one.left))
            ]
            self._abandon(station, hit)
        if not numbers:
            for peer in keepers:
                self._jobs.end(job, peer)
            self.retained.over(job, keeper)

    def sift(self, serves: Callable[[PeerId], bool]) -> None:
        """Give back the work of those for whom nothing is computed any more."""
        for station in self.stations:
            held = station.assignments
            self._abandon(station, [o for o in held if not serves(o.job.submitter)])

    def _forget(self, job: JobHere) -> None:
        self._roster.forget(job)
        for station in self.stations:
            station.forget(job.number)

    # --- work comes in ------------------------------------------------------------

    def _take(self, station: Station, keeper: KeeperLink, work: Work) -> None:
        try:
            job = self._jobs.read(keeper, work)
        except PeerError as error:
            self._readying.blame(keeper, error)
            return
        if job is not None:
            self._roster.gave(job, keeper)
        if job is None or not station.free:
            refuse(keeper, work.grants, forgot=job is None)
        elif (assignment := self._kinds.assign(station, keeper, job)) is None:
            self._parking.pause(keeper)  # it has something for us later, perhaps
            refuse(keeper, work.grants)
        elif job.submitter != self._roster.me and not station.lent:
            refuse(keeper, work.grants)  # it has crossed our asking otherwise
        else:
            if station.halted:
                self.halting.make_room(station)
            assignment.left.extend(work.grants)
            if assignment.shards() is None:
                refuse(keeper, work.grants, forgot=True)
            else:
                station.assignments.append(assignment)
                self._prepare(station, assignment)
        self._parking.fill(station)
        self._heartbeat.go_on()
        self.halting.throttle.go_on()

    def _prepare(self, station: Station, assignment: Assignment) -> None:
        """Begin an assignment, now or when all that it needs is here."""
        if not station.suits(assignment):
            self._change_slot(station, assignment)
        elif not assignment.is_complete:
            self._owner.spawn(self._readying.get_ready(station, assignment))
        else:
            self._begin(station, assignment)

    def _change_slot(self, station: Station, assignment: Assignment) -> None:
        """Have a fresh slot for another submitter's work, or give the work back."""
        if station.assignments == [assignment] and station.is_changeable:
            station.change(assignment.kind)
        else:
            station.strangers.add(assignment.keeper)
            self._abandon(station, [assignment])

    def _staffed(self, station: Station) -> None:
        """Begin what has waited for a slot."""
        for assignment in list(station.assignments):
            self._prepare(station, assignment)
        self._parking.fill(station)

    def _unstaffed(
        self, station: Station, why: str, interpreter: Interpreter | None
    ) -> None:
        """Give back what no slot can be made for."""
        for assignment in list(station.assignments):
            self._unready(station, assignment)
        self._kinds.unusable(why, interpreter)

    def _unready(self, station: Station, assignment: Assignment) -> None:
        """Give back what can't be computed now, and do not ask for it at once."""
        self._parking.pause(assignment.keeper)
        self._abandon(station, [assignment])

    def _begin(self, station: Station, assignment: Assignment) -> None:
        if station.begin(assignment):
            self._timeouts.watch(assignment.timeout)
        else:
            self._abandon(station, [assignment])

    # --- results go out -----------------------------------------------------------

    def _done(self, station: Station, outcome: Outcome) -> None:
        station.useful = True
        outcome = station.counted(outcome)
        assignment, grant = station.line.popleft()
        if assignment in station.assignments:  # else it has been given back
            self._report(station, assignment, grant, outcome)
        if station.is_dropped(0):
            station.pass_over(self._loop)

    def _report(
        self, station: Station, assignment: Assignment, grant: Grant, outcome: Outcome
    ) -> None:
        assignment.left.popleft()
        if not assignment.left:  # first: its job may be over once the result is told
            station.assignments.remove(assignment)
            self._orphans.done(assignment)
        if outcome.stop > outcome.start:
            self.computed += outcome.stop - outcome.start
            keeper, more = assignment.keeper, bool(station.line)
            lasting = assignment.job.manifest.policy.durable
            result = finished(grant, outcome, self._terms.host, lasting=lasting)
            self._outbox.send(keeper, assignment.job, result, more=more)
        else:
            refuse(assignment.keeper, (grant,))
        if not assignment.left:
            assignment.job.prune(
                placed.number
                for other in self.stations
                for placed in other.needs(assignment.job)
            )
            station.shed()
            self._staffing.rest_from(station)
            self._parking.fill(station)

    # --- slots end ----------------------------------------------------------------

    def _exited(self, station: Station, exit: Exit) -> None:
        """A slot is gone: charge the task that it was at, give back the rest."""
        killed, at, line = station.killed, station.at, list(station.line)
        rest = self._staffing.rest(station, exit)
        held = station.emptied()
        if line and line[0][0] in held:
            assignment, grant = line[0]
            if not killed or (killed == "timeout" and at == (grant, exit.index)):
                place = replace(self._terms, memory=station.memory)
                lost = died(grant, exit, killed, place, assignment.timeout)
                assignment.left.popleft()
                task = assignment.job.id, lost.result.start
                self._events.emit(SlotDied(*task, lost.how))
                self._outbox.send(assignment.keeper, assignment.job, lost)
        elif not killed and not self._closing:
            self._events.emit(SlotDied(None, None, "it ended by itself"))
        for assignment in held:
            self._orphans.done(assignment)
            if assignment.left:
                refuse(assignment.keeper, assignment.left)
        self._parking.fill(station)
        if not self._closing:
            self._staffing.staff(station, after=rest)

    def _abandon(
        self, station: Station, assignments: list[Assignment], *, tell: bool = True
    ) -> None:
        """Drop assignments: take them off, and end the slot if it is at one of them."""
        dropped = [one for one in assignments if one in station.assignments]
        if not dropped:
            return
        for assignment in dropped:
            station.assignments.remove(assignment)
            self._orphans.done(assignment)
            if tell:
                refuse(assignment.keeper, assignment.left)
        if station.is_dropped(0) and station.line[0][0] in dropped:
            station.kill("no longer wanted")
        else:
            station.withdraw()
        self._staffing.rest_from(station)
        self._parking.fill(station)

    def _give_up(self, assignment: Assignment) -> None:
        """Drop work that has waited for a keeper for too long."""
        for station in self.stations:
            self._abandon(station, [assignment])
