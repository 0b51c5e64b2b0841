"""Turns: what is said while one event is handled leaves when that is done.

Without this it would leave in the loop's next turn, after another look at all sockets;
a task crosses four such places on its way to a slot and back. What is said at any other
time still waits for the next turn of the loop, and leaves together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary


class Turn:
    """The events of one loop: a context manager around the handling of each.

    Handling one may lead to another; what is said leaves at the end of the first.
    """

    __slots__ = ("_depth", "_flushes")

    def __init__(self) -> None:
        self._depth = 0
        self._flushes: deque[Callable[[], None]] = deque()

    @property
    def is_running(self) -> bool:
        """Whether an event is being handled."""
        return self._depth > 0

    def at_end(self, flush: Callable[[], None]) -> None:
        """Call `flush` at the end of the event that is being handled."""
        self._flushes.append(flush)

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        try:
            while self._depth == 1 and self._flushes:
                self._flushes.popleft()()  # one that fails leaves the others queued
        finally:
            self._depth -= 1


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """Return the turn of a loop."""
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = Turn()
    return turn
