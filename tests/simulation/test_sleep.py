"""Machines that sleep, whose clocks are wrong or set, and copies of machines."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.peer.events import ClockOff, PeerLeft, Woke
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.records import PeerCard, read

TASKS = 60
DAY = 86_400.0


def double(x: int) -> int:
    return 2 * x


DOUBLES = [double(x) for x in range(TASKS)]


async def grown(grid: SimulatedGrid, size: int) -> list[SimulatedPeer]:
    peers = [await grid.add("peer 0", slots=1)]
    for i in range(1, size):
        peers.append(await grid.add(f"peer {i}", slots=1, bootstrap=[peers[0]]))
    await grid.until(lambda: all(len(p.peer.links.open) >= 2 for p in peers), within=20)
    return peers


async def finds(asker: SimulatedPeer, sought: SimulatedPeer) -> bool:
    found = await asker.peer.overlay.find(sought.id)
    return any(signed.signer == sought.id for signed in found)


def test_a_machine_that_has_slept_starts_over_at_once(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await grown(grid, 6)
            ann = peers[3]
            ann.sleep()
            await asyncio.sleep(1800)
            assert all(ann.id not in p.peer.links.open for p in peers if p is not ann)
            job = await peers[1].submit(double, range(TASKS))
            assert await job.results() == DOUBLES

            ann.wake()
            woken = grid.network.loop.now
            await grid.until(lambda: bool(ann.happened(Woke, woken)), within=6)
            ((_, woke),) = ann.happened(Woke, woken)
            assert 1794 < woke.seconds < 1806
            await grid.until(
                lambda: sum(ann.id in p.peer.links.open for p in peers) >= 2, within=5
            )
            assert not ann.peer.presence.clock.is_wrong
            job = await ann.submit(double, range(TASKS))
            assert await job.results() == DOUBLES
            assert await finds(peers[5], ann)

    virtual.run(main)


def test_a_clock_that_is_set_by_a_day_is_measured_anew(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await grown(grid, 6)
            ann = peers[2]
            ann.skew = DAY
            await grid.until(lambda: bool(ann.happened(Woke)), within=6)
            await grid.until(lambda: not ann.peer.links.open, within=1)
            await grid.until(lambda: len(ann.peer.links.open) >= 2, within=4)
            assert ann.peer.presence.clock.is_wrong
            ann.skew = 0.0
            await grid.until(lambda: not ann.peer.presence.clock.is_wrong, within=15)
            await asyncio.sleep(20)

            assert len(ann.happened(Woke)) == 2
            others = (p for p in peers if p is not ann)
            assert not any(other.happened(ClockOff) for other in others)
            assert await finds(peers[4], ann)
            assert await finds(ann, peers[4])

    virtual.run(main)


@pytest.mark.parametrize("skew", [DAY, -DAY])
def test_who_is_a_day_off_works_on_its_neighbours_time(
    virtual: VirtualTime, skew: float
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await grown(grid, 5)
            ann = await grid.add("ann", slots=1, bootstrap=[peers[1]], skew=skew)
            await asyncio.sleep(30)

            clock = ann.peer.presence.clock
            assert clock.off is not None
            assert abs(clock.off + skew) < 1
            assert abs(clock.now() - grid.network.loop.wall()) < 1
            assert any(
                "clock is 86,400 s" in n for n in ann.peer.reports.status().notes
            )
            assert not any(peer.happened(ClockOff) for peer in peers)
            assert await finds(peers[3], ann)
            assert await finds(ann, peers[3])
            for submitter in (ann, peers[0]):
                job = await submitter.submit(double, range(TASKS))
                assert await job.results() == DOUBLES

    virtual.run(main)


def test_a_hundred_ids_with_another_time_do_not_become_old_acquaintances(
    virtual: VirtualTime,
) -> None:
    """Who is known for a day may check others: by our own day, not by theirs."""

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", slots=1)
            first = await grid.add("first", bootstrap=[ann])
            await grid.until(lambda: first.id in ann.peer.links.open, within=30)
            for n in range(4):
                await grid.add(f"more{n}", bootstrap=[ann], skew=2 * DAY)
            await grid.until(lambda: ann.peer.presence.clock.is_wrong, within=60)
            await asyncio.sleep(30)

            assert not ann.peer.company.is_independent(first.id)

    virtual.run(main)


def test_two_that_are_alone_agree_on_one_of_their_clocks(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", bootstrap=[ann], skew=DAY)
            await asyncio.sleep(60)

            times = [peer.peer.presence.clock.now() for peer in (ann, bob)]
            assert abs(times[0] - times[1]) < 1
            assert await finds(ann, bob)
            assert await finds(bob, ann)

    virtual.run(main)


def test_of_two_copies_of_a_machine_the_later_one_stops(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = (await grown(grid, 3))[2]
            copy = await grid.add("copy")
            await copy.stop()
            copy.identity = ann.identity
            await copy.restart()
            copy.peer.addresses.add(ann.host.ip, ann.address.port)
            copy.peer.upkeep.look()
            await asyncio.sleep(60)

    with pytest.raises(BaseExceptionGroup) as caught:
        virtual.run(main)
    assert "runs with this peer's identity, and has started first" in repr(caught.value)


def test_copies_that_only_have_a_neighbour_in_common_are_found_out(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot = await grid.add("bootstrap")
            ann = await grid.add("ann", bootstrap=[boot])
            copy = await grid.add("copy")
            await copy.stop()
            copy.identity = ann.identity
            grid.network.cut(ann.host, copy.host)
            grid.network.cut(copy.host, ann.host)
            await asyncio.sleep(5)
            await copy.restart()
            copy.peer.addresses.add(boot.host.ip, boot.address.port, named=True)
            copy.peer.upkeep.look()
            await asyncio.sleep(900)

    with pytest.raises(BaseExceptionGroup, match="unhandled") as caught:
        virtual.run(main)
    assert "has started first" in repr(caught.value)


def test_a_card_tells_when_its_process_has_started(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            before = read(PeerCard, ann.peer.presence.card.sign()).started
            await ann.stop()
            await asyncio.sleep(1)
            await ann.restart()
            after = read(PeerCard, ann.peer.presence.card.sign()).started
            assert after - before == 1_000_000
            assert not ann.happened(PeerLeft)

    virtual.run(main)
