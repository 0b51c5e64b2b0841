"""Power cuts: what was acknowledged is on disk, whatever it was here for before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from p2pslinger.ids import JobId
from p2pslinger.peer.durable.quota import QUOTA
from p2pslinger.store.blobs import Blobs
from p2pslinger.testing.disks import after_power_cut
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.blobs import CHUNK
from tests.simulation.durable import at, find, people

#: Seconds after which a peer is asked again that would not keep a job.
ASKED_AGAIN = 400.0


def size_of(data: bytes) -> int:
    return len(data)


async def computes(grid: SimulatedGrid, peer: SimulatedPeer) -> None:
    await grid.until(lambda: bool(peer.peer.volunteer.busy), within=60)


def is_kept(ann: SimulatedPeer, bob: SimulatedPeer, job: JobId) -> bool:
    held = find(bob, job)
    holders = [one.peer for one in at(ann, job).fellows.there() if one.holds_all]
    return held is not None and held.job.is_keeper and holders == [bob.id]


def test_a_keeper_has_after_a_power_cut_also_what_it_had_only_computed_with(
    virtual: VirtualTime, tmp_path: Path
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann, bob = await people(grid, 2, cost=10 * ASKED_AGAIN)
            await bob.stop()
            bob.blobs = Blobs(tmp_path)
            await bob.restart()
            await grid.until(lambda: bool(bob.peer.links.open), within=60)
            bob.peer.custody.vault.quota.most = 0  # for now it only computes
            sizes = [2 * CHUNK + n for n in range(3)]
            job = (await ann.start_job(size_of, map(bytes, sizes), keepers=1)).id
            await computes(grid, bob)
            in_use = bob.blobs.used
            assert in_use >= min(sizes)
            assert find(bob, job) is None
            bob.peer.custody.vault.quota.most = QUOTA
            await grid.until(lambda: is_kept(ann, bob, job), within=ASKED_AGAIN)
            assert bob.peer.volunteer.busy  # with some of what it keeps

            await ann.crash()
            await bob.crash()
            bob.blobs = after_power_cut(bob.blobs, tmp_path)
            await bob.restart()
            await asyncio.sleep(1)
            held = at(bob, job)
            assert held.missing == {}
            assert len(held.job.blobs) == len(sizes)
            for digest, size in held.job.blobs.items():
                assert len(await bob.peer.library.read(digest)) == size

    virtual.run(main)
