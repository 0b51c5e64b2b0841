"""Work for a keeper's idle volunteers, once nothing of its own part of a job is left.

It asks the others, and they give it some of their open tasks: what one keeper has given
away, it does not hand out itself, so that helping has no task computed twice. Nobody is
asked for as long as every slot here has something to do; most volunteers sit at several
keepers, and get work from whichever has some.

Only where nobody answers for a while does it take others' tasks without asking, and
some may be computed twice: their keepers are there, and do not do their part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2pslinger.ids import PeerId
from p2pslinger.limits import OPEN_REQUESTS
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.rules.keeping import Places
from p2pslinger.rules.spans import Span

#: Seconds that a slot has waited for work until it counts as idle: its request may be
#: taken back just now, because another keeper had something for it.
IDLE = 0.2

#: Seconds that a keeper asks for tasks in vain before it takes some.
IN_VAIN = 4.0


class Helping:
    """What one keeper of a job does for those of another part.

    Args:
        job: The job here.
        me: This peer.
        places: Gives who hold the job's places.
    """

    def __init__(
        self, job: DurableJob, me: PeerId, places: Callable[[], Places]
    ) -> None:
        self._job = job
        self._me = me
        self._places = places
        self._asking: float | None = None  # since when, in vain

    def look(self, now: float) -> int:
        """Return for how many idle slots to ask others for tasks."""
        board, keeper = self._job.kept.board, self._job.means.keeper
        board.spare = False
        resting = board.open or not board.left_to_others or board.rests
        idle = 0 if resting else keeper.idle(self._job.kept, now - IDLE)
        if not idle or self._me not in self._places().keepers:
            self._asking = None
            return 0
        if self._asking is None:
            self._asking = now
        if now - self._asking >= IN_VAIN:
            board.spare, board.aside = True, self._aside()
            keeper.settle(self._job.kept)
        return min(idle, OPEN_REQUESTS)

    def give(self, idle: int) -> list[Span]:
        """Leave some of our open tasks to a keeper with idle slots; return which."""
        kept = self._job.kept
        return kept.board.give(idle, self._job.means.keeper.places(kept))

    def given(self, spans: Iterable[Span]) -> None:
        """Hand out what another keeper leaves to us."""
        if self._job.kept.board.given(spans):
            self._asking = None

    def _aside(self) -> float:
        """Return which share of others' last tasks other helpers begin with."""
        keepers = self._places().keepers
        at = keepers.index(self._me) if self._me in keepers else 0
        return at / max(1, len(keepers))
