"""The directory works: peers join, find each other, and lose little when many leave."""

from __future__ import annotations

import asyncio
import hashlib
import random
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.overlay import Overlay
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
        keeper=identity("submitter").id,
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


def test_200_peers_find_each_others_cards_quickly_and_store_none_too_often() -> None:
    """A thousand, as whole peers, are in tests/simulation/test_thousand.py."""
    count = 200

    async def main(world: World) -> None:
        peers = await world.peers(count)
        assert min(await world.publish(peers)) >= 20
        assert stores(peers) <= 21 * count, "a store storm"
        took = []
        for i in range(0, count, 100):
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
        assert took[190] <= 1.0  # the 95th of 100
        assert hits >= 198

    simulate(main)


def test_two_halves_that_join_become_one_grid() -> None:
    async def main(world: World) -> None:
        one, other = await world.peers(20), await world.peers(20)
        await world.publish(one + other)
        assert (await _timed(one[3], other[4].id))[1] == []

        for peer in one[:10]:
            assert await peer.overlay.join([(other[0].ip, PORT)]) == 1
        for _ in range(40):
            asker, sought = world.rng.choice(one), world.rng.choice(other)
            assert len((await _timed(asker, sought.id))[1]) == 1
            assert len((await _timed(sought, asker.id))[1]) == 1

    simulate(main)


def test_joining_through_nobody_says_so_and_can_be_tried_again() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peer(), await world.peer()
        doors = [("10.0.99.99", PORT), ("no such name", PORT), (ann.ip, PORT)]
        assert await ann.overlay.join(doors) == 0  # its own address is nobody
        assert ann.overlay.contacts() == []
        assert await ann.overlay.put(ann.card(world.wall)) == 1
        assert len(await ann.overlay.find(ann.id)) == 1
        assert await ann.overlay.find(bob.id) == []
        assert await ann.overlay.join([*doors, (bob.ip, PORT)]) == 1
        assert ann.overlay.contacts() == [(bob.id, bob.ip, PORT)]

    simulate(main)


def test_our_own_stale_copy_never_masks_a_newer_record() -> None:
    async def main(world: World) -> None:
        peers = await world.peers(5)
        await world.publish(peers)
        ann, bob, rest = peers[0], peers[1], peers[2:]
        world.network.partition([world.network.host(ann.ip)])
        await bob.overlay.put(bob.card(world.wall, sequence=2))
        assert ann.overlay.stored == 5

        world.network.heal()
        for peer in rest:
            ann.overlay.add_contact(peer.id, peer.ip, PORT)
        await asyncio.sleep(5)
        for asker in peers:
            (found,) = await asker.overlay.find(bob.id)
            assert records.read(PeerCard, found).sequence == 2

    simulate(main)


def test_who_is_cut_off_keeps_its_contacts_and_who_dies_is_forgotten() -> None:
    async def main(world: World) -> None:
        ann, bob, cat = await world.peers(3)
        world.network.partition([world.network.host(ann.ip)])
        await ann.overlay.find(bob.id)
        assert len(ann.overlay.contacts()) == 2

        world.network.heal()
        world.network.host(cat.ip).crash()
        await ann.overlay.find(cat.id)
        await asyncio.sleep(5)
        assert ann.overlay.contacts() == [(bob.id, bob.ip, PORT)]

    simulate(main)


def test_everything_works_on_a_bad_network() -> None:
    async def main(world: World) -> None:
        peers = [await world.peer()]
        for _ in range(20):
            peers.append(await world.peer())
            while not await peers[-1].overlay.join([(peers[0].ip, PORT)]):
                pass
        await world.publish(peers)
        hits = 0
        for _ in range(100):
            key = world.rng.choice(peers).id
            hits += len(await world.rng.choice(peers).overlay.find(key))
        assert hits >= 99

    simulate(main, loss=0.1)


def test_all_signers_of_a_job_are_read_however_many_pages_they_fill() -> None:
    async def main(world: World) -> None:
        peers = await world.peers(5)
        job = bytes(range(20))
        signed = []
        for number in range(16):
            record = Notice(
                job=job,
                keeper=identity("submitter").id,
                python="3.12",
                open=True,
                sequence=1,
                expires=world.wall + 3600,
            )
            signed.append(records.seal(record, identity(number), KEY.grid))
            await peers[0].overlay.put(signed[-1])
        found = await peers[4].overlay.find(job)
        assert sorted(found, key=repr) == sorted(signed, key=repr)

    simulate(main)


def test_a_record_that_nobody_would_take_is_refused_before_it_is_sent() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peers(2)
        before = ann.overlay.sent
        with pytest.raises(UsageError, match="expired"):
            await ann.overlay.put(notice(1, world.wall, days=31))
        with pytest.raises(UsageError, match="1024 at most"):
            await ann.overlay.put(Signed(bytes(1024), b"", b""))
        assert (ann.overlay.sent, bob.overlay.stored) == (before, 0)

    simulate(main)


def test_the_same_seed_gives_the_same_run() -> None:
    traces = []

    async def main(world: World) -> None:
        await world.publish(await world.peers(20))
        traces.append(world.network.trace)

    simulate(main)
    simulate(main)
    assert traces[0] == traces[1]
