"""A volunteer's outbox: results that are about to come together leave together.

Those of a throw-away job go to whoever has granted them. Of a durable one a copy stays,
so they leave through `retained`, each message with those of one job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.ids import JobId
from p2pslinger.peer.computing.jobshere import JobHere
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.outcomes import Finished, batches
from p2pslinger.peer.computing.retained import Retained


class Outbox:
    """Results on their way to their keepers.

    Args:
        loop: Runs what is put off to the end of its turn.
        retained: Takes the results of durable jobs.

    Attributes:
        wait: Gives the seconds after which so many bytes of a job may go to a keeper.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, retained: Retained) -> None:
        self._loop = loop
        self._retained = retained
        self.wait: Callable[[KeeperLink, JobId, int], float] = lambda *_: 0.0
        self._later: dict[KeeperLink, set[asyncio.TimerHandle]] = {}
        self._waiting: dict[tuple[KeeperLink, JobHere | None], list[Finished]] = {}

    def send(
        self, keeper: KeeperLink, job: JobHere, result: Finished, *, more: bool = False
    ) -> None:
        """Send a result: at once, or if more are about to come, together with them."""
        if not self._waiting and more:
            self._loop.call_soon(self._flush)
        key = (keeper, job if job.manifest.policy.durable else None)
        self._waiting.setdefault(key, []).append(result)
        if not more:
            self._flush()

    def lose(self, keeper: KeeperLink) -> None:
        """Drop what was for a keeper that is gone, unless others want it too."""
        self._waiting.pop((keeper, None), None)
        for timer in self._later.pop(keeper, ()):
            timer.cancel()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for (keeper, job), results in waiting.items():
            for part in batches(results):
                if job is not None:
                    self._retained.take(job, keeper, part)
                else:
                    self._deliver_in_time(keeper, part)

    def _deliver_in_time(self, keeper: KeeperLink, part: list[Finished]) -> None:
        """Deliver results, now or when the owner's bound on what is sent allows it."""
        size = sum(one.size + len(one.blob or b"") for one in part)
        wait = self.wait(keeper, JobId(part[0].result.job), size)
        if not wait:
            _deliver(keeper, part)
            return

        def later() -> None:
            self._later[keeper].discard(timer)
            _deliver(keeper, part)

        timer = self._loop.call_later(wait, later)
        self._later.setdefault(keeper, set()).add(timer)


def _deliver(keeper: KeeperLink, part: list[Finished]) -> None:
    blobs = [one.blob for one in part if one.blob is not None]
    keeper.deliver([one.result for one in part], blobs)
