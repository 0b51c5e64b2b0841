"""When this peer tries how well it can confine slots.

A probe makes processes, and nobody needs it who is alone: it waits for the first
neighbour, or for a quiet moment after the start, whichever comes first; in the peers
that programs bring along, for a job that asks for a sandbox. So it delays neither the
owner's first result nor joining. If a slot can't be made any more as it
could when that was tried, it is tried again: until then others' work stays away. So it
is, now and then, where it was not enough: the machine may just have been too busy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.owner import Owner
from p2pslinger.sandbox.level import Finding, Level

log = logging.getLogger(__name__)

#: Seconds after the start when there is a moment for it, neighbours or not.
QUIET = 2.0

#: Seconds before it is tried again after a slot could not be made.
AGAIN = 30.0

#: Seconds before it is tried again after others' work could not be let in.
LATER = 600.0


class Probing:
    """Finds the level, when it is time for that.

    Args:
        loop: Gives the time.
        owner: Owns the task that probes.
        probe: Finds it.
        confining: Is told.
        needed: There are slots.
        changed: Called when there is a new finding, or none any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        probe: Callable[[], Awaitable[Finding]],
        confining: Confining,
        *,
        needed: bool,
        changed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._probe = probe
        self._confining = confining
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._closed = not needed

    def begin(self) -> None:
        """Probe when there is a quiet moment."""
        if self._timer is None:
            self._wait(QUIET)

    def now(self) -> None:
        """Probe at once: even own work waits for it."""
        self._begin()

    def joined(self) -> None:
        """There is a neighbour: probe now, if it matters to others."""
        known = self._confining.for_members or self._confining.finding is not None
        if not (known or self._confining.doubt):
            self._begin()

    def wanted(self) -> None:
        """There is work that must be confined: probe, unless that has just failed."""
        if not self._confining.doubt:
            self._begin()

    def doubt(self, why: str) -> None:
        """A slot could not be made as it was found to be possible: look again."""
        log.warning("a slot for others can't be made any more: %s", why)
        self._confining.finding = None
        self._confining.doubt = why
        self._wait(AGAIN)
        self._changed()

    def close(self) -> None:
        """Probe no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    # --- inside -------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        enough = self._confining.finding is not None and self._confining.for_members
        if not (enough or self._running or self._closed):
            self._running = True
            self._owner.spawn(self._find())

    async def _find(self) -> None:
        try:
            finding = await self._probe()
        except OSError as error:  # no room for its bait, or no descriptors
            finding = Finding(Level.NONE, None, (f"all: {error}",))
        finally:
            self._running = False
        before = self._confining.finding, self._confining.doubt
        self._confining.finding = finding
        self._confining.doubt = ""
        if before != (finding, ""):
            for text in finding.missing:
                log.info("the sandbox lacks something for level %s", text)
            self._changed()
        if not self._confining.for_members and not self._closed:
            self._wait(LATER)
