"""The fixture `virtual`: tests in virtual time, on a simulated network.

    pytest_plugins = ["p2pslinger.testing.fixtures"]  # in the top-level conftest.py

    @pytest.mark.seed(7)  # 0 without it
    def test_two_hosts_hear_each_other(virtual):
        async def main():
            network = virtual.network(loss=0.1)
            ...

        virtual.run(main)

Set PYTHONHASHSEED=0 to have a run again in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import pytest

from p2pslinger.testing import hashseed
from p2pslinger.testing import virtual as virtual_time
from p2pslinger.testing.network import LATENCY, Network

_T = TypeVar("_T")


@dataclass(frozen=True)
class VirtualTime:
    """What a test needs to run in virtual time.

    Attributes:
        seed: Of the test's marker; every run here starts from it unless told otherwise.
    """

    seed: int = 0

    def run(
        self,
        main: Callable[[], Coroutine[object, object, _T]],
        *,
        seed: int | None = None,
        limit: float = virtual_time.LIMIT,
    ) -> _T:
        """Run `main()` as `p2pslinger.testing.virtual.run` does."""
        seed = self.seed if seed is None else seed
        return virtual_time.run(main, seed=seed, limit=limit)

    def network(
        self,
        *,
        latency: tuple[float, float] = LATENCY,
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
    ) -> Network:
        """Make the network of the run that this is called in."""
        loop = virtual_time.current()
        return Network(
            loop,
            Random(f"network of seed {loop.seed}"),
            latency=latency,
            loss=loss,
            duplication=duplication,
            reordering=reordering,
        )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for --strict-markers."""
    config.addinivalue_line("markers", "seed(number): seed of the fixture `virtual`")


def pytest_report_header() -> str:
    """Say whether this process's runs can be had again in another."""
    if hashseed.reproducible():
        return "simulations: the same in every process"
    return "simulations: set PYTHONHASHSEED=0 to have the same in every process"


@pytest.fixture
def virtual(request: pytest.FixtureRequest) -> VirtualTime:
    """Virtual time, seeded by the marker `seed`."""
    marker = request.node.get_closest_marker("seed")
    return VirtualTime(marker.args[0] if marker else 0)
