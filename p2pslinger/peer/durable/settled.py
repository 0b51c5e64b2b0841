"""The outcomes of a durable job in the order in which they were settled here.

Whoever follows the job is a place in this log. So a program that comes late, reads
slowly or comes back gets every outcome once, from the first on, and none of them has to
wait in memory: values are read from the store when their turn comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from p2pslinger.errors import UnavailableError
from p2pslinger.ids import PeerId
from p2pslinger.wire.control import RangeOut
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.records import RangeResult

#: Outcomes that are read from the store for one follower before others get their turn.
PAGE = 64


class Settled(NamedTuple):
    """The tasks [start, stop) have the outcome that a batch holds at a place."""

    start: int
    stop: int
    batch: bytes
    place: int


class Follower(Protocol):
    """A program that wants a job's results."""

    @property
    def has_room(self) -> bool:
        """Whether it reads what it is sent; `on_room` is called when it does again."""

    on_room: Callable[[], None] | None

    def results(self, ranges: list[RangeOut]) -> None:
        """Take results, in the order in which they were settled."""

    def glimpsed(self, peer: PeerId, glimpse: Glimpse) -> None:
        """Hear how a range goes on that is being computed."""

    def ended(self, kind: str, text: str) -> None:
        """Hear that no more will come, before all were there."""


#: Reads one range of a batch: its volunteer, and what it signed; None if it is gone.
ReadRange = Callable[[bytes, int], tuple[PeerId, RangeResult] | None]


@dataclass(slots=True)
class Place:
    """How far somebody has been sent a log."""

    log: list[Settled]
    at: int = 0


class Outcomes:
    """The log of one job, and its followers.

    Args:
        read: Reads results from the store.
        mine: Tells whether a volunteer's values are trusted like our own.
    """

    def __init__(self, read: ReadRange, mine: Callable[[PeerId], bool]) -> None:
        self._read = read
        self._mine = mine
        self._log: list[Settled] = []
        self._places: dict[Follower, Place] = {}

    @property
    def followers(self) -> list[Follower]:
        """Return who follows the job."""
        return list(self._places)

    def settle(self, outcomes: list[Settled]) -> None:
        """Put outcomes at the end, and send them to whoever follows."""
        logs = {id(place.log): place.log for place in self._places.values()}
        for log in {**logs, id(self._log): self._log}.values():
            log.extend(outcomes)
        for follower in list(self._places):
            self._send(follower)

    def of(self, index: int) -> tuple[PeerId, RangeResult] | None:
        """Return the range that has a task's outcome, and who computed it.

        None if there is no outcome, or it is damaged here.
        """
        for one in self._log:
            if one.start <= index < one.stop:
                return self._read(one.batch, one.place)
        return None

    def rewrite(self, outcomes: list[Settled]) -> None:
        """Let this be what everyone is sent who follows from now on.

        Whoever follows already has been given values, and those never change.
        """
        self._log = outcomes

    def follow(self, follower: Follower) -> None:
        """Send somebody every outcome, from the first on."""
        self._places[follower] = Place(self._log)
        follower.on_room = lambda: self._send(follower)
        self._send(follower)

    def leave(self, follower: Follower) -> None:
        """Send somebody nothing more."""
        if self._places.pop(follower, None) is not None:
            follower.on_room = None

    def _send(self, follower: Follower) -> None:
        while follower in self._places and follower.has_room:
            place = self._places[follower]
            page = place.log[place.at : place.at + PAGE]
            if not page:
                return
            place.at += len(page)
            try:
                follower.results([self._out(one) for one in page])
            except UnavailableError as error:
                self.leave(follower)
                follower.ended("unavailable", str(error))

    def _out(self, one: Settled) -> RangeOut:
        found = self._read(one.batch, one.place)
        if found is None:
            raise UnavailableError(
                f"the results of the tasks from {one.start} on are damaged here: ask "
                "for them on another machine that keeps the job"
            )
        volunteer, result = found
        whole = (one.start, one.stop) == (result.start, result.stop)
        return RangeOut(
            result.start,
            result.stop,
            result.form,
            result.values,
            result.digest,
            result.size,
            result.failures,
            volunteer,
            self._mine(volunteer),
            result.wall,
            result.cpu,
            result.output,
            None if whole else (one.start, one.stop),
        )
