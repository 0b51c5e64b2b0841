"""Results that an event loop waits for, from the thread that hears the peer.

To wake a loop from another thread costs a system call, and both threads want the one
interpreter lock then. So it is woken once for all that has arrived when it looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from weakref import WeakKeyDictionary

from p2pslinger.client.outcomes import Outcomes
from p2pslinger.client.rows import Rows


class Doorbell:
    """Brings the outcomes of single calls into an event loop.

    Args:
        loop: It.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: deque[tuple[asyncio.Future[object], Future[object]]] = deque()
        self._rung = False

    async def outcome(self, call: Future[object]) -> object:
        """Wait for a call; cancel it if the waiting task is cancelled.

        Raises:
            Exception: what the call has raised.
        """
        waiter = self._loop.create_future()
        call.add_done_callback(partial(self._ring, waiter))
        try:
            return await waiter
        except asyncio.CancelledError:
            call.cancel()
            raise

    def _ring(self, waiter: asyncio.Future[object], call: Future[object]) -> None:
        """Take a call's outcome, in whichever thread has brought it."""
        self._arrived.append((waiter, call))
        if (
            not self._rung
        ):  # after the line above, as `_answer` looks the other way round
            self._rung = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False
        while self._arrived:
            waiter, call = self._arrived.popleft()
            if waiter.done():
                continue  # cancelled
            if call.cancelled():
                waiter.cancel()
            elif (error := call.exception()) is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(call.result())


_doorbells: WeakKeyDictionary[asyncio.AbstractEventLoop, Doorbell] = WeakKeyDictionary()


def doorbell() -> Doorbell:
    """Return the running loop's."""
    loop = asyncio.get_running_loop()
    found = _doorbells.get(loop)
    if found is None:
        found = _doorbells[loop] = Doorbell(loop)
    return found


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

    async def arrived(self, at: int) -> Outcomes | None:
        """Wait for the results from a position on; None if there are no more.

        Raises:
            TimeoutError: they are not there in time.
        """
        while True:
            self._news.clear()  # before we look: it may come at any moment
            with self._changed:
                due = self._parts.due(at)
            self._ask(due)
            with self._changed:
                part = self._parts.take(at)
                if part is not None or self._is_end(at):
                    return part
            await self._wait_for_news(at)

    async def _wait_for_news(self, at: int) -> None:
        left = None if self._deadline is None else self._deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"no result for task {at} in time") from None

    def _tell(self) -> None:
        super()._tell()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)
