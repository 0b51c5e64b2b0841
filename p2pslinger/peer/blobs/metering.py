"""The owner's bounds on how fast others' jobs come and go over the network.

What counts: arguments, functions, shared values and results of other members' jobs, as
their bytes are. What does not: this machine's own jobs, and messages without payload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.ids import JobId
from p2pslinger.rules.rates import Bucket


class Meter:
    """Says when bytes of others' jobs may go.

    Attributes:
        is_own: Tells whether a job is this machine's own.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.is_own: Callable[[JobId], bool] = lambda _: True
        self._up, self._down = Bucket(), Bucket()

    def limit(self, up: float | None, down: float | None) -> None:
        """Let so many bytes a second go from now on."""
        now = self._loop.time()
        self._up.change(up, now)
        self._down.change(down, now)

    def before_sending(self, job: JobId, size: int) -> float:
        """Return the seconds after which so many bytes of a job may leave."""
        return self._before(self._up, job, size)

    async def send(self, job: JobId, size: int) -> None:
        """Wait until so many bytes of a job may leave."""
        await self._wait(self._before(self._up, job, size))

    async def receive(self, job: JobId, size: int) -> None:
        """Wait until so many bytes of a job may come."""
        await self._wait(self._before(self._down, job, size))

    def not_received(self, job: JobId, size: int) -> None:
        """Take note that they did not come after all."""
        if self._down.rate is not None and not self.is_own(job):
            self._down.give_back(size)

    def _before(self, bucket: Bucket, job: JobId, size: int) -> float:
        if bucket.rate is None or self.is_own(job):
            return 0.0
        return bucket.take(size, self._loop.time())

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
