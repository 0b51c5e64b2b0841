"""A station: one slot, the assignments that it holds, and what it is doing.

The slot computes orders in the order in which they were given, so the station's line of
(assignment, grant) pairs says what every outcome belongs to. A slot that dies takes its
line with it: the task it was at is charged, the rest is given back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from p2pslinger import limits
from p2pslinger.ids import PeerId, to_text
from p2pslinger.peer.computing.assignments import Assignment
from p2pslinger.peer.computing.jobshere import JobHere, Placed
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.kind import USUAL, Kind
from p2pslinger.sandbox.slot import Outcome, Slot
from p2pslinger.wire.messages import Grant

#: Shards that a slot keeps unpacked. The running range and the next one need a few.
SLOT_SHARDS = 16

#: Seconds that a slot has to skip an order that was taken back before it began. If it
#: has begun it after all, the slot is ended.
SKIP = 0.05

#: Why a process is ended whose place another one takes.
CHANGED = "another slot is needed"

#: Why a process stands still while its owner's preferences say so.
SUSPENDED = "the owner's preferences"


@dataclass(eq=False)
class Station:
    """One place where tasks are computed.

    Attributes:
        slot: Its process, or None while there is none.
        kind: What kind of slot it is, or the next one will be.
        assignments: What it has taken on, at most `limits.PLACES`.
        line: The orders that the slot has, oldest first.
        loaded: Jobs that the slot knows, by number.
        shards: Shards that the slot holds, as (job, number), least recent first.
        shared: Shared values that it holds, and the jobs that it has them for.
        wants: Parked requests by number: where, and whether for a place behind.
        strangers: Keepers that have given it another submitter's work meanwhile.
        submitter: Whose tasks this process has seen.
        killed: Why we ended the process ourselves, or "".
        at: The grant and the task that it was last seen at, for the time-out.
        at_since: When it was first seen there, seconds of the loop's clock.
        withdrawn: The grant whose order the slot has been told not to begin.
        since: When the slot came.
        begun: How often it has begun something.
        useful: The slot has reported an outcome.
        deaths: Slots in a row that have ended early, without one.
        lent: It may work for others.
        stops: Why the process stands still.
        stopped: Since when it does, seconds of the loop's clock.
        stood: Seconds for which it has been suspended in the order that it is at.
        memory: Bytes that its process may use.
    """

    slot: Slot | None = None
    kind: Kind = USUAL
    assignments: list[Assignment] = field(default_factory=list)
    line: deque[tuple[Assignment, Grant]] = field(default_factory=deque)
    loaded: set[int] = field(default_factory=set)
    shards: OrderedDict[tuple[int, int], None] = field(default_factory=OrderedDict)
    shared: dict[bytes, set[int]] = field(default_factory=dict)
    wants: dict[int, tuple[KeeperLink, bool]] = field(default_factory=dict)
    strangers: set[KeeperLink] = field(default_factory=set)
    submitter: PeerId | None = None
    killed: str = ""
    at: tuple[Grant, int] | None = None
    at_since: float = 0.0
    withdrawn: Grant | None = None
    since: float = 0.0
    begun: int = 0
    useful: bool = False
    deaths: int = 0
    lent: bool = True
    stops: set[str] = field(default_factory=set)
    stopped: float = 0.0
    stood: float = 0.0
    memory: int = 0

    @property
    def halted(self) -> bool:
        """Whether what it computes is suspended."""
        return SUSPENDED in self.stops

    @property
    def free(self) -> int:
        """Places for further assignments."""
        if self.slot is None or self.killed:
            return 0
        return limits.PLACES - len(self.assignments)

    def needs(self, job: JobHere) -> Iterator[Placed]:
        """Yield the shards of a job that its assignments still need."""
        for assignment in self.assignments:
            if assignment.job is job:
                yield from assignment.shards() or ()

    def suits(self, assignment: Assignment) -> bool:
        """Tell whether the process is what it must be, and nobody else's."""
        known = self.submitter in {None, assignment.job.submitter}
        return known and self.kind == assignment.kind

    @property
    def is_changeable(self) -> bool:
        """Whether nothing would be lost with the process."""
        return not self.line or self.killed == CHANGED

    def change(self, kind: Kind) -> None:
        """Have another slot, and keep what is assigned for it."""
        self.kill(CHANGED)
        self.kind = kind

    def begin(self, assignment: Assignment) -> bool:
        """Give an assignment to the slot; return False if that can't be."""
        slot, job = self.slot, assignment.job
        shards = assignment.shards()
        if slot is None or self.killed or not self.suits(assignment):
            return False
        if shards is None or job.code is None or not assignment.is_complete:
            return False
        number = job.number
        if number not in self.loaded:
            self.loaded.add(number)
            seed = job.id if job.manifest.policy.seeded else None
            slot.load(number, job.code, seed, to_text(job.id))
        for placed in shards:
            self._give_shard(slot, assignment, placed)
            for one in placed.head.shared:
                self._give_shared(slot, job, one.digest)
        self.submitter = job.submitter
        self.begun += 1
        for grant in assignment.left:
            self.line.append((assignment, grant))
            slot.run(job.order(grant))
        return True

    def _give_shard(self, slot: Slot, assignment: Assignment, placed: Placed) -> None:
        job = assignment.job
        key, data = (job.number, placed.number), job.data(placed)
        if key not in self.shards and data is not None:
            slot.shard(*key, placed.head.form, data)
        self.shards[key] = None
        self.shards.move_to_end(key)

    def _give_shared(self, slot: Slot, job: JobHere, digest: bytes) -> None:
        """Let a slot have a shared value for a job; its bytes go there once."""
        jobs = self.shared.setdefault(digest, set())
        if job.number not in jobs:
            data = job.shared(digest)
            slot.share(job.number, digest, b"" if jobs or data is None else data)
            jobs.add(job.number)

    # --- dropping what is no longer wanted ----------------------------------------

    def is_dropped(self, position: int) -> bool:
        """Tell whether an order in the line belongs to no assignment any more."""
        return bool(self.line) and self.line[position][0] not in self.assignments

    def withdraw(self) -> None:
        """Have the slot not begin its newest order, if that was dropped."""
        if self.slot is not None and self.is_dropped(-1):
            self.withdrawn = self.line[-1][1]
            self.slot.withdraw()

    def pass_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """See that the slot does not compute the order in front, which was dropped."""
        grant = self.line[0][1]
        if grant is self.withdrawn:
            loop.call_later(SKIP, self._end_if_at, grant)
        else:
            self.kill("no longer wanted")

    def _end_if_at(self, grant: Grant) -> None:
        if self.line and self.line[0][1] is grant:
            self.kill("no longer wanted")

    def kill(self, why: str) -> None:
        """End the process; it can be given nothing more."""
        if self.slot is not None and not self.killed:
            self.killed = why
            self.slot.kill()

    # --- standing still -----------------------------------------------------------

    def stop(self, why: str, now: float) -> None:
        """Have the process stand still."""
        if self.slot is not None:
            if not self.stops:
                self.slot.suspend()
                self.stopped = now
            self.stops.add(why)

    def go(self, why: str, now: float) -> None:
        """Let it go on, unless there is another reason not to."""
        if why in self.stops:
            self.stops.discard(why)
            if why == SUSPENDED:
                self.stood += now - self.stopped
            if not self.stops and self.slot is not None:
                self.slot.resume()
                self.at_since += now - self.stopped

    def counted(self, outcome: Outcome) -> Outcome:
        """Return an outcome without the time for which it was suspended."""
        stood, self.stood = self.stood, 0.0
        if not stood:
            return outcome
        return replace(outcome, wall=max(outcome.cpu, outcome.wall - stood))

    # --- memory -------------------------------------------------------------------

    def shed(self) -> None:
        """Free the slot of shards that it has not needed for a while."""
        slot = self.slot
        if slot is None or len(self.shards) <= SLOT_SHARDS:
            return
        used = {
            (assignment.job.number, placed.number)
            for assignment in self.assignments
            for placed in assignment.shards() or ()
        }
        for key in list(self.shards):
            if len(self.shards) <= SLOT_SHARDS // 2:
                break
            if key not in used:
                del self.shards[key]
                slot.forget(key[0], (key[1],))

    def forget(self, number: int) -> None:
        """Free the slot of everything about a job."""
        if self.slot is not None and number in self.loaded:
            self.slot.forget(number, None)
        self.loaded.discard(number)
        for key in [key for key in self.shards if key[0] == number]:
            del self.shards[key]
        for digest, jobs in list(self.shared.items()):
            jobs.discard(number)
            if not jobs:
                del self.shared[digest]

    def emptied(self) -> list[Assignment]:
        """Return what it loses with its process, which is gone."""
        changed = self.killed == CHANGED
        held = [] if changed else self.assignments
        self.slot = None
        self.assignments = self.assignments if changed else []
        self.line.clear()
        self.loaded.clear()
        self.shards.clear()
        self.shared.clear()
        self.submitter = None
        self.killed = ""
        self.at = None
        self.withdrawn = None
        self.useful = False
        self.stops.clear()
        self.stood = 0.0
        return held
