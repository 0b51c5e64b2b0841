"""How many keepers hold an item on disk, and who waits to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from p2pslinger.ids import PeerId


@dataclass(eq=False)
class Waiting:
    """Somebody who wants to know when enough hold an item.

    Attributes:
        id: The item.
        enough: Gives how many are enough, as things stand.
        answer: Called once, with how many hold it and whether they are enough.
        here: It is on our own disk.
        holders: Others who hold it.
    """

    id: bytes
    enough: Callable[[], int]
    answer: Callable[[int, bool], None]
    here: bool = False
    holders: set[PeerId] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None


class Holding:
    """Who waits for how many to hold what, of one job.

    Args:
        loop: Gives the time.
        agreeing: Gives the keepers that hold all that is on our disk.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        agreeing: Callable[[], Iterable[PeerId]],
    ) -> None:
        self._loop = loop
        self._agreeing = agreeing
        self._waiting: dict[bytes, list[Waiting]] = {}

    def expect(
        self,
        id: bytes,
        enough: Callable[[], int],
        answer: Callable[[int, bool], None],
        within: float,
    ) -> Waiting:
        """Wait for others to hold an item; ours counts from `saved` on.

        To be called before anyone is told of it, or its answer is not heard.

        Args:
            id: The item.
            enough: Gives how many keepers are enough, as things stand.
            answer: Called once, with how many hold it and whether they are enough.
            within: Seconds after which the answer is what it is.
        """
        waiting = Waiting(id, enough, answer)
        self._waiting.setdefault(id, []).append(waiting)
        waiting.timer = self._loop.call_later(within, self._give_up, waiting)
        return waiting

    def saved(self, waiting: Waiting) -> None:
        """Our own copy is on disk. Nothing happens if nobody waits any more."""
        waiting.here = True
        if waiting in self._waiting.get(waiting.id, ()):
            self._look(waiting)

    def forget(self, waiting: Waiting) -> bool:
        """Nobody waits for this any more; return whether somebody has until now."""
        others = self._waiting.get(waiting.id, [])
        if waiting not in others:
            return False
        others.remove(waiting)
        if not others:
            del self._waiting[waiting.id]
        if waiting.timer is not None:
            waiting.timer.cancel()
        return True

    def held_by(self, id: bytes, peer: PeerId) -> None:
        """Another keeper has an item on disk."""
        for waiting in self._waiting.get(id, ())[:]:
            waiting.holders.add(peer)
            self._look(waiting)

    def look(self) -> None:
        """Look at everything again: who takes part, or agrees, has changed."""
        for waiting in [one for some in self._waiting.values() for one in some]:
            self._look(waiting)

    def close(self) -> None:
        """Answer everybody: it will not be more."""
        for waiting in [one for some in self._waiting.values() for one in some]:
            self._give_up(waiting)

    def _look(self, waiting: Waiting) -> None:
        if waiting.here:
            holders = 1 + len(waiting.holders.union(self._agreeing()))
            if holders >= waiting.enough():
                self.forget(waiting)
                waiting.answer(holders, True)

    def _give_up(self, waiting: Waiting) -> None:
        self.forget(waiting)
        waiting.answer(len(waiting.holders) + waiting.here, False)
