"""A thousand peers: found by id, told of jobs, and quiet when nothing is to do."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from p2pslinger.ids import JobId
from p2pslinger.limits import LINKS
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer

PEERS = 1000

#: Seconds between two peers' starts, and of the time in which nothing is done.
PAUSE, IDLE = 0.02, 300.0

#: Packets that an idle peer may send in a minute (design.md's budget).
PACKETS = 30

#: Look-ups under way at once: enough to be quick, few enough to be measured.
LOOKUPS = 50


def nothing(_: int) -> None:
    return None


@pytest.mark.timeout(600)
@pytest.mark.large
def test_a_thousand_peers_find_each_other_hear_of_jobs_and_are_quiet(
    virtual: VirtualTime, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        chance = Random(7)
        async with SimulatedGrid(virtual.network()) as grid:
            with told(capsys, "joined"):
                peers = await joined(grid)
            with told(capsys, f"idle for {IDLE:g} virtual seconds"):
                await stay_quiet(peers)
            with told(capsys, "cards looked up"):
                await find_each_other(peers, chance)
            with told(capsys, "jobs announced, late joiner"):
                jobs = [await announce(grid, peer) for peer in chance.sample(peers, 5)]
                late = await grid.add("late", bootstrap=[chance.choice(peers)])
                await grid.until(
                    lambda: all(knows(late, job) for job in jobs), within=35
                )
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = kib / 1024 if sys.platform != "darwin" else kib / 1024**2
        tell(capsys, f"peak memory {memory:.0f} MiB")

    virtual.run(main)


async def joined(grid: SimulatedGrid) -> list[SimulatedPeer]:
    """Start them one after the other; all join by the first."""
    boot = await grid.add("bootstrap")
    for i in range(1, PEERS):
        await grid.add(f"peer {i}", bootstrap=[boot])
        await asyncio.sleep(PAUSE)
    peers = list(grid.peers.values())
    await grid.until(lambda: all(links(peer) >= LINKS for peer in peers), within=10)
    await asyncio.sleep(10)
    return peers


def links(peer: SimulatedPeer) -> int:
    return len(peer.peer.links.open)


async def stay_quiet(peers: list[SimulatedPeer]) -> None:
    """Send no more than is allowed, each of them, for some minutes."""
    before = [peer.host.packets for peer in peers]
    await asyncio.sleep(IDLE)
    sent = [peer.host.packets - had for peer, had in zip(peers, before, strict=True)]
    assert max(sent) / IDLE * 60 <= PACKETS
    assert sum(sent) / len(sent) / IDLE * 60 <= PACKETS / 3


async def find_each_other(peers: list[SimulatedPeer], chance: Random) -> None:
    """Find every peer's card from another peer, chosen by chance."""
    pairs = [(chance.choice(peers), peer) for peer in peers]
    for i in range(0, PEERS, LOOKUPS):
        found = await asyncio.gather(*(finds(a, b) for a, b in pairs[i : i + LOOKUPS]))
        assert all(found)


async def finds(asker: SimulatedPeer, whom: SimulatedPeer) -> bool:
    return any(s.signer == whom.id for s in await asker.peer.overlay.find(whom.id))


async def announce(grid: SimulatedGrid, submitter: SimulatedPeer) -> JobId:
    """Open a job that nobody computes; 99 % must hear of it within 2 s."""
    job = await submitter.submit(nothing, range(3))
    peers = list(grid.peers.values())
    others = [peer for peer in peers if peer is not submitter]

    def most_know() -> bool:
        return sum(knows(peer, job.id) for peer in others) >= 0.99 * len(others)

    await grid.until(most_know, within=2, every=0.1)
    return job.id


def knows(peer: SimulatedPeer, job: JobId) -> bool:
    return any(notice.job == job for notice in peer.peer.notices.open_notices())


@contextmanager
def told(capsys: pytest.CaptureFixture[str], what: str) -> Iterator[None]:
    """Print how long something took; the budget of design.md is in virtual time."""
    wall, cpu = time.monotonic(), time.process_time()
    yield
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    tell(capsys, f"{what}: {wall:.1f} s ({cpu:.1f} s of CPU)")


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{PEERS} peers: {text}", end="", flush=True)
