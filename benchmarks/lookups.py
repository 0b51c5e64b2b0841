"""How well the directory does when half of a grid is gone.

Real peers on a simulated network, in virtual time: 50 have joined and are listed; half
of them lose power in the same moment. In the next 60 s living peers look up each
other's cards. The seconds are virtual, so the machine's speed does not matter.
"""

from __future__ import annotations

import asyncio
import functools
from random import Random

from benchmarks.figures import MILLI, percentile, show
from p2pslinger.testing import virtual
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.network import Network

RUNS = 3

PEERS = 50

#: Seconds until everybody is listed, and for which there are look-ups.
JOINING, LOOKING = 30.0, 60.0

#: Seconds between two look-ups of the whole grid: each of those that live asks for one
#: card about every 2.5 s.
PAUSE = 0.1

#: Share of the peers that die.
SHARES = (0.2, 0.5)


async def grown(grid: SimulatedGrid) -> list[SimulatedPeer]:
    """Start the peers; all of them join through the first."""
    first = await grid.add("peer 0")
    peers = [first]
    for i in range(1, PEERS):
        peers.append(await grid.add(f"peer {i}", bootstrap=[first]))
    await asyncio.sleep(JOINING)
    return peers


async def look_up(asker: SimulatedPeer, sought: SimulatedPeer) -> tuple[float, bool]:
    """Return how long a look-up took, and whether it has found the card."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await asker.peer.overlay.find(sought.id)
    hit = any(signed.signer == sought.id for signed in found)
    return loop.time() - began, hit


async def lose(share: float, seed: int) -> list[tuple[float, bool]]:
    """Kill a share of a grid; return what came of the look-ups afterwards."""
    chance = Random(seed)
    async with SimulatedGrid(Network(virtual.current(), Random(seed))) as grid:
        peers = await grown(grid)
        chance.shuffle(peers)
        dying, living = peers[: int(share * PEERS)], peers[int(share * PEERS) :]
        for peer in dying:  # all at once: `crash` ends their tasks one by one
            peer.host.crash()
        for peer in dying:
            await peer.crash()
        looking = []
        for _ in range(int(LOOKING / PAUSE)):
            asker, sought = chance.sample(living, 2)
            looking.append(asyncio.ensure_future(look_up(asker, sought)))
            await asyncio.sleep(PAUSE)
        return list(await asyncio.gather(*looking))


def main() -> None:
    """Lose some, and half."""
    for share in SHARES:
        runs = [
            virtual.run(functools.partial(lose, share, seed), seed=seed)
            for seed in range(RUNS)
        ]
        name = f"directory, {share:.0%} of {PEERS} peers killed"
        took = [[seconds for seconds, _ in run] for run in runs]
        for part, most in ((0.5, None), (0.95, 1000.0)):
            values = [MILLI * percentile(run, part) for run in took]
            show(f"{name}, look-up p{100 * part:.0f}", values, "ms", most=most)
        hits = [100 * sum(hit for _, hit in run) / len(run) for run in runs]
        show(f"{name}, cards found", hits, "%", least=99)


if __name__ == "__main__":
    main()
