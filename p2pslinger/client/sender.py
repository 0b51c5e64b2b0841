"""The sender thread: sends what programs have queued, while they go on queueing."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import Protocol

log = logging.getLogger(__name__)


class Flushes(Protocol):
    """What has something to send."""

    def flush(self) -> None:
        """Send it. Errors are its own business."""


class Sender:
    """One thread, started when it is first needed."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Flushes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        # Reentrant: a finalizer may wake us while this thread is doing so.
        self._lock = threading.RLock()

    def wake(self, what: Flushes) -> None:
        """Let the thread flush `what`, soon; nothing happens once this is closed."""
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="slinger sender", daemon=True
                )
                thread.start()
                self._thread = thread
        self._queue.put(what)

    def close(self) -> None:
        """Let the thread end when it has flushed everything."""
        with self._lock:
            self._closed = True
        self._queue.put(None)

    def _run(self) -> None:
        while (what := self._queue.get()) is not None:
            try:
                what.flush()
            except BaseException:
                # Arguments run code of their own as they are packed, and a bug may be
                # ours: who flushes has told those who wait, and the others go on.
                log.exception("sending was interrupted")
