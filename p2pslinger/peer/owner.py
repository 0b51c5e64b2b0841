"""Every task has an owner.

The peer's tasks live in one `asyncio.TaskGroup`: a failure in one is a bug, ends the
peer and shows itself; leaving the group is the shutdown. Nothing else starts tasks. A
single failure comes out as it is, not as a group of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Owner:
    """Owns the tasks of one peer; used as an async context manager."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def __aenter__(self) -> Owner:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self.cancel()
        try:
            await self._group.__aexit__(*exc)
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Start a task; it is cancelled when the peer closes."""
        if self._closing:
            work.close()
            return None
        try:
            task = self._group.create_task(work)
        except RuntimeError:  # a task has failed: the group ends, and the peer with it
            work.close()
            return None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancel every task, and start no more."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
