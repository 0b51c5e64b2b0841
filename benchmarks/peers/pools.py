"""Pools of processes on one machine: the standard library's, and loky."""

from __future__ import annotations

import importlib

from benchmarks.peers.contender import CHUNK, WORKERS, ByExecutor


class Pool(ByExecutor):
    """The standard library's pool."""

    title = "ProcessPoolExecutor"
    settings = f"`ProcessPoolExecutor({WORKERS})`; small tasks in chunks of {CHUNK:,}"

    def start(self) -> None:
        """See `Contender.start`."""
        futures = importlib.import_module("concurrent.futures")
        self.executor = futures.ProcessPoolExecutor(WORKERS)


class Loky(ByExecutor):
    """joblib's pool."""

    title = "loky"
    package = "loky"
    settings = f"`get_reusable_executor({WORKERS})`; small tasks in chunks of {CHUNK:,}"

    def start(self) -> None:
        """See `Contender.start`."""
        loky = importlib.import_module("loky")
        self.executor = loky.get_reusable_executor(max_workers=WORKERS, timeout=None)

    def close(self) -> None:
        """See `Contender.close`: its workers would wait for the next user."""
        self.executor.shutdown(wait=True)
