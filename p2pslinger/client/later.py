"""Values that are too big for a message: they stay with the peer until they are read.

    peer: these tasks are done --> Later ... about to be read --> peer: the values

So a program may leave many gigabytes of results unread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from p2pslinger.client.outcomes import Outcomes
from p2pslinger.wire.control import RangeOut

#: Hears what came of a range, and whether its values did not come.
Came = Callable[[Outcomes, bool], None]


class Later:
    """The outcomes of some tasks, whose values the peer has.

    Args:
        out: What the peer has said of the range that they are in.
        count: Tasks.
        failed: How many of them failed.
        fetch: Asks the peer for the values; calls what it is given once, in any thread.

    Attributes:
        asked: Somebody has asked for the values.
        outcomes: They, and the errors of those that failed, once they have come.
        lost: The values did not come; the next reader may be luckier.
    """

    def __init__(
        self, out: RangeOut, count: int, failed: int, fetch: Callable[[Came], None]
    ) -> None:
        self.out = out
        self.count = count
        self.failed = failed
        self.asked = False
        self.outcomes: Outcomes | None = None
        self.lost = False
        self._fetch = fetch

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return self.out.size

    def fetch(self, came: Callable[[Later], None]) -> None:
        """Ask for the values; `came` is called when they are here, or will not be."""
        self._fetch(partial(self._came, came))

    def forget(self) -> None:
        """Let go of the values: whoever wants them asks again."""
        self.asked, self.outcomes, self.lost = False, None, False

    def _came(
        self, came: Callable[[Later], None], outcomes: Outcomes, lost: bool
    ) -> None:
        self.lost = lost
        self.outcomes = outcomes
        came(self)
