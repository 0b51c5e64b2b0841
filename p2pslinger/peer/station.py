"""A station: one slot, the assignments that it holds, and what it is doing.

The slot computes orders in the order in which they were given, so the station's line of
(assignment, grant) pairs says what every outcome belongs to. A slot that dies takes its
line with it: the task it was at is charged, the rest is given back.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from p2pslinger import limits
from p2pslinger.ids import PeerId
from p2pslinger.peer.assignments import Assignment
from p2pslinger.peer.keepers import KeeperLink
from p2pslinger.sandbox.slot import Slot
from p2pslinger.wire.messages import Grant

#: Shards that a slot keeps unpacked. The running range and the next one need a few.
SLOT_SHARDS = 16


@dataclass(eq=False)
class Station:
    """One place where tasks are computed.

    Attributes:
        slot: Its process, or None while there is none.
        assignments: What it has taken on, at most `limits.PLACES`.
        line: The orders that the slot has, oldest first.
        loaded: Jobs that the slot knows, by number.
        shards: Shards that the slot holds, as (job, number), least recent first.
        wants: Parked requests by number: where, and whether for a place behind.
        submitter: Whose tasks this process has seen.
        killed: Why we ended the process ourselves, or "".
        at: The running task and when it was first seen at it, for the time-out.
    """

    slot: Slot | None = None
    assignments: list[Assignment] = field(default_factory=list)
    line: deque[tuple[Assignment, Grant]] = field(default_factory=deque)
    loaded: set[int] = field(default_factory=set)
    shards: OrderedDict[tuple[int, int], None] = field(default_factory=OrderedDict)
    wants: dict[int, tuple[KeeperLink, bool]] = field(default_factory=dict)
    submitter: PeerId | None = None
    killed: str = ""
    at: tuple[int, float] = (-1, 0.0)

    @property
    def free(self) -> int:
        """Places for further assignments."""
        if self.slot is None or self.killed:
            return 0
        return limits.PLACES - len(self.assignments)

    def begin(self, assignment: Assignment) -> None:
        """Give an assignment, all of which is here, to the slot."""
        slot, job = self.slot, assignment.job
        assert slot is not None
        assert job.code is not None
        number = job.number
        if number not in self.loaded:
            self.loaded.add(number)
            slot.load(number, job.code, job.id if job.manifest.policy.seeded else None)
        for placed in assignment.shards() or ():
            key = (number, placed.number)
            if key not in self.shards:
                data = job.data(placed)
                assert data is not None
                slot.shard(number, placed.number, placed.head.form, data)
            self.shards[key] = None
            self.shards.move_to_end(key)
        assignment.begun = True
        self.submitter = job.submitter
        for grant in assignment.left:
            self.line.append((assignment, grant))
            slot.run(job.order(grant))

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

    def emptied(self) -> list[Assignment]:
        """Return what it held, and hold nothing: its process is gone."""
        held = self.assignments
        self.slot = None
        self.assignments = []
        self.line.clear()
        self.loaded.clear()
        self.shards.clear()
        self.submitter = None
        self.killed = ""
        self.at = (-1, 0.0)
        return held
