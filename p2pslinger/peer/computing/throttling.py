"""Each slot that works for others uses no more of a core than it may.

A slot earns processor time as time passes, and what it uses is taken off. Without any
left it is stopped until it has earned some. So the share is kept by whatever a task
does: by a loop, by many threads, and by one that sleeps and then bursts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2pslinger.peer.computing.station import Station
from p2pslinger.sandbox.slot import Slot

#: Seconds between two looks at slots that may have a part of a core, and at those that
#: may have all of one: only several threads can use more than that.
TICK, WHOLE_TICK = 0.1, 0.5

#: Seconds of a core that may be saved up: one look's worth.
SAVED = 0.1

#: Why a slot stands still that has used up its share.
THROTTLED = "it has used its share of the processor"


@dataclass(slots=True)
class _Account:
    """What one slot has left, in processor seconds, and what it had used when."""

    slot: Slot
    left: float
    used: float
    when: float


class Throttle:
    """Looks at the slots that work for others.

    Args:
        loop: Gives the time.
        stations: Where they are.
        works_for_others: Tells whether a station does.

    Attributes:
        share: Part of a core that each may use; None: whatever it can.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stations: Sequence[Station],
        works_for_others: Callable[[Station], bool],
    ) -> None:
        self._loop = loop
        self._stations = stations
        self._works_for_others = works_for_others
        self._accounts: dict[Station, _Account] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.share: float | None = None

    def go_on(self) -> None:
        """Look as long as there is something to look at."""
        if self._timer is None and self.share is not None and self._others():
            tick = TICK if self.share < 1 else WHOLE_TICK
            self._timer = self._loop.call_later(tick, self._tick)

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _others(self) -> list[Station]:
        return [one for one in self._stations if self._works_for_others(one)]

    def _tick(self) -> None:
        self._timer = None
        others = self._others()
        self._accounts = {
            station: account
            for station, account in self._accounts.items()
            if station in others and station.slot is account.slot
        }
        for station in others:
            if station.slot is not None:
                self._charge(station, station.slot)
        self.go_on()

    def _charge(self, station: Station, slot: Slot) -> None:
        assert self.share is not None
        now, used = self._loop.time(), slot.used
        account = self._accounts.get(station)
        if account is None:
            self._accounts[station] = _Account(slot, SAVED * self.share, used, now)
            return
        earned = self.share * (now - account.when)
        account.left = min(SAVED, account.left + earned - (used - account.used))
        account.used, account.when = used, now
        if account.left <= 0:
            station.stop(THROTTLED, now)
        else:
            station.go(THROTTLED, now)
