"""The sender thread: sends what programs have queued, while they go on queueing."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Protocol


class Flushes(Protocol):
    """What has something to send."""

    def flush(self) -> None:
        """Send it. Errors are its own business."""


class Sender:
    """One thread, started when it is first needed."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Flushes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        # Reentrant: a finalizer may wake us while this thread is doing so.
        self._lock = threading.RLock()

    def wake(self, what: Flushes) -> None:
        """Let the thread flush `what`, soon."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="slinger sender", daemon=True
                )
                self._thread.start()
        self._queue.put(what)

    def close(self) -> None:
        """Let the thread end when it has flushed everything."""
        self._queue.put(None)

    def _run(self) -> None:
        while (what := self._queue.get()) is not None:
            what.flush()
