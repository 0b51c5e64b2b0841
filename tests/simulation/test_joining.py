"""Peers find the grid, stay in it without the one they joined by, and come back."""

from __future__ import annotations

import pytest

from p2pslinger import limits
from p2pslinger.limits import LINKS
from p2pslinger.peer.events import PeerJoined
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.records import Address

TASKS = 400


def double(x: int) -> int:
    return 2 * x


DOUBLES = [double(x) for x in range(TASKS)]


async def grown(
    grid: SimulatedGrid, size: int, *, slots: int = 0
) -> list[SimulatedPeer]:
    """Start a bootstrap peer and others that join by it; wait until all are linked."""
    boot = await grid.add("bootstrap")
    peers = [
        await grid.add(f"peer {i}", slots=slots, bootstrap=[boot])
        for i in range(1, size)
    ]
    everyone = [boot, *peers]
    enough = min(LINKS, size - 1)
    await grid.until(lambda: all(links(peer) >= enough for peer in everyone), within=20)
    return everyone


def links(peer: SimulatedPeer) -> int:
    return len(peer.peer.links.open)


def knows(peer: SimulatedPeer, job: bytes) -> bool:
    return any(notice.job == job for notice in peer.peer.notices.open_notices())


def test_50_peers_go_on_when_the_one_they_joined_by_dies(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot, *peers = await grown(grid, 50, slots=1)
            job = await peers[7].submit(double, range(TASKS))
            await grid.until(lambda: len(job.values) > TASKS / 10, within=10)
            await boot.kill()
            assert await job.results() == DOUBLES

            late = await grid.add("late", slots=1, bootstrap=[peers[33]])
            assert await grid.until(lambda: links(late) >= LINKS, within=10) < 5
            for submitter in (late, peers[0]):
                job = await submitter.submit(double, range(TASKS))
                assert await job.results() == DOUBLES
                assert job.again == []
                volunteers = {out.peer for _, out in job.ranges}
                assert len(volunteers) > 10, "hardly anybody has helped"

            assert any(
                s.signer == late.id for s in await peers[1].peer.overlay.find(late.id)
            )

    virtual.run(main)


def test_nobody_stays_connected_with_everybody(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await grown(grid, 50)
            await grid.until(lambda: links(peers[0]) <= 12, within=10)
            for peer in peers:
                assert LINKS <= links(peer) <= 12

            job = await peers[0].submit(double, range(1))
            others = peers[1:]
            await grid.until(lambda: all(knows(p, job.id) for p in others), within=2)

    virtual.run(main)


def test_a_peer_that_was_killed_comes_back_by_the_neighbours_that_it_remembers(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot, ann, bob = await grown(grid, 3, slots=1)
            receipts = await (await ann.submit(double, range(TASKS))).results()
            assert receipts == DOUBLES
            tally = ann.peer.jobreports.tally("")
            await boot.crash()
            await ann.kill()
            await ann.restart()

            assert await grid.until(lambda: links(ann) == 1, within=10) < 2
            await grid.until(lambda: ann.id in bob.peer.links.open, within=1)
            assert ann.peer.jobreports.tally("") == tally

    virtual.run(main)


def test_an_address_that_fails_is_no_trouble_while_its_peer_is_met_elsewhere(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", bootstrap=[Address("10.99.0.1", 8468)])
            await grid.until(lambda: bool(ann.peer.upkeep.notes()), within=60)
            bob = await grid.add("bob", bootstrap=[ann])
            await grid.until(lambda: bob.id in ann.peer.links.open, within=5)
            assert len(ann.peer.upkeep.notes()) == 1  # it may be anybody's

            ann.peer.addresses.add("10.99.0.1", 8468, bob.id)  # as bob's card says
            assert ann.peer.upkeep.notes() == []

            await bob.stop()
            await grid.until(lambda: bool(ann.peer.upkeep.notes()), within=60)

    virtual.run(main)


def test_a_peer_whose_bootstrap_is_dead_works_alone_says_so_and_goes_on_trying(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            nowhere = Address("10.99.0.1", 8468)
            ann = await grid.add("ann", slots=1, bootstrap=[nowhere])
            job = await ann.submit(double, range(TASKS))
            assert await job.results() == DOUBLES

            await grid.until(lambda: bool(ann.peer.upkeep.notes()), within=60)
            (note,) = ann.peer.upkeep.notes()
            assert note == "10.99.0.1:8468 did not answer; trying again for ever"
            (clock,) = [f for f in ann.peer.reports.checks() if f.name == "clock"]
            assert (clock.ok, clock.text) == (True, "no neighbour to compare it with")

            boot = await grid.add("bootstrap")
            later = await grid.add(
                "later", bootstrap=[Address("no.such.name", 1), boot]
            )
            await grid.until(lambda: links(later) == 1, within=5)

    virtual.run(main)


def test_a_peer_starts_before_its_bootstrap_and_joins_when_that_is_there(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            boot = await grid.add("bootstrap")
            await boot.stop()
            ann = await grid.add("ann", bootstrap=[boot])
            await grid.until(lambda: bool(ann.peer.upkeep.notes()), within=60)
            await boot.restart()

            assert await grid.until(lambda: links(ann) == 1, within=90) < 75

    virtual.run(main)


def test_peers_whose_clocks_are_a_minute_off_work_together(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", skew=-30)
            bob = await grid.add("bob", slots=1, bootstrap=[ann], skew=+30)
            job = await ann.submit(double, range(TASKS))
            assert await job.results() == DOUBLES
            assert bob.peer.overlay.contacts()
            (link,) = bob.peer.links.open.values()
            assert -61 < link.clock < -59

    virtual.run(main)


def test_volunteers_for_whom_a_keeper_has_no_room_ask_again_but_now_and_then(
    virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, tasks = 40, 80
    monkeypatch.setattr(limits, "LINKS_ACCEPTED", room)  # or it would take 290 peers

    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            peers = await grown(grid, room + 30, slots=1)
            for peer in peers:
                peer.slots.cost = lambda _: 25.0
            keeper = peers[20]
            job = await keeper.submit(double, range(tasks))
            await grid.until(lambda: links(keeper) == room, within=5)
            began = grid.network.loop.time()
            assert await job.results() == DOUBLES[:tasks]

            assert links(keeper) <= room
            minutes = (grid.network.loop.time() - began) / 60
            tries = [meetings(peer, keeper, began) for peer in peers]
            assert max(tries) <= 1 + 4 * minutes

    virtual.run(main)


def meetings(peer: SimulatedPeer, whom: SimulatedPeer, since: float) -> int:
    events = peer.happened(PeerJoined, since)
    return sum(1 for _, event in events if event.peer == whom.id)
