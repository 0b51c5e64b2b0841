"""Dask distributed: a scheduler in the program, and two worker processes with TCP."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from benchmarks.peers import tasks
from benchmarks.peers.contender import CHUNK, WORKERS, Contender


class Dask(Contender):
    """Dask distributed, with its LocalCluster."""

    title = "Dask"
    package = "distributed"
    settings = (
        f"`LocalCluster(n_workers={WORKERS}, threads_per_worker=1)` without dashboard; "
        f"small tasks in chunks of {CHUNK:,}; big data by `scatter`"
    )
    _client: Any
    _cluster: Any

    def start(self) -> None:
        """See `Contender.start`."""
        distributed = importlib.import_module("distributed")
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._cluster = distributed.LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        )
        self._client = distributed.Client(self._cluster)

    def close(self) -> None:
        """See `Contender.close`."""
        self._client.close()
        self._cluster.close()

    def call(self, function: Callable[[int], int], x: int) -> int:
        """See `Contender.call`: not pure, or the second call would be no call."""
        result: int = self._client.submit(function, x, pure=False).result()
        return result

    def submit_all(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.submit_all`."""
        submit = self._client.submit
        futures = [submit(function, x, pure=False) for x in range(count)]
        return list(self._client.gather(futures))

    def map_small(self, xs: list[int]) -> list[int]:
        """See `Contender.map_small`."""
        chunks = [xs[start : start + CHUNK] for start in range(0, len(xs), CHUNK)]
        futures = self._client.map(tasks.all_same, chunks, pure=False)
        return [x for chunk in self._client.gather(futures) for x in chunk]

    def map_large(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.map_large`."""
        futures = self._client.map(function, range(count), pure=False)
        return list(self._client.gather(futures))

    def send(self, data: bytes) -> int:
        """See `Contender.send`."""
        there = self._client.scatter(data, hash=False)
        size: int = self._client.submit(tasks.take, there, pure=False).result()
        return size

    def fetch(self, size: int) -> int:
        """See `Contender.fetch`."""
        return len(self._client.submit(tasks.give, size, pure=False).result())
