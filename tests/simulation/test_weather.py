"""Faults that overlap, and are undone one by one."""

from __future__ import annotations

import math

import pytest

from p2pslinger.testing.chaos.faults import Fault, Kind
from p2pslinger.testing.chaos.plans import Plan, plan
from p2pslinger.testing.chaos.story import Story
from p2pslinger.testing.chaos.weather import Weather
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid
from p2pslinger.testing.virtual import current

CALM = Plan(0, (), (), (), (0.01, 0.02), 0.01, 0.0, 0.0, (1.0, 1.0))


class Nobody:
    """People that have no jobs."""

    def named(self, role: str) -> str:
        """Return a name as it is."""
        return role

    async def meddle(self, fault: Fault) -> bool:
        """Find nothing to do."""
        return False

    async def resume(self, fault: Fault) -> None:
        """Do nothing."""


async def weather_over(grid: SimulatedGrid, *names: str) -> Weather:
    """Start peers, and a weather over them."""
    first = await grid.add(names[0])
    for name in names[1:]:
        await grid.add(name, bootstrap=[first])
    return Weather(grid, CALM, Story(current()), Nobody())


def reach(grid: SimulatedGrid, source: str, target: str) -> bool:
    peers = grid.peers
    return not grid.network.links.blocked(peers[source].host, peers[target].host)


def test_peers_meet_again_when_no_split_parts_them_any_more(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            weather = await weather_over(grid, "ann", "bob", "eve")
            one = Fault(0.0, Kind.SPLIT, ("ann",), 10.0)
            other = Fault(0.0, Kind.SPLIT, ("ann", "bob"), 20.0)
            await weather.begin(one)
            await weather.begin(other)
            assert not reach(grid, "ann", "bob")
            assert not reach(grid, "bob", "eve")
            await weather.end(one)
            assert reach(grid, "ann", "bob")
            assert not reach(grid, "bob", "eve")
            await weather.end(other)
            assert reach(grid, "bob", "eve")

    virtual.run(main)


def test_a_muted_peer_hears_and_is_not_heard(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            weather = await weather_over(grid, "ann", "bob")
            muted = Fault(0.0, Kind.ONE_WAY, ("ann",), 10.0)
            await weather.begin(muted)
            assert not reach(grid, "ann", "bob")
            assert reach(grid, "bob", "ann")
            await weather.clear()
            assert reach(grid, "ann", "bob")

    virtual.run(main)


def test_the_worst_loss_counts_and_the_plans_own_comes_back(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            weather = await weather_over(grid, "ann")
            links = grid.network.links
            faults = [Fault(0.0, Kind.LOSS, (), 1.0, share) for share in (0.1, 0.3)]
            for fault in faults:
                await weather.begin(fault)
            assert links.loss == 0.3
            await weather.end(faults[1])
            assert links.loss == 0.1
            await weather.clear()
            assert links.loss == CALM.loss

    virtual.run(main)


@pytest.mark.parametrize("kind", [Kind.POWER_CUT, Kind.KILL, Kind.LEAVE, Kind.SLEEP])
def test_what_stops_a_machine_is_undone_and_hits_no_machine_that_has_stopped(
    virtual: VirtualTime, kind: Kind
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            weather = await weather_over(grid, "ann", "bob")
            bob = grid.peers["bob"]
            await weather.begin(Fault(0.0, kind, ("bob",), 10.0))
            await weather.begin(Fault(1.0, Kind.KILL, ("bob",), 10.0))
            assert not bob.is_up or bob.host.asleep
            assert weather.happened == 1
            await weather.clear()
            assert bob.is_up
            assert not bob.host.asleep

    virtual.run(main)


def test_who_is_gone_for_good_does_not_come_back(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            weather = await weather_over(grid, "ann", "bob")
            await weather.begin(Fault(0.0, Kind.GONE, ("bob",), math.inf))
            await weather.clear()
            assert weather.is_gone("bob")
            assert not grid.peers["bob"].is_up

    virtual.run(main)


def test_every_fault_can_be_told_in_words() -> None:
    told = {str(fault) for seed in range(200) for fault in plan(seed).faults}

    assert not [text for text in told if "Kind." in text or "{" in text]
    assert {fault.kind for s in range(200) for fault in plan(s).faults} == set(Kind)
