"""Why nothing comes: asked once something has been waited for a while.

The peer knows why a job waits. It is asked only while nothing new has come for some
seconds, so that who waits for a second costs nobody a question.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from p2pslinger.client.tables import SENTENCE, clean
from p2pslinger.errors import SlingerError
from p2pslinger.wire.facts import ReasonFacts

#: Seconds without anything new after which the peer is asked, and asked again.
PATIENCE = 5.0


class Overdue:
    """Remembers when something has come last.

    Args:
        why: Asks the peer why there is no more.
        now: Gives the time.
    """

    def __init__(
        self,
        why: Callable[[], ReasonFacts | None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._why = why
        self._now = now
        self._done = -1
        self._asked = 0.0
        self._said = ""

    def look(self, done: int) -> str:
        """Return why no more than `done` has come for a while, or ""."""
        now = self._now()
        if done != self._done:
            self._done, self._asked, self._said = done, now, ""
        elif now - self._asked >= PATIENCE:
            self._asked, self._said = now, self._ask()
        return self._said

    def _ask(self) -> str:
        try:
            reason = self._why()
        except SlingerError:  # whoever waits will hear of it
            return ""
        return "" if reason is None else clean(reason.text, SENTENCE)  # it names peers
