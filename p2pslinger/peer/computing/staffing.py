"""Gives every station a slot, again and again, for as long as it takes.

A slot that can't be made is tried again after a pause, and so is one that ends before
it has done anything: a machine without memory must not fork for ever. A task that kills
its process is no fault of the slot, so the next one is made at once; only if nothing
but such tasks comes, there is a breath in between.

A confined slot that has nothing to do is ended after a while: whatever a task has left
running in it ends with it. Where a confined slot can't be made, or one of another
interpreter, the station gets an ordinary one for the owner's own work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.errors import UnavailableError
from p2pslinger.net.turns import turn_of
from p2pslinger.peer.computing.kind import USUAL
from p2pslinger.peer.computing.station import Station
from p2pslinger.peer.owner import Owner
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.slot import Exit, Outcome, SlotSource

#: Seconds before a slot that could not be made is tried again: 1, 2, 4, ... at most 60.
FIRST_RETRY, LAST_RETRY = 1.0, 60.0

#: Seconds that a slot must live to count as one that can.
YOUNG = 1.0

#: Slots in a row that tasks kill at once before there is a pause, and its seconds.
#: Three tries of each of a few such tasks come first: they are granted again first.
QUICK, BREATH = 8, 0.1

#: Seconds that a confined slot stays for its submitter's next task. A new one takes a
#: tenth of a second.
IDLE = 3.0


class Staffing:
    """Makes the stations' slots.

    Args:
        loop: Gives the time.
        owner: Owns the tasks that make slots.
        source: Makes them.
        memory: Gives the bytes that a station's slot may use.
        done: Called with a station's outcomes.
        exited: Called when a station's slot has ended; it may ask for another.
        ready: Called when a station has got a slot.
        failed: Called when one that is confined, or of another interpreter, can't be
            made, with the reason and that interpreter.

    Attributes:
        broken: Why the last slot could not be made, or "".
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        source: SlotSource,
        memory: Callable[[Station], int],
        *,
        done: Callable[[Station, Outcome], None],
        exited: Callable[[Station, Exit], None],
        ready: Callable[[Station], None],
        failed: Callable[[Station, str, Interpreter | None], None],
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._source = source
        self._memory = memory
        self._done = done
        self._exited = exited
        self._ready = ready
        self._failed = failed
        self._closed = False
        self.broken = ""

    def close(self) -> None:
        """Make no more slots."""
        self._closed = True

    def staff(self, station: Station, *, after: float = 0.0) -> None:
        """Get a station without a slot another one, after that many seconds."""
        self._owner.spawn(self._staff(station, after))

    def rest(self, station: Station, exit: Exit) -> float:
        """Return the seconds that a station whose slot has ended shall rest."""
        age = self._loop.time() - station.since
        if station.killed or station.useful or age >= YOUNG:
            station.deaths = 0
            return 0.0
        station.deaths += 1
        if exit.index is not None:  # a task's doing
            return BREATH if station.deaths > QUICK else 0.0
        self.broken = "a slot has ended as soon as it was there"
        return float(min(LAST_RETRY, FIRST_RETRY * 2 ** min(station.deaths - 1, 10)))

    def rest_from(self, station: Station) -> None:
        """See that a confined slot without work ends, if no more comes."""
        if not station.assignments and not station.kind.is_own:
            self._loop.call_later(IDLE, self._retire, station, station.begun)

    def _retire(self, station: Station, begun: int) -> None:
        idle = not station.assignments and not station.line
        if idle and not station.kind.is_own and station.begun == begun:
            station.change(USUAL)

    async def _staff(self, station: Station, after: float) -> None:
        wait = FIRST_RETRY
        if after:
            await asyncio.sleep(after)
        while why := await self._adopt(station):
            if self._closed:
                return
            if station.kind.interpreter or not station.kind.is_own:
                blamed, station.kind = station.kind.interpreter, USUAL
                self._failed(station, why, blamed)  # the usual may still be possible
                continue
            self.broken = why
            await asyncio.sleep(wait)
            wait = min(LAST_RETRY, wait * 2)
        self._ready(station)
        self.rest_from(station)

    async def _adopt(self, station: Station) -> str:
        """Try to get a slot; return why there is none, or ""."""
        early: list[Exit] = []

        def done(outcome: Outcome) -> None:
            with turn_of(self._loop):  # its result leaves at once
                self._done(station, outcome)

        def exited(exit: Exit) -> None:
            if station.slot is None:
                early.append(exit)  # it is not this station's yet
            else:
                self._exited(station, exit)

        station.memory, kind = self._memory(station), station.kind
        try:
            slot = await self._source.slot(
                done, exited, station.memory, kind.confinement, kind.interpreter
            )
        except UnavailableError as error:
            return str(error)
        if early:
            return "a slot has ended before it was there"
        self.broken = ""
        station.slot = slot
        station.kind = kind  # whatever was wished for meanwhile
        station.since = self._loop.time()
        return ""
