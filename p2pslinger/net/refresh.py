"""Looking around: small look-ups that keep the routing table true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from p2pslinger.net.directory import Directory
from p2pslinger.net.table import REFRESH


class Refresh:
    """Looks into a bucket that nobody has looked into for long, now and then.

    Args:
        directory: Whose table it is.
        look: Looks up a key, without caring for what is there.
        sweep: Called now and then as well: forgets what has expired.
        rng: Spreads what is periodical.
        spawn: Starts a coroutine as a task that the caller owns and watches.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        look: Callable[[bytes], Coroutine[Any, Any, None]],
        sweep: Callable[[], None],
        rng: Random,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._directory = directory
        self._look = look
        self._sweep = sweep
        self._rng = rng
        self._spawn = spawn
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        pause = REFRESH / 8 * self._rng.uniform(0.75, 1.25)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(pause, self._refresh)

    def close(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _refresh(self) -> None:
        self._sweep()
        key = self._directory.lonely_key()
        if key is not None:
            self._spawn(self._look(key))
        self.start()
