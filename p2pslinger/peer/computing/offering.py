"""What this peer's slots can be, as it tells the keepers that it asks for work.

A keeper grants nothing that does not fit what it was told. So for each requirement of
an open job the interpreters' packages are looked up, once, before anybody is asked for
that job; and now and then again, since packages come and go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from p2pslinger import limits
from p2pslinger.errors import UnavailableError
from p2pslinger.peer.owner import Owner
from p2pslinger.rules.fitting import fits, installation_lacks, platform_name
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.wire.manifest import Manifest
from p2pslinger.wire.needs import Needs, Offer, Offered

log = logging.getLogger(__name__)

#: Seconds after which it is looked whether packages have come or gone, while open jobs
#: require some: somebody who installs what is missing should not have to wait long.
LOOK = 10.0

#: Seconds between two looks because of new jobs: a look takes some milliseconds, and
#: whoever announces jobs without end must not make us look without end.
PAUSE = 0.5

#: Seconds for which an interpreter is not offered of which a slot could not be made.
AGAIN = 60.0

#: Seconds after which a peer that has started looks for other interpreters.
LEISURE = 2.0


class Room(NamedTuple):
    """What a slot may use of the machine.

    Attributes:
        memory: Bytes for others' jobs, or for confined ones.
        own: Bytes for this peer's own jobs.
        sandbox: It can be confined as well as its owner requires.
    """

    memory: int
    own: int
    sandbox: bool = False


class Interpreters(Protocol):
    """This machine's interpreters; see `p2pslinger.sandbox.interpreters`."""

    own: Interpreter
    system: str
    machine: str
    notes: list[str]

    async def find(self) -> tuple[Interpreter, ...]:
        """Return those that slots can be of, the preferred one first."""

    async def versions(self, interpreter: Interpreter) -> Mapping[str, str]:
        """Return the versions of an interpreter's packages, by name.

        Raises:
            UnavailableError: it does not say.
        """


class Pythons(Protocol):
    """What a volunteer asks about its interpreters."""

    def fits(self, python: str | None, needs: Needs, *, own: bool = False) -> bool:
        """Tell whether a slot of one of them can run a job."""

    def choose(self, job: Manifest, now: Interpreter | None) -> Interpreter | None:
        """Return which is to run a job that fits; None: the daemon's own."""

    def doubt(self, interpreter: Interpreter, why: str) -> None:
        """A slot of it could not be made."""


class Offering:
    """Knows what this peer's slots can be.

    Args:
        interpreters: Those of this machine.
        owner: Owns the tasks that look.
        wanted: Gives what the open jobs need.
        changed: Called when there is something else to offer.
        memory: Bytes that each slot has, to begin with.

    Attributes:
        offer: What there is to offer now.
    """

    def __init__(
        self,
        interpreters: Interpreters,
        owner: Owner,
        *,
        wanted: Callable[[], Iterable[Needs]],
        changed: Callable[[], None],
        memory: int = 0,
    ) -> None:
        self._interpreters = interpreters
        self._owner = owner
        self._wanted = wanted
        self._changed = changed
        self._found: tuple[Interpreter, ...] = (interpreters.own,)
        self._platform = platform_name(interpreters.system, interpreters.machine)
        self._asked: set[str] = set()
        self._watching = False
        self._hearing = False
        self._looked_up = True  # everything that was heard of
        self._looking = asyncio.Lock()
        # Those of the offer, in its order.
        self._offered: tuple[Interpreter, ...] = self._found
        self._room = Room(memory, memory)
        self.offer = self._make(self._offered, {})

    @property
    def pythons(self) -> tuple[str, ...]:
        """The minor versions that slots can be of."""
        return tuple(dict.fromkeys(one.python for one in self.offer.slots))

    def fits(self, python: str | None, needs: Needs, *, own: bool = False) -> bool:
        """Tell whether our slots can run a job, of this peer's own or of another's."""
        return fits(python, needs, self.offer, own=own)

    def give(self, room: Room) -> None:
        """Offer slots of this kind from now on."""
        if room != self._room:
            self._room = room
            self.offer = msgspec.structs.replace(self.offer, **room._asdict())
            self._changed()

    def choose(self, job: Manifest, now: Interpreter | None) -> Interpreter | None:
        """Return which interpreter is to run a job that fits; None: the daemon's own.

        Args:
            job: The job.
            now: What the slot is of that would run it: that one, if it will do.
        """
        if len(self._offered) == 1:  # the common case, on the path of every range
            return None
        python, needs = job.function.python, job.needs
        able = [
            one
            for one, slot in zip(self._offered, self.offer.slots, strict=True)
            if not installation_lacks(python, needs, Offer(self._platform, (slot,)))
        ]
        if now in able:
            return now
        first = able[0] if able else self._interpreters.own
        return None if first == self._interpreters.own else first

    def doubt(self, interpreter: Interpreter, why: str) -> None:
        """Offer an interpreter no more for a while: a slot of it could not be made."""
        if interpreter in self._found:
            log.warning("no slots of %s for now: %s", interpreter.path, why)
            self._found = tuple(one for one in self._found if one != interpreter)
            note = f"no slots of {interpreter.path} for now: {why}"
            self._owner.spawn(self._leave_out(interpreter, note))

    async def _leave_out(self, interpreter: Interpreter, note: str) -> None:
        """Offer an interpreter again after a while: it may have lacked memory."""
        notes = self._interpreters.notes
        notes.append(note)
        await self._look()
        await asyncio.sleep(AGAIN)
        notes.remove(note)
        self._found = (*self._found, interpreter)
        await self._look()

    def describe(self) -> str:
        """Return the interpreters, for people: "3.11 (/usr/bin/python3.11), ..."."""
        return ", ".join(f"{one.python} ({one.path})" for one in self._offered)

    def notes(self) -> list[str]:
        """Return what is wrong with interpreters, for their owner."""
        return self._interpreters.notes

    def heard(self, needs: Needs) -> None:
        """Look up what a new job requires, unless that is known."""
        if not self._asked.issuperset(needs.packages):
            self._asked.update(needs.packages)
            self._looked_up = False
            if not self._hearing:
                self._hearing = True
                self._owner.spawn(self._look_soon())

    async def find(self) -> None:
        """Find the other interpreters, once there is nothing more urgent to do."""
        await asyncio.sleep(LEISURE)
        found = (await self._interpreters.find())[: limits.PYTHONS]
        if found != self._found:
            self._found = found
            await self._look()

    async def _look_soon(self) -> None:
        """Look, and once more if there is more to look up by then."""
        while not self._looked_up:
            self._looked_up = True
            await self._look()
            if self._asked and not self._watching:
                self._watching = True
                self._owner.spawn(self._look_on())
            await asyncio.sleep(PAUSE)
        self._hearing = False

    async def _look_on(self) -> None:
        """Look again and again, for as long as open jobs require packages."""
        while self._asked:
            await asyncio.sleep(LOOK)
            await self._look()
        self._watching = False

    async def _look(self) -> None:
        """See which interpreter meets which requirement of an open job."""
        async with self._looking:
            required = (p for needs in self._wanted() for p in needs.packages)
            self._asked = set(islice(dict.fromkeys(required), limits.OFFERED))
            found, has = self._found, {}
            for one in found if self._asked else ():
                has[one.path] = await self._met(one)
            offer = self._make(found, has)
            if offer != self.offer:
                self.offer, self._offered = offer, found
                self._changed()

    async def _met(self, one: Interpreter) -> tuple[str, ...]:
        from p2pslinger.rules.requirements import met

        try:
            installed = await self._interpreters.versions(one)
        except UnavailableError as error:
            log.warning("what is installed is not known: %s", error)
            return ()
        return met(sorted(self._asked), installed)

    def _make(
        self, found: Iterable[Interpreter], has: Mapping[str, tuple[str, ...]]
    ) -> Offer:
        slots = [Offered(one.python, has.get(one.path, ())) for one in found]
        return Offer(self._platform, tuple(slots), *self._room)
