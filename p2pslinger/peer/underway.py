"""What is known of the tasks of a job that run now: how far, and their last line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2pslinger import limits
from p2pslinger.ids import JobId, PeerId
from p2pslinger.wire.glimpse import Glimpse

if TYPE_CHECKING:
    from p2pslinger.peer.keeper import Keeper
    from p2pslinger.peer.seats import Seat

#: Seconds after which a task that has shown nothing more is not told of: what says how
#: far it is says so with every heartbeat.
FRESH = limits.LEASE

#: Tasks that are remembered of one job: as many as anybody reads.
MOST = 256

#: Characters of a task's last line.
LINE = 200


@dataclass(frozen=True, slots=True)
class Running:
    """A task that runs.

    Attributes:
        index: Which.
        peer: Who computes it.
        share: How far it is, 0 to 1, or None if it does not say.
        line: The last line that it has printed, as far as is known.
        since: When that was shown, on the loop's clock.
    """

    index: int
    peer: PeerId
    share: float | None
    line: str
    since: float


class UnderWay:
    """The running tasks of one job that have shown something."""

    def __init__(self) -> None:
        self._running: dict[tuple[PeerId, int], Running] = {}

    def shown(self, peer: PeerId, glimpse: Glimpse) -> None:
        """Take note of what a peer has shown."""
        key = peer, glimpse.grant
        before = self._running.pop(key, None)
        line = _last_line(glimpse.text)
        if not line and before is not None and before.index == glimpse.index:
            line = before.line
        now = asyncio.get_running_loop().time()
        self._running[key] = Running(glimpse.index, peer, glimpse.share, line, now)
        if len(self._running) > MOST:
            del self._running[next(iter(self._running))]

    def running(self) -> list[Running]:
        """Return what runs, as far as is known: of each task the one that is ahead."""
        since = asyncio.get_running_loop().time() - FRESH
        fresh = {key: one for key, one in self._running.items() if one.since >= since}
        self._running = fresh
        ahead: dict[int, Running] = {}
        for one in sorted(fresh.values(), key=lambda one: one.share or 0.0):
            ahead[one.index] = one
        return [ahead[index] for index in sorted(ahead)]


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").rstrip("\n").rsplit("\n", 1)
    return lines[-1][-LINE:]


def take_glimpses(keeper: Keeper, seat: Seat, shown: Iterable[Glimpse]) -> None:
    """Have jobs hear how ranges go on that a keeper has granted to a seat.

    To show something is to be alive: it renews the grant, as a heartbeat does.
    """
    now = asyncio.get_running_loop().time()
    for one in shown:
        job = keeper.jobs.get(JobId(one.job))
        if job is not None and job.board.renew(seat.peer, one.grant, one.index, now):
            job.sink.glimpsed(seat.peer, one)
