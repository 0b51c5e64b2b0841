"""Results by position; of big values, only those that will be read soon are here.

A reader goes from position to position. What lies ahead of it is asked for, as far as
there is room; what it has passed is let go, unless everything has room together. None
of this locks: its owner does.
"""

from __future__ import annotations

from p2pslinger import limits
from p2pslinger.client.later import Later
from p2pslinger.client.outcomes import Outcomes

#: Bytes of values that are asked for before they are read: enough to keep the socket
#: busy, and no matter for a program's memory.
AHEAD = 64 * limits.MIB

#: Ranges in which a reader looks for them: they may be small.
RANGES = 64


class Parts:
    """The results of some tasks, in parts as they came.

    Args:
        keep: Keep what was read, so that it can be read again.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._parts: dict[int, Outcomes | Later] = {}
        self._at = 0  # where the last reader is
        self._unasked = 0  # parts of which only the peer has the values
        self._held = 0  # bytes of values that were asked for and not let go
        self._passed: list[Later] = []  # read, and still here
        self._size = 0  # bytes of all values that the peer had

    def __contains__(self, at: int) -> bool:
        return at in self._parts

    def positions(self) -> list[tuple[int, int]]:
        """Return where each part begins and ends."""
        return sorted((at, at + _count(part)) for at, part in self._parts.items())

    def add(self, at: int, part: Outcomes | Later) -> None:
        """Take results from a position on."""
        self._parts[at] = part
        if isinstance(part, Later):
            self._unasked += 1
            self._size += part.size

    def clear(self) -> None:
        """Want nothing of it any more."""
        self._parts.clear()
        self._unasked = 0

    def take(self, at: int) -> Outcomes | None:
        """Return what is at a position, if it is here; it goes unless it is kept."""
        part = self._parts.get(at)
        found = part.outcomes if isinstance(part, Later) else part
        if found is not None and not self._keep:
            del self._parts[at]
            self._held -= part.size if isinstance(part, Later) else 0
        return found

    def due(self, at: int | None = None) -> list[Later]:
        """Return what has to be asked for now: whoever calls this does so.

        Args:
            at: Where a reader is, if it has moved.
        """
        self._at = self._at if at is None else at
        due: list[Later] = []
        at = self._at
        for _ in range(RANGES if self._unasked else 0):
            part = self._parts.get(at)
            if part is None:
                break
            if isinstance(part, Later) and not part.asked:
                if at != self._at and self._held + part.size > AHEAD:
                    break
                due.append(self._asked(part))
            at += _count(part)
        return due

    def rest(self) -> list[Later]:
        """Return everything that only the peer has: whoever calls this asks for it."""
        parts = list(self._parts.values())
        return [
            self._asked(one)
            for one in parts
            if isinstance(one, Later) and not one.asked
        ]

    def passed(self, at: int) -> None:
        """A reader is through with what is at a position."""
        part = self._parts.get(at)
        if not isinstance(part, Later) or part.outcomes is None:
            return
        self._passed.append(part)
        if self._size > AHEAD or part.lost:
            for one in self._passed:
                self._forget(one)
            self._passed.clear()

    def _asked(self, later: Later) -> Later:
        later.asked = True
        self._unasked -= 1
        self._held += later.size
        return later

    def _forget(self, later: Later) -> None:
        if later.outcomes is not None:
            later.forget()
            self._unasked += 1
            self._held -= later.size


def _count(part: Outcomes | Later) -> int:
    """Return how many tasks a part has."""
    return part.count if isinstance(part, Later) else len(part[0])
