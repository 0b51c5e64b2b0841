"""Notices reach everyone, however many there were before."""

from __future__ import annotations

import asyncio

from p2pslinger.net import gossip
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programs import Program

#: Throw-away jobs that a program opens and closes before the one that matters: more
#: than anybody remembers of one submitter.
MANY = gossip.PER_KEEPER + 200


def nothing(_: int) -> None:
    return None


def opened(peer: SimulatedPeer) -> set[bytes]:
    return {notice.job for notice in peer.peer.notices.open_notices()}


async def open_and_close(program: Program, count: int) -> None:
    for _ in range(count):
        (await program.submit(nothing, ())).leave()


def test_a_submitter_of_many_jobs_is_heard_as_well_as_one_of_its_first(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", bootstrap=[ann])
            await grid.until(lambda: len(bob.peer.links.open) == 1, within=5)
            program = await ann.program()
            first = await program.submit(nothing, range(3))
            await open_and_close(program, MANY)
            last = await program.submit(nothing, range(3))
            await asyncio.sleep(1)
            assert opened(bob) == {first.id, last.id}

            late = await grid.add("late", bootstrap=[bob])
            await grid.until(lambda: opened(late) == opened(bob), within=5)

    virtual.run(main)


def test_peers_that_remember_different_notices_come_to_agree(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", bootstrap=[ann])
            eve = await grid.add("eve", bootstrap=[bob])
            program = await ann.program()
            await open_and_close(program, MANY // 2)
            await asyncio.sleep(60)
            grid.network.partition([ann.host, bob.host], [eve.host])
            await open_and_close(program, MANY // 2)
            last = await program.submit(nothing, range(3))
            await asyncio.sleep(60)
            grid.network.heal()
            await grid.until(lambda: opened(eve) == {last.id}, within=60)
            await asyncio.sleep(120)

            before = [peer.host.traffic.stream_bytes for peer in (ann, bob, eve)]
            await asyncio.sleep(600)
            after = [peer.host.traffic.stream_bytes for peer in (ann, bob, eve)]
            for had, has in zip(before, after, strict=True):
                assert has - had < 20_000, "they still tell each other what they know"

    virtual.run(main)
