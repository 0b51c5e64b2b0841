"""The search for the peers closest to a key: a pure machine, without rounds."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable
from enum import IntEnum, auto

from p2pslinger.ids import PeerId
from p2pslinger.net.datagrams import Place

#: Contacts in a bucket and copies of a record, as in Kademlia's paper.
K = 20

#: Requests of one look-up under way at once, late ones not counted.
ALPHA = 3

#: Holders of a valid record that end the search for it.
ENOUGH = 3

#: Requests of one look-up: an honest one takes 30; fakes could lead it on for ever.
LOOKUP_REQUESTS = 100


class State(IntEnum):
    """How a look-up stands with one peer; late is who let the first request pass."""

    WAITING = auto()
    ASKED = auto()
    LATE = auto()
    ANSWERED = auto()
    FAILED = auto()


class Lookup:
    """The search for the peers closest to a key, or for its records: events in.

    There are no rounds: each event may free a turn, and `step` uses it. Who is late
    has no turn and, unless the look-up is `patient`, no place among the closest.

    Args:
        key: What is looked for.
        me: Who looks; never asked.
        ask: Called with each peer to ask.
        over: Called once, when there is nothing left to wait for.
        wants_records: It ends as soon as enough peers had some.
        patient: It waits for those that are late as well.
        width: How many of the closest must have answered.
    """

    def __init__(
        self,
        key: bytes,
        *,
        me: PeerId,
        ask: Callable[[Place], None],
        over: Callable[[], None],
        wants_records: bool = False,
        patient: bool = False,
        width: int = K,
    ) -> None:
        self.is_over = False
        self._target = int.from_bytes(key)
        self._places: dict[int, Place] = {}
        self._states = {self.distance(me): State.FAILED}
        self._order: list[int] = []
        self._ask = ask
        self._over = over
        self._wants_records = wants_records
        self._width = width
        self._passed = {State.FAILED} if patient else {State.FAILED, State.LATE}
        self._holders: set[PeerId | None] = set()
        self._asked = self._busy = 0

    def add(self, places: Iterable[Place]) -> None:
        """Take in peers that somebody has named."""
        for place in places:
            distance = self.distance(place.peer)
            if distance not in self._states:
                self._states[distance] = State.WAITING
                self._places[distance] = place
                bisect.insort(self._order, distance)

    def mark(self, place: Place, state: State) -> None:
        """Take in what became of a request, and go on."""
        distance = self.distance(place.peer)
        if self._states[distance] is State.ASKED:
            self._busy -= 1
        self._states[distance] = state
        self.step()

    def had_records(self, place: Place) -> None:
        """Count a peer that holds something valid, before it is marked."""
        self._holders.add(place.peer)

    def closest(self) -> list[Place]:
        """Return the closest peers that have answered, closest first."""
        states = self._states
        good = (d for d in self._order if states[d] is State.ANSWERED)
        return [self._places[d] for d in itertools.islice(good, self._width)]

    def step(self) -> None:
        """Ask whoever has a turn, or end."""
        if self.is_over:
            return
        states = self._states
        candidates = (d for d in self._order if states[d] not in self._passed)
        near = list(itertools.islice(candidates, self._width))
        for distance in near:
            if self._busy >= ALPHA or self._asked >= LOOKUP_REQUESTS:
                break
            if states[distance] is State.WAITING:
                states[distance] = State.ASKED
                self._busy += 1
                self._asked += 1
                self._ask(self._places[distance])
        if self._has_ended({states[distance] for distance in near}):
            self.is_over = True
            self._over()

    def _has_ended(self, near: set[State]) -> bool:
        if self._wants_records and len(self._holders) >= ENOUGH:
            return True
        if State.WAITING in near and self._asked < LOOKUP_REQUESTS:
            return False
        if State.ASKED in near or State.LATE in near:
            return False
        if State.LATE not in self._states.values():
            return True
        return bool(self._holders) if self._wants_records else State.ANSWERED in near

    def distance(self, peer: PeerId | None) -> int:
        """Return how far a peer is from the key."""
        assert peer is not None
        return int.from_bytes(peer) ^ self._target
