"""A volunteer's two clocks: the heartbeat for its keepers, and its tasks' time-outs.

Both run beside the slots, so user code can neither block nor forge them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from p2pslinger import limits
from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.glimpsing import show
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.station import Station
from p2pslinger.sandbox.slot import Slot
from p2pslinger.wire.messages import Holding, Revoke

#: Seconds between two looks at tasks with a time-out, at most; a tenth of the time-out
#: if that is less, but never below a hundredth of a second.
LOOK = 0.25


class Heartbeat:
    """Tells every keeper, again and again, which of its grants we work on.

    Args:
        loop: Gives the time.
        stations: What we work on.
        revoke: Stops a grant of which a keeper says that it is void.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stations: Sequence[Station],
        revoke: Callable[[PeerId, Revoke], None],
    ) -> None:
        self._loop = loop
        self._stations = stations
        self._revoke = revoke
        self._timer: asyncio.TimerHandle | None = None

    def go_on(self) -> None:
        """Beat as long as there is something to hold."""
        if self._timer is None and any(s.assignments for s in self._stations):
            self._timer = self._loop.call_later(limits.BEAT, self._beat)

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._timer = None
        holdings: dict[KeeperLink, list[Holding]] = {}
        for station in self._stations:
            for keeper, holding in _holdings(station):
                holdings.setdefault(keeper, []).append(holding)
        for keeper, held in holdings.items():
            for i in range(0, len(held), limits.BATCH):
                self._renew(keeper, held[i : i + limits.BATCH])
        show(self._stations)
        self.go_on()

    def _renew(self, keeper: KeeperLink, held: Sequence[Holding]) -> None:
        jobs = {one.grant: one.job for one in held}
        for grant in keeper.renew(held):
            self._revoke(keeper.peer, Revoke(jobs[grant], (grant,)))


def _holdings(station: Station) -> list[tuple[KeeperLink, Holding]]:
    index = station.slot.index if station.slot is not None else None
    found = []
    for assignment in station.assignments:
        for grant in assignment.left:
            at = grant.start
            if index is not None and grant.start <= index < grant.stop:
                at = index
            holding = Holding(grant.job, grant.grant, at, station.halted)
            found.append((assignment.keeper, holding))
    return found


class Timeouts:
    """Ends the slots whose task has used up its time.

    Args:
        loop: Gives the time.
        stations: What is looked at.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, stations: Sequence[Station]
    ) -> None:
        self._loop = loop
        self._stations = stations
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, timeout: float | None) -> None:
        """Look from time to time, for a task with this time-out (seconds)."""
        if timeout is None:
            return
        due = self._loop.time() + _pause(timeout)
        if self._timer is None or due < self._timer.when():
            self.close()
            self._timer = self._loop.call_at(due, self._look)

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        for station in self._stations:
            if station.slot is not None:
                self._look_at(station, station.slot)
                for assignment, _ in station.line:  # those that wait come to run
                    self.watch(assignment.timeout)

    def _look_at(self, station: Station, slot: Slot) -> None:
        if not station.line or station.stops:
            return  # time that it stands still is not its own
        assignment, grant = station.line[0]
        timeout, index = assignment.timeout, slot.index
        at = None if index is None else (grant, index)
        if at is None or at != station.at:
            station.at, station.at_since = at, self._loop.time()
        elif timeout is not None and self._loop.time() - station.at_since >= timeout:
            station.kill("timeout")


def _pause(timeout: float) -> float:
    return max(0.01, min(LOOK, timeout / 10))
