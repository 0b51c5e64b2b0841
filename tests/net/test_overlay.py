"""The directory works: peers join, find each other, and lose little when many leave."""

from __future__ import annotations

import asyncio
import hashlib
import random
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.overlay import Overlay, is_usable
from p2pslinger.net.ports import PortTakenError
from p2pslinger.testing import Network, virtual
from p2pslinger.wire import authkey, records
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.records import Address, Notice, PeerCard

KEY = authkey.from_random(bytes(range(40)))
PORT = 8468


def identity(name: object) -> Identity:
    return Identity(hashlib.sha256(str(name).encode()).digest())


@dataclass
class Peer:
    overlay: Overlay
    identity: Identity
    ip: str

    @property
    def id(self) -> PeerId:
        return self.identity.id

    def card(self, now: float, sequence: int = 1) -> Signed:
        card = PeerCard(
            name="a machine",
            addresses=(Address(self.ip, PORT),),
            software="0.1.0",
            pythons=("3.11", "3.12"),
            slots=2,
            sandbox="good",
            sequence=sequence,
            expires=now + 3600,
        )
        return records.seal(card, self.identity, KEY.grid)


@dataclass
class World:
    """Simulated peers, and the one task group that owns their tasks."""

    tasks: asyncio.TaskGroup
    network: Network
    rng: random.Random = field(default_factory=lambda: random.Random(5))
    made: int = 0

    @property
    def wall(self) -> float:
        return virtual.current().wall()

    async def peer(self, who: Identity | None = None, ip: str = "") -> Peer:
        self.made += 1
        ip = ip or f"10.0.{self.made // 250}.{self.made % 250 + 1}"
        self.network.host(ip)
        who = who or identity(f"peer {self.made}")
        overlay = Overlay(
            identity=who,
            authkey=KEY,
            wall=virtual.current().wall,
            rng=random.Random(f"{ip} {self.made}"),
            spawn=self.tasks.create_task,
        )
        await overlay.open(ip, PORT)
        return Peer(overlay, who, ip)

    async def peers(self, count: int, *, first: Peer | None = None) -> list[Peer]:
        """Make peers that join through one that is there already, 20 at a time."""
        peers = [first] if first else [await self.peer()]
        new = [await self.peer() for _ in range(count - (first is None))]
        while new:
            batch, new = new[:20], new[20:]
            doors = [(self.rng.choice(peers).ip, PORT) for _ in batch]
            joins = [p.overlay.join([d]) for p, d in zip(batch, doors, strict=True)]
            assert set(await asyncio.gather(*joins)) == {1}
            peers += batch
        return peers[1:] if first else peers

    async def publish(self, peers: list[Peer], sequence: int = 1) -> list[int]:
        """Let every peer put its card, 50 at a time; return the numbers of copies."""
        copies: list[int] = []
        for i in range(0, len(peers), 50):
            puts = [
                p.overlay.put(p.card(self.wall, sequence)) for p in peers[i : i + 50]
            ]
            copies += await asyncio.gather(*puts)
        return copies


async def _timed(asker: Peer, key: bytes) -> tuple[float, list[Signed]]:
    loop = asyncio.get_running_loop()
    start = loop.time()
    found = await asker.overlay.find(key)
    return loop.time() - start, found


def simulate(main: Callable[[World], Awaitable[None]], *, loss: float = 0.0) -> None:
    async def run() -> None:
        network = Network(virtual.current(), random.Random(1), loss=loss)
        async with asyncio.TaskGroup() as tasks:
            await main(World(tasks, network))

    virtual.run(run, seed=1)


def stores(peers: list[Peer]) -> int:
    return sum(peer.overlay.requests["store"] for peer in peers)


def refused(peers: list[Peer]) -> Counter[str]:
    return sum((peer.overlay.dropped for peer in peers), Counter())


def notice(number: int, now: float, *, sequence: int = 1, days: float = 1) -> Signed:
    job = JobId(hashlib.sha256(b"job %d" % number).digest()[:20])
    record = Notice(
        job=job,
        submitter=identity("submitter").id,
        keepers=(identity("submitter").id,),
        python=None,
        open=True,
        sequence=sequence,
        expires=now + days * 86_400,
    )
    return records.seal(record, identity(f"job key {number}"), KEY.grid)


def job_of(signed: Signed) -> bytes:
    return records.read(Notice, signed).job


@pytest.mark.parametrize("count", [3, 50])
def test_every_card_is_found_by_id_from_a_random_other_peer(count: int) -> None:
    async def main(world: World) -> None:
        peers = await world.peers(count)
        assert min(await world.publish(peers)) >= min(count, 20)
        for peer in peers:
            _, found = await _timed(world.rng.choice(peers), peer.id)
            assert found == [peer.card(records.read(PeerCard, found[0]).expires - 3600)]
        assert refused(peers) == Counter()

    simulate(main)


def test_a_thousand_peers_join_and_find_each_others_cards() -> None:
    async def main(world: World) -> None:
        peers = await world.peers(1000)
        assert min(await world.publish(peers)) >= 20
        assert stores(peers) <= 21 * 1000, "a store storm"
        took = []
        for i in range(0, 1000, 100):
            askers = world.rng.choices(peers, k=100)
            finds = [
                _timed(a, p.id) for a, p in zip(askers, peers[i : i + 100], strict=True)
            ]
            for seconds, found in await asyncio.gather(*finds):
                took.append(seconds)
                assert len(found) == 1
        assert statistics.median(took) < 0.5
        assert refused(peers) == Counter()

    simulate(main)


def test_an_idle_peer_is_nearly_silent() -> None:
    async def main(world: World) -> None:
        peers = await world.peers(50)
        before = sum(peer.overlay.sent for peer in peers)
        await asyncio.sleep(4 * 3600)
        packets = sum(peer.overlay.sent for peer in peers) - before
        assert packets / 50 / (4 * 60) < 3  # per peer and minute
        assert packets > 0  # buckets are refreshed
        for peer in peers:
            await peer.overlay.close()

    simulate(main)


def test_values_outlive_their_first_holders_without_a_store_storm() -> None:
    async def main(world: World) -> None:
        old = await world.peers(60)
        values = [notice(number, world.wall) for number in range(60)]
        for value in values:
            await world.rng.choice(old).overlay.put(value)
        assert stores(old) <= 60 * 25
        before = stores(old)

        new = await world.peers(60, first=old[0])
        await asyncio.sleep(60)
        handed = stores(old) + stores(new) - before
        assert handed <= 60 * 60  # each newcomer each value, at the very most

        for peer in old:
            await peer.overlay.close()
        hits = 0
        for value in values:
            _, found = await _timed(world.rng.choice(new), job_of(value))
            hits += found == [value]
        print('outlived', hits, 'handed', handed, before)
        assert hits >= 55

    simulate(main)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_lookups_stay_quick_and_right_when_many_peers_are_killed(share: float) -> None:
    async def main(world: World) -> None:
        peers = await world.peers(50)
        await world.publish(peers)
        world.rng.shuffle(peers)
        dead = int(50 * share)
        for peer in peers[:dead]:
            world.network.host(peer.ip).crash()
        alive = peers[dead:]
        took, hits = [], 0
        for _ in range(200):
            await asyncio.sleep(0.3)
            seconds, found = await _timed(
                world.rng.choice(alive), world.rng.choice(alive).id
            )
            took.append(seconds)
            hits += len(found) == 1
        took.sort()
        print(share, took[100], took[190], took[-1], hits)
        assert took[190] <= 1.0  # the 95th of 100
        assert hits >= 198

    simulate(main)
