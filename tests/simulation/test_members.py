"""What an owner says of others is heard at once, and a ban is a ban."""

from __future__ import annotations

import asyncio

from p2pslinger.peer.events import PeerLeft
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer

DAY = "2026-11-23"


def square(x: int) -> int:
    return x * x


async def three(grid: SimulatedGrid, *, trust: bool = True) -> list[SimulatedPeer]:
    """Start Ann, and Bob and Eve who join by her; each has a slot."""
    ann = await grid.add("ann", slots=1, trust_members=trust)
    bob = await grid.add("bob", slots=1, bootstrap=[ann], trust_members=trust)
    eve = await grid.add("eve", slots=1, bootstrap=[ann], trust_members=trust)
    peers = [ann, bob, eve]
    for one in peers:
        await grid.until(lambda: len(one.peer.links.open) == 2, within=10)  # noqa: B023
    return peers


def computed(peer: SimulatedPeer) -> int:
    return peer.slots.computed.total()


def test_a_ban_ends_the_connection_with_a_reason_that_both_sides_can_read(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            since = grid.network.loop.time()
            ann.say(lambda said: said.ban(eve.id, DAY))
            await grid.until(lambda: eve.id not in ann.peer.links.open, within=5)
            await grid.until(lambda: ann.id not in eve.peer.links.open, within=5)

            for one in (ann, eve):
                (why,) = [left.why for _, left in one.happened(PeerLeft, since)]
                assert "has banned peer" in why
            assert bob.id in ann.peer.links.open
            assert bob.id in eve.peer.links.open

    virtual.run(main)


def test_who_is_banned_stays_away_computes_nothing_and_gets_nothing_computed(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            ann.say(lambda said: said.ban(eve.id, DAY))
            await asyncio.sleep(120)
            assert eve.id not in ann.peer.links.open

            job = await ann.submit(square, range(40))
            assert await job.results() == [square(x) for x in range(40)]
            assert computed(eve) == 0
            assert computed(bob) > 0

            before = computed(ann)
            hers = await eve.submit(square, range(40))
            assert await hers.results() == [square(x) for x in range(40)]
            assert computed(ann) == before
            heard = ann.peer.notices.open_notices()
            assert eve.id not in [notice.keeper for notice in heard]

    virtual.run(main)


def test_a_ban_that_is_taken_back_is_over(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, _, eve = await three(grid)
            ann.say(lambda said: said.ban(eve.id, DAY))
            await asyncio.sleep(60)
            ann.say(lambda said: said.unlist(eve.id, "banned"))
            await grid.until(lambda: eve.id in ann.peer.links.open, within=600)

    virtual.run(main)


def test_a_banned_submitters_jobs_are_not_kept_any_more(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, eve = await three(grid)
            for one in (ann, bob, eve):
                one.slots.cost = lambda _: 1000.0
            job = await eve.start_job(square, range(3))
            assert job.id in ann.peer.custody.vault.held
            ann.say(lambda said: said.ban(eve.id, DAY))

            assert job.id not in ann.peer.custody.vault.held
            assert job.id in bob.peer.custody.vault.held
            await asyncio.sleep(120)  # bob asks ann to keep it, in vain
            assert job.id not in ann.peer.custody.vault.held

    virtual.run(main)


def test_who_is_allowed_gets_work_done_and_its_results_are_ours(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, _ = await three(grid, trust=False)
            seats = ann.peer.keeper.seats
            assert not seats[bob.id].mine

            ann.say(lambda said: said.allow(bob.id, DAY))
            assert seats[bob.id].mine
            job = await bob.submit(square, range(40))
            assert await job.results() == [square(x) for x in range(40)]
            assert computed(ann) > 0

            ann.say(lambda said: said.deny(bob.id, DAY))
            before = computed(ann)
            assert not seats[bob.id].mine
            more = await bob.submit(square, range(40))
            await more.results()
            assert computed(ann) == before

    virtual.run(main)


def test_petnames_are_shown_wherever_a_peer_is(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob, _ = await three(grid)
            ann.say(lambda said: said.with_name(bob.id, "Uncle"))
            job = await ann.submit(square, range(40))
            await job.results()

            names = {one.name: one.petname for one in ann.peer.reports.peers()}
            shares = {one.name: one.petname for one in ann.peer.jobreports.tally("")}
            assert names == {"ann": "", "bob": "Uncle", "eve": ""}
            assert shares["bob"] == "Uncle"

    virtual.run(main)


def test_what_is_written_by_hand_is_heard_within_seconds(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, _, eve = await three(grid)
            ann.sayings.people = ann.sayings.people.ban(eve.id, DAY)  # and nobody told
            await grid.until(lambda: eve.id not in ann.peer.links.open, within=3)

    virtual.run(main)
