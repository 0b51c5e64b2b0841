"""Values that are too big for a message: asked for a few at a time.

A job may have thousands of them, and the peer serves only so many requests at once.
"""

from __future__ import annotations

import threading
from collections import deque

import msgspec

from p2pslinger.client.link import Link
from p2pslinger.client.requests import Answered
from p2pslinger.errors import SlingerError
from p2pslinger.wire.control import GetValues

#: Requests for values that are open at once, all jobs together: enough to keep the
#: socket busy, few enough that not all the values are in memory in pieces.
OPEN = 16


class Fetches:
    """Asks for values, in the order in which they were wanted."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._wanted: deque[tuple[GetValues, Answered]] = deque()
        self._open = 0

    def want(self, ask: GetValues, done: Answered) -> None:
        """Ask, now or later; `done` hears the values, or why they do not come."""
        with self._lock:
            self._wanted.append((ask, done))
        self._ask()

    def _ask(self) -> None:
        """Ask for as many as may be open."""
        while (wanted := self._next()) is not None:
            ask, done = wanted
            try:
                self._link.ask(ask, self._then(done))
            except SlingerError as error:
                self._answered()
                done(error, b"")

    def _next(self) -> tuple[GetValues, Answered] | None:
        with self._lock:
            if not self._wanted or self._open >= OPEN:
                return None
            self._open += 1
            return self._wanted.popleft()

    def _then(self, done: Answered) -> Answered:
        """Return `done`, followed by the next request."""

        def answered(answer: msgspec.Struct | SlingerError, data: bytes) -> None:
            self._answered()
            done(answer, data)
            self._ask()

        return answered

    def _answered(self) -> None:
        with self._lock:
            self._open -= 1
