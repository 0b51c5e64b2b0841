"""Where a peer's writes run: in one thread, so that no fsync stops the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadDisk:
    """Runs calls one after the other in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "disk")

    async def run(self, call: Callable[[], T]) -> T:
        """Call it; return or raise what it does.

        A call that has begun ends, also if nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, call)

    def close(self) -> None:
        """Wait for the call that runs; drop those that have not begun."""
        self._thread.shutdown(cancel_futures=True)
