"""Ray: its daemons and two worker processes on this machine."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from benchmarks.peers import tasks
from benchmarks.peers.contender import CHUNK, WORKERS, Contender

#: Ray would send what it learns about its use to its makers, and warns of few cores.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Ray(Contender):
    """Ray on one machine."""

    title = "Ray"
    package = "ray"
    settings = (
        f"`ray.init(num_cpus={WORKERS}, include_dashboard=False)`; small tasks in "
        f"chunks of {CHUNK:,}; big data by `ray.put`"
    )
    _ray: Any

    def start(self) -> None:
        """See `Contender.start`."""
        os.environ.update(QUIET)
        self._ray = importlib.import_module("ray")
        self._ray.init(
            num_cpus=WORKERS,
            include_dashboard=False,
            logging_level="error",
            log_to_driver=False,
        )
        functions = (tasks.same, tasks.all_same, tasks.row, tasks.take, tasks.give)
        self._remote = {one.__name__: self._ray.remote(one) for one in functions}

    def close(self) -> None:
        """See `Contender.close`."""
        self._ray.shutdown()

    def call(self, function: Callable[[int], int], x: int) -> int:
        """See `Contender.call`."""
        result: int = self._ray.get(self._remote[function.__name__].remote(x))
        return result

    def submit_all(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.submit_all`."""
        remote = self._remote[function.__name__].remote
        return list(self._ray.get([remote(x) for x in range(count)]))

    def map_small(self, xs: list[int]) -> list[int]:
        """See `Contender.map_small`."""
        remote = self._remote["all_same"].remote
        starts = range(0, len(xs), CHUNK)
        chunks = [remote(xs[start : start + CHUNK]) for start in starts]
        return [x for chunk in self._ray.get(chunks) for x in chunk]

    def map_large(self, function: Callable[[int], int], count: int) -> list[int]:
        """See `Contender.map_large`."""
        return self.submit_all(function, count)

    def send(self, data: bytes) -> int:
        """See `Contender.send`."""
        there = self._ray.put(data)
        size: int = self._ray.get(self._remote["take"].remote(there))
        return size

    def fetch(self, size: int) -> int:
        """See `Contender.fetch`."""
        return len(self._ray.get(self._remote["give"].remote(size)))
