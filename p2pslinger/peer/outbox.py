"""A volunteer's outbox: results that are about to come together leave together."""

from __future__ import annotations

import asyncio

from p2pslinger.peer.keepers import KeeperLink
from p2pslinger.peer.outcomes import Finished, batches


class Outbox:
    """Results on their way to their keepers.

    Args:
        loop: Runs what is put off to the end of its turn.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[KeeperLink, list[Finished]] = {}

    def send(self, keeper: KeeperLink, result: Finished, *, more: bool = False) -> None:
        """Send a result: at once, or if more are about to come, together with them."""
        if not self._waiting and more:
            self._loop.call_soon(self._flush)
        self._waiting.setdefault(keeper, []).append(result)
        if not more:
            self._flush()

    def lose(self, keeper: KeeperLink) -> None:
        """Drop what was for a keeper that is gone."""
        self._waiting.pop(keeper, None)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for keeper, results in waiting.items():
            for part in batches(results):
                blobs = [one.blob for one in part if one.blob is not None]
                keeper.deliver([one.result for one in part], blobs)
