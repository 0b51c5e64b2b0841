"""Twins: two processes with one identity, as when a disk or virtual machine was copied.

Both would answer for each other's promises. So the one that has started last stops, and
says what to do; the other goes on and says so too.

A hello is proof: who says it holds our key at this moment. A card that is passed on may
be one of our own former life, unless it was signed after we have started.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.peer.events import Events, Noted
from p2pslinger.wire.records import PeerCard

#: Milliseconds in a second: what the sequence of cards counts in.
MILLI = 1e3


class Twins:
    """Recognises other processes with our identity.

    Args:
        started: When this one has started, as its card says.
        age: Gives how long ago that was, seconds.
        now: Gives the grid's time.
        key: The file that is the identity, for the remedy.
        end: Called with the reason if this process is the one to stop.
        events: Where to report.
    """

    def __init__(
        self,
        *,
        started: int,
        age: Callable[[], float],
        now: Callable[[], float],
        key: Path,
        end: Callable[[UsageError], None],
        events: Events,
    ) -> None:
        self._started = started
        self._age = age
        self._now = now
        self._key = key
        self._end = end
        self._events = events
        self._noted: set[int] = set()

    def met(self, card: PeerCard, host: str) -> None:
        """Hear a hello with our own identity; it may be ourselves."""
        if card.started == self._started:
            return
        name = f"{card.name} at {host}" if host else card.name
        if card.started <= self._started:
            self._end(
                UsageError(
                    f"{name} runs with this peer's identity, and has started first: "
                    "one of the two data folders is a copy of the other. On the "
                    f"machine that is to be a new peer, delete {self._key} and start "
                    "again"
                )
            )
        elif card.started not in self._noted:
            self._noted.add(card.started)
            self._events.emit(
                Noted(
                    f"{name} has started with this peer's identity, from a copy of its "
                    f"data folder, and is told to stop: delete {self._key.name} there"
                )
            )

    def seen(self, card: PeerCard) -> None:
        """Look at a card with our signature that others hold."""
        began = self._now() - self._age()
        if card.sequence / MILLI > began + limits.CLOCK_SLACK:
            host = card.addresses[0].host if card.addresses else ""
            self.met(card, host)
