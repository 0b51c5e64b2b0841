"""Work for others goes on, stands still or goes back, as the owner permits.

    permitted       the first stations may work for others, as many as are permitted
    no longer       what runs is stopped where it is, at once; what waits goes back
    two minutes on  what still stands goes back too, and its slot is dropped
    own work comes  it takes the place of work that stands still, if no slot is free

The machine's own work is never touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.computing.assignments import Assignment
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.kind import USUAL
from p2pslinger.peer.computing.parking import Parking
from p2pslinger.peer.computing.station import CHANGED, SUSPENDED, Station
from p2pslinger.peer.computing.terms import Terms
from p2pslinger.peer.computing.throttling import Throttle
from p2pslinger.rules.permits import Permit

#: Seconds after which work that stands still is given back.
GIVE_BACK = 120.0


class Halting:
    """Applies permits to stations.

    Args:
        loop: Gives the time.
        me: This peer: its own work is not concerned.
        stations: What works.
        terms: Memory that a slot may use otherwise.
        parking: Asks for work.
        abandon: Gives assignments of a station back.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        me: PeerId,
        stations: Sequence[Station],
        terms: Terms,
        parking: Parking,
        *,
        abandon: Callable[[Station, list[Assignment]], None],
    ) -> None:
        self._loop = loop
        self._me = me
        self._stations = stations
        self._terms = terms
        self._parking = parking
        self._abandon = abandon
        self._permit: Permit | None = None
        self._timers: dict[Station, asyncio.TimerHandle] = {}
        #: Gives the seconds after which so many bytes of a job may leave.
        self.before_sending: Callable[[JobId, int], float] = lambda *_: 0.0
        self.throttle = Throttle(loop, stations, self.works_for_others)

    def works_for_others(self, station: Station) -> bool:
        """Tell whether a station holds work of others."""
        return any(one.job.submitter != self._me for one in station.assignments)

    @property
    def used(self) -> float:
        """Processor seconds that the slots have used, those that there are."""
        return sum(one.slot.used for one in self._stations if one.slot is not None)

    def memory(self, station: Station) -> int:
        """Return the bytes that a station's next slot may use."""
        kind = station.kind
        given = self.whole if kind.is_own else self.lent
        return min(given, kind.memory or given)

    @property
    def whole(self) -> int:
        """Bytes that a slot for the machine's own work may use."""
        return self._terms.memory

    @property
    def lent(self) -> int:
        """Bytes that a slot may use that is not for the machine's own work."""
        terms, permit = self._terms, self._permit
        slots = len(self._stations)
        if permit is None or not slots:
            return terms.memory
        lent = min(slots, permit.slots or slots)
        return int(terms.memory * permit.memory / terms.memory_share * slots / lent)

    def wait(self, keeper: KeeperLink, job: JobId, size: int) -> float:
        """Return the seconds after which so many bytes of a job may go to a keeper."""
        return 0.0 if keeper.peer == self._me else self.before_sending(job, size)

    def apply(self, permit: Permit) -> None:
        """Let others have so much from now on, and no more."""
        self._permit = permit
        self.throttle.share = permit.share
        most = len(self._stations) if permit.slots is None else permit.slots
        for number, station in enumerate(self._stations):
            lent = not permit.suspended and number < most
            if lent != station.lent:
                station.lent = lent
                self._parking.ask_anew(station)
            if lent:
                self._resume(station)
            elif self.works_for_others(station) and not station.halted:
                self._suspend(station)
        self.throttle.go_on()

    def close(self) -> None:
        """Apply nothing more."""
        self.throttle.close()
        for timer in self._timers.values():
            timer.cancel()

    def make_room(self, station: Station) -> None:
        """Give up work that stands still, for the machine's own."""
        self._abandon(station, list(station.assignments))
        station.kill(CHANGED)  # it may have been about to report, and hold nothing
        station.killed = CHANGED  # so that the next slot keeps what is assigned now

    # --- inside -------------------------------------------------------------------

    def _suspend(self, station: Station) -> None:
        others = [o for o in station.assignments if o.job.submitter != self._me]
        running = station.line[0][0] if station.line else None
        stands = running in others  # else the owner's own work is begun, or nothing
        waiting = station.assignments if stands else others
        self._abandon(station, [one for one in waiting if one is not running])
        if not stands:
            return
        station.stop(SUSPENDED, self._loop.time())
        self._parking.fill(station)  # its place is for own work now
        if station not in self._timers:
            self._timers[station] = self._loop.call_later(
                GIVE_BACK, self._give_back, station
            )

    def _resume(self, station: Station) -> None:
        timer = self._timers.pop(station, None)
        if timer is not None:
            timer.cancel()
        if station.halted:
            station.go(SUSPENDED, self._loop.time())
            self._parking.fill(station)

    def _give_back(self, station: Station) -> None:
        del self._timers[station]
        if station.halted:
            self._abandon(station, list(station.assignments))
            station.kind = USUAL
