"""Saying which durable jobs this peer keeps: to volunteers by gossip, for as long as
there is work; to whoever looks for a job by its id, in the directory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from p2pslinger import limits
from p2pslinger.errors import SlingerError
from p2pslinger.ids import JobId
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Notice, seal

#: Seconds that a notice lives in the directory, and after which it is renewed there.
LISTED = 7200.0
RELIST = 2400.0


class Announcing:
    """Announces the jobs that this peer keeps.

    Args:
        means: What signs, and tells the time.
        owner: Owns the tasks that tell the directory.
        announce: Spreads a signed notice.
        put: Puts a record into the directory.
    """

    def __init__(
        self,
        means: Means,
        owner: Owner,
        *,
        announce: Callable[[Signed], None],
        put: Callable[[Signed], Awaitable[int]],
    ) -> None:
        self._means = means
        self._owner = owner
        self._announce = announce
        self._put = put
        self._said: dict[JobId, tuple[bool, float]] = {}  # open or not, since when
        self._listed: dict[JobId, float] = {}
        self._sequence = 0

    def look(self, job: DurableJob) -> None:
        """Say what there is to say about a job, if it is new or was said long ago."""
        if not job.is_keeper:
            return
        now = self._means.loop.time()
        is_open = self._is_open(job)
        said = self._said.get(job.id)
        if (said is None and is_open) or (
            said is not None
            and (
                said[0] != is_open or (is_open and now - said[1] >= limits.NOTICE_EVERY)
            )
        ):
            self._say(job, is_open=is_open)
        if now - self._listed.get(job.id, -RELIST) >= RELIST:
            self._listed[job.id] = now
            self._owner.spawn(self._list(job))

    def heard(self, notice: Notice, job: DurableJob | None) -> None:
        """A notice of ours comes back: from before a restart, or by a wrong clock.

        If it says what is not so, say what is, and louder.
        """
        self._sequence = max(self._sequence, notice.sequence)
        if job is not None and job.is_keeper and notice.open != self._is_open(job):
            self._said.pop(job.id, None)
            self._say(job, is_open=self._is_open(job))

    def forget(self, job: DurableJob) -> None:
        """Say that a job is not kept here any more."""
        self._listed.pop(job.id, None)
        said = self._said.pop(job.id, None)
        if said is not None and said[0]:
            self._announce(self._notice(job, is_open=False, life=limits.NOTICE_LIFE))

    def _say(self, job: DurableJob, *, is_open: bool) -> None:
        self._said[job.id] = (is_open, self._means.loop.time())
        self._announce(self._notice(job, is_open=is_open, life=limits.NOTICE_LIFE))

    def _is_open(self, job: DurableJob) -> bool:
        return not job.end and not job.kept.board.paused

    async def _list(self, job: DurableJob) -> None:
        try:
            await self._put(self._notice(job, is_open=self._is_open(job), life=LISTED))
        except SlingerError:
            self._listed.pop(
                job.id, None
            )  # nobody is there, or our clock is off: soon again

    def _notice(self, job: DurableJob, *, is_open: bool, life: float) -> Signed:
        wall = self._means.wall()
        self._sequence = max(self._sequence + 1, int(wall * 1000))
        notice = Notice(
            job.id,
            self._means.me.id,
            job.kept.python,
            is_open,
            self._sequence,
            wall + life,
            job.kept.needs,
        )
        return seal(notice, self._means.me, self._means.grid)
