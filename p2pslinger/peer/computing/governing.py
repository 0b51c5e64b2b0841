"""The owner's preferences, applied: what others may have of this machine right now.

    preferences + sensors --permit--> the volunteer's slots

The file is looked at every two seconds, which costs one system call. Sensors are asked
only while there is work of others, here or anywhere in the grid; and only about what a
preference depends on. While the file can't be understood, what it said before holds on;
if it could not be understood from the start, others get nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from msgspec import structs

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.wishes import Wishes
from p2pslinger.peer.events import Events, Unclear
from p2pslinger.rules.permits import PRESENT, Course, Facts, Now, Permit, permit
from p2pslinger.rules.preferences import DEFAULTS
from p2pslinger.rules.reasons import Reason, reason_for
from p2pslinger.sandbox.sensors.sensor import Question, Sensors
from p2pslinger.wire.facts import ReasonFacts
from p2pslinger.wire.ownfacts import PermitFacts

#: Seconds between two looks at the file, and at the sensors.
LOOK = 2.0

#: Seconds between two looks at the sensors while other programs have the machine: every
#: process is looked at then, and nothing is lost if it is noticed later that they stop.
LATER = 5.0

#: Seconds at least between two looks at the sensors, although other preferences may
#: need other facts: what was used of the processors is measured from look to look.
AGAIN = 0.5

#: Seconds at least between two looks, however soon something is due.
SOONEST = 0.2


@dataclass(frozen=True)
class Ground:
    """What governing needs to know of the peer.

    Attributes:
        slots: How many slots it has.
        possible: Tells whether there is work of others, here or in the grid.
        used: Gives the processor seconds that its slots have used.
        programs: Gives the processes that are connected to it.
        short_lived: A program has brought it along.
        listed: Tells whom the owner has allowed by name.
        wall: Gives the wall time.
        unsure: Says why nobody knows whom the owner has denied, or "".
    """

    slots: int
    possible: Callable[[], bool]
    used: Callable[[], float]
    programs: Callable[[], Set[int]]
    short_lived: bool
    listed: Callable[[PeerId], bool]
    wall: Callable[[], float]
    unsure: Callable[[], str] = lambda: ""


class Governing:
    """Knows what others may have, and says so when that changes.

    Args:
        loop: Gives the time.
        wishes: The preferences.
        sensors: What the machine says about itself; None: preferences do not apply.
        ground: What else there is to know.
        apply: Called with every permit.
        changed: Called when others may have something else than before.
        events: Where to report.

    Attributes:
        preferences: What holds.
        trouble: Why the file can't be understood, or "".
        facts: What the sensors have said last.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        wishes: Wishes,
        sensors: Sensors | None,
        ground: Ground,
        apply: Callable[[Permit], None],
        changed: Callable[[], None],
        events: Events,
    ) -> None:
        self._loop = loop
        self._wishes = wishes
        self._sensors = sensors
        self._ground = ground
        self._apply = apply
        self._changed = changed
        self._events = events
        self._stamp: object = ()
        self._understood = False
        self._course = Course()
        self._looked = -math.inf
        self._wake = asyncio.Event()
        self.preferences = DEFAULTS
        self.trouble = ""
        self.facts = Facts()

    @property
    def reason(self) -> ReasonFacts | None:
        """Why others get nothing, or None."""
        return self._course.permit.reason

    def serves(self, peer: PeerId) -> bool:
        """Tell whether a peer is among those that we compute for."""
        if self._sensors is None or self.preferences.compute_for == "members":
            return True
        return self._ground.listed(peer)

    def begin(self) -> None:
        """Apply what is written, before there is any work."""
        if self._sensors is not None:
            self._reread()
            self._decide(Facts())

    def heard(self) -> None:
        """There may be work of others: look at once, unless that has just been done."""
        if self._loop.time() - self._looked >= LOOK:
            self._wake.set()

    async def keep_governing(self) -> None:
        """Look again and again, for as long as the peer runs."""
        if self._sensors is None:
            return
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self.look()

    async def look(self) -> None:
        """Read the file if it has changed, ask the sensors, and apply what follows."""
        if self._sensors is None:
            return
        changed = self._reread()
        facts = Facts()
        if self._ground.possible():
            every = LATER if self._course.loaded else LOOK
            enough = AGAIN if changed else every - SOONEST
            if self._loop.time() - self._looked < enough:
                facts = self.facts
            else:
                self._looked = self._loop.time()
                facts = await self._sensors.look(self._question())
        self._decide(facts)

    async def report(self) -> PermitFacts:
        """Look, and tell what others may have now and why not more."""
        await self.look()
        given, facts, sensors = self._course.permit, self.facts, self._sensors
        most = self._ground.slots if given.slots is None else given.slots
        return PermitFacts(
            sensors is not None,
            self.trouble,
            given.reason,
            given.since,
            0 if given.suspended else min(most, self._ground.slots),
            given.share,
            given.memory,
            facts.on_battery,
            facts.idle,
            facts.load,
            facts.program,
            {} if sensors is None else sensors.sources(),
        )

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        if not self.trouble:
            return []
        until = (
            "what it said before holds" if self._understood else "others get nothing"
        )
        return [f"{self.trouble}; until that is mended, {until}"]

    # --- inside -------------------------------------------------------------------

    def _pause(self) -> float:
        return max(SOONEST, min(LOOK, self._course.due))

    def _reread(self) -> bool:
        """Read the file if it has changed; return whether it has."""
        stamp = self._wishes.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.preferences = self._wishes.read()
        except UsageError as error:
            if str(error) != self.trouble:
                self._events.emit(Unclear(str(error)))
            self.trouble = str(error)
        else:
            self.trouble = ""
            self._understood = True
        self._changed()
        return True

    def _question(self) -> Question:
        wishes, ground = self.preferences, self._ground
        limits = [] if wishes.foreign_load is None else [wishes.foreign_load]
        if wishes.when_idle:
            limits.append(PRESENT)
        return Question(
            power=not wishes.on_battery,
            input=wishes.when_idle,
            load=min(limits, default=None),
            own=time.process_time() + ground.used() if limits else 0.0,
            programs=ground.programs() if limits else frozenset(),
        )

    def _decide(self, facts: Facts) -> None:
        assert self._sensors is not None
        self.facts = facts
        wall = self._ground.wall()
        now = Now(self._loop.time(), wall, self._sensors.week(wall))
        before = self._course.permit
        course = permit(self.preferences, facts, self._course, now)
        unfit = self._why_unfit()
        if unfit is not None:
            since = before.since if before.reason == unfit else wall
            given = replace(course.permit, suspended=True, reason=unfit, since=since)
            course = replace(course, permit=given)
        self._course = course
        if course.permit != before or before.since == 0.0:
            self._apply(course.permit)
            self._changed()

    def _why_unfit(self) -> ReasonFacts | None:
        """Return why this peer gives others nothing, whatever the preferences say."""
        if not self._understood:
            return _unclear(f"its preferences: {self.trouble}")
        unsure = self._ground.unsure()
        if unsure:
            return _unclear(f"whom it may compute for: {unsure}")
        if self._ground.short_lived and not self.preferences.program_peers:
            text = (
                "it is here for one program only, and its preferences do not say "
                "program_peers"
            )
            return reason_for(Reason.DISABLED, text)
        return None


def _unclear(text: str) -> ReasonFacts:
    """Return that others get nothing while nobody knows what the owner has written."""
    reason = reason_for(Reason.DISABLED, text)
    return structs.replace(
        reason, advice="mend that line", ends="the file can be understood"
    )
