"""ipyparallel: a controller and two engines."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from benchmarks.peers import tasks
from benchmarks.peers.contender import WORKERS, Contender


class IPyParallel(Contender):
    """ipyparallel, with a cluster of its own."""

    title = "ipyparallel"
    package = "ipyparallel"
    settings = (
        f"`Cluster(n={WORKERS})`; single tasks by a load-balanced view, small ones by "
        "a direct view's map, which divides them by itself"
    )
    _cluster: Any
    _client: Any

    def start(self) -> None:
        """See `Contender.start`."""
        ipyparallel = importlib.import_module("ipyparallel")
        self._cluster = ipyparallel.Cluster(n=WORKERS, log_level=logging.ERROR)
        self._client = self._cluster.start_and_connect_sync(activate=False)
        self._view = self._client.load_balanced_view()
        self._all = self._client[:]

    def close(self) -> None:
        """See `Contender.close`."""
        self._client.close()
        self._cluster.stop_cluster_sync()

    def call(self, function: Callable[[int], int], x: int) -> int:
        """See `Contender.call`."""
        result: int = self._view.apply_sync(function, x)
        return result

    def submit_all(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.submit_all`."""
        results = [self._view.apply_async(function, x) for x in range(count)]
        return [result.get() for result in results]

    def map_small(self, xs: list[int]) -> list[int]:
        """See `Contender.map_small`."""
        return list(self._all.map_sync(tasks.same, xs))

    def map_large(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.map_large`."""
        return list(self._view.map_sync(function, range(count)))

    def send(self, data: bytes) -> int:
        """See `Contender.send`."""
        size: int = self._view.apply_sync(tasks.take, data)
        return size

    def fetch(self, size: int) -> int:
        """See `Contender.fetch`."""
        return len(self._view.apply_sync(tasks.give, size))
