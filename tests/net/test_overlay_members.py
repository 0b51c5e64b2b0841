"""Members that misbehave, and strangers, do the directory no harm."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import msgspec

from p2pslinger.net.datagrams import Seals
from p2pslinger.net.reach import is_usable
from p2pslinger.testing import virtual
from p2pslinger.wire.identity import Identity, Signed
from tests.net.test_overlay import (
    KEY,
    PORT,
    Peer,
    World,
    identity,
    job_of,
    notice,
    simulate,
)


class Member(asyncio.DatagramProtocol):
    """Holds the authkey, and sends by hand what no honest peer sends."""

    def __init__(self, who: Identity, wall: Callable[[], float]) -> None:
        key = KEY.key_for("datagrams")
        self.id = who.id
        self.seals = Seals(
            me=who.id, key=key, boot=bytes(8), wall=wall, dropped=Counter()
        )
        self.heard: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.socket = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        opened = self.seals.open(data)
        assert opened is not None
        self.heard.append(opened[2])

    async def tell(self, peer: Peer, payload: bytes) -> bytes:
        """Send a payload and give it time to arrive; return the sealed datagram."""
        datagram = self.seals.seal(payload, peer.id)
        await self.repeat(peer, datagram)
        return datagram

    async def repeat(self, peer: Peer, datagram: bytes) -> None:
        assert isinstance(self.socket, asyncio.DatagramTransport)
        self.socket.sendto(datagram, (peer.ip, PORT))
        await asyncio.sleep(5)

    def request(self, name: str, *arguments: object) -> bytes:
        return b"\0" + bytes(20) + msgspec.msgpack.encode((name, (self.id, *arguments)))


async def member(world: World, name: str = "mallory") -> Member:
    loop = virtual.current()
    world.network.host("10.9.0.1")
    _, made = await loop.create_datagram_endpoint(
        lambda: Member(identity(name), loop.wall), local_addr=("10.9.0.1", PORT)
    )
    return made


def test_a_store_recorded_before_a_restart_changes_nothing_after_it() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peer(), await member(world)
        value = notice(1, world.wall)
        await bob.tell(ann, bob.request("ping"))
        recorded = await bob.tell(ann, bob.request("store", job_of(value), value))
        assert ann.overlay.stored == 1
        await bob.repeat(ann, recorded)
        assert ann.overlay.dropped["replayed"] == 1

        await ann.overlay.close()
        await asyncio.sleep(1)
        ann = await world.peer(ann.identity, ann.ip)
        await bob.repeat(ann, recorded)
        assert ann.overlay.stored == 0
        assert ann.overlay.dropped["stale store"] == 1
        await bob.tell(ann, bob.request("store", job_of(value), value))
        assert ann.overlay.stored == 1  # the refusal has told the new boot

    simulate(main)


def test_bad_records_are_counted_and_not_stored() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peer(), await member(world)
        await bob.tell(ann, bob.request("ping"))
        good = ann.card(world.wall)
        forged = Signed(good.body, good.key, bytes(64))
        for key, value in (
            (ann.id, forged),
            (bob.id, good),
            (ann.id, ann.card(world.wall - 3601)),
            (ann.id, ann.card(world.wall + 86_400)),
        ):
            await bob.tell(ann, bob.request("store", key, value))
        assert ann.overlay.dropped == {"bad record": 4}
        assert ann.overlay.stored == 0

    simulate(main)


def test_who_asks_but_never_answers_is_no_contact() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peer(), await member(world)
        await bob.tell(ann, bob.request("find_node", ann.id))
        assert len(bob.heard) == 3  # an answer, and a ping sent twice
        assert ann.overlay.contacts() == []

    simulate(main)


def test_a_member_that_calls_itself_another_does_not_take_its_place() -> None:
    async def main(world: World) -> None:
        ann, bob, _ = await world.peers(3)
        false = await member(world, "peer 2")
        assert false.id == bob.id
        await false.tell(ann, false.request("find_node", ann.id))
        assert (bob.id, bob.ip, PORT) in ann.overlay.contacts()

    simulate(main)


def test_a_member_that_sends_garbage_breaks_nothing() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peers(2)
        bad = await member(world)
        rng = random.Random(3)
        for _ in range(200):
            name = rng.choice(["ping", "store", "find_node", "find_value", "stun"])
            noise = rng.randbytes(rng.randrange(60))
            body = bad.request(name, *rng.choices([b"x", ann.id, 7, None, noise], k=2))
            await bad.tell(ann, rng.choice([body, body[: rng.randrange(60)], noise]))
        assert ann.overlay.dropped["malformed"] > 50
        assert ann.overlay.dropped["unknown request"] > 5
        assert len(await bob.overlay.find(ann.id)) == 0
        assert await ann.overlay.put(ann.card(world.wall)) == 2

    simulate(main)


def test_strangers_are_counted_and_get_no_answer() -> None:
    async def main(world: World) -> None:
        ann = await world.peer()
        bad = await member(world)
        rng = random.Random(3)
        for _ in range(100):
            await bad.repeat(ann, rng.randbytes(rng.randrange(1500)))
        assert ann.overlay.dropped.total() == 100
        assert set(ann.overlay.dropped) == {"truncated", "oversized", "foreign"}
        assert ann.overlay.sent == 0

    simulate(main)


def test_addresses_that_no_peer_can_have_are_not_believed() -> None:
    assert is_usable("192.0.2.1", "192.0.2.2")
    assert is_usable("2001:db8::1", "192.0.2.2")
    assert is_usable("127.0.0.1", "127.0.0.1")
    for host in ("127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "::", "example.org", ""):
        assert not is_usable(host, "192.0.2.2")
