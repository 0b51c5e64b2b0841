"""Results that an event loop waits for, from the thread that hears the peer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from p2pslinger.client.rows import Rows
from p2pslinger.wire.control import RangeOut


class Arrivals(Rows):
    """Results that an event loop waits for.

    Args:
        loop: It.
        timeout: Seconds from now after which it waits no longer.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timeout: float | None = None
    ) -> None:
        super().__init__(keep=False)
        self._loop = loop
        self._news = asyncio.Event()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def took(
        self,
        first: int,
        values: Sequence[object],
        errors: dict[int, Exception],
        out: RangeOut,
    ) -> None:
        """Take results."""
        super().took(first, values, errors, out)
        self._tell()

    def broke(self, error: BaseException) -> None:
        """No more results will come."""
        super().broke(error)
        self._tell()

    async def arrived(
        self, at: int
    ) -> tuple[Sequence[object], dict[int, Exception]] | None:
        """Wait for the results from a position on; None if there are no more.

        Raises:
            TimeoutError: they are not there in time.
        """
        while at not in self._parts:
            if self.total is not None and at >= self.total:
                return None
            self.raise_if_broken()
            self._news.clear()
            if at in self._parts or self._broken is not None:
                continue  # since we looked
            await self._wait(at)
        return self._parts.pop(at)

    async def _wait(self, at: int) -> None:
        left = None if self._deadline is None else self._deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"no result for task {at} in time") from None

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)
