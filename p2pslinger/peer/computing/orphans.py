"""Orphans: work on durable jobs whose keeper is gone, and who takes it over.

A slot does not stop because a keeper is gone: the job goes on at others. The first one
that can be reached is asked to adopt the grants, and hears the heartbeats from then on.
Until there is one the work waits for it, but not for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from p2pslinger.errors import SlingerError
from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.assignments import Assignment
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.nobody import NOBODY
from p2pslinger.peer.computing.roster import Roster
from p2pslinger.wire.keeping import Adopt, HeldGrant
from p2pslinger.wire.messages import Revoke

#: Seconds for which work goes on that no keeper knows of: longer than a machine needs
#: to start again, and a router to come back.
LONG = 600.0


@dataclass(eq=False, slots=True)
class _Waiting:
    timer: asyncio.TimerHandle
    tried: set[KeeperLink] = field(default_factory=set)


class Orphans:
    """Assignments that have no keeper, or are just being adopted.

    Args:
        loop: Gives the time.
        roster: Knows other keepers.
        revoke: Stops grants that are void, as their new keeper says.
        give_up: Drops an assignment that nobody has taken over.
        part: Called with a job of which no assignment waits any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        roster: Roster,
        *,
        revoke: Callable[[PeerId, Revoke], None],
        give_up: Callable[[Assignment], None],
        part: Callable[[JobHere], None],
    ) -> None:
        self._loop = loop
        self._roster = roster
        self._revoke = revoke
        self._give_up = give_up
        self._part = part
        self._waiting: dict[Assignment, _Waiting] = {}

    def take(self, assignments: Iterable[Assignment]) -> None:
        """Note that the keeper of some assignments is gone."""
        for assignment in assignments:
            assignment.keeper = NOBODY
            assignment.job.keepers.add(NOBODY)  # else it would be forgotten
            if assignment not in self._waiting:
                timer = self._loop.call_later(LONG, self._give_up, assignment)
                self._waiting[assignment] = _Waiting(timer)

    def look(self) -> None:
        """Ask keepers that have not been asked yet, as far as there are any."""
        for assignment, waiting in list(self._waiting.items()):
            if assignment.keeper is NOBODY and assignment in self._waiting:
                self._ask(assignment, waiting)

    def done(self, assignment: Assignment) -> None:
        """Forget an assignment: it has a keeper, or has ended."""
        waiting = self._waiting.pop(assignment, None)
        if waiting is not None:
            waiting.timer.cancel()
            if all(one.job is not assignment.job for one in self._waiting):
                self._part(assignment.job)

    def close(self) -> None:
        """Wait no longer."""
        for waiting in self._waiting.values():
            waiting.timer.cancel()
        self._waiting.clear()

    # --- inside -------------------------------------------------------------------

    def _ask(self, assignment: Assignment, waiting: _Waiting) -> None:
        job = assignment.job
        keepers = self._roster.of(job.id)
        keeper = next((one for one in keepers if one not in waiting.tried), None)
        if keeper is None:
            return

        def told(answer: Sequence[int] | SlingerError) -> None:
            if assignment.keeper is not keeper or assignment not in self._waiting:
                return  # that keeper is gone in its turn, or the work is
            if isinstance(answer, SlingerError):
                self.take([assignment])
                if not known:
                    job.keepers.discard(keeper)
                self.look()
            else:
                self.done(assignment)
                if answer:
                    self._revoke(keeper.peer, Revoke(job.id, tuple(answer)))

        known = keeper in job.keepers
        waiting.tried.add(keeper)
        assignment.keeper = keeper  # its heartbeats follow the question
        job.keepers.add(keeper)
        self._roster.gave(job, keeper)
        keeper.adopt(Adopt(job.id, _held(assignment)), told)


def _held(assignment: Assignment) -> tuple[HeldGrant, ...]:
    return tuple(
        HeldGrant(grant.grant, grant.start, grant.stop, grant.mac)
        for grant in assignment.left
    )
