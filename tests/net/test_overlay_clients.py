"""Clients of the directory, knocks, and clocks that are set."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from p2pslinger.net.datagrams import Place, Seals
from p2pslinger.net.knocking import TOKEN
from tests.net.test_overlay import KEY, PORT, World, identity, simulate

DAY = 86_400.0


def test_a_client_asks_and_is_nobodys_contact() -> None:
    async def main(world: World) -> None:
        peers = await world.peers(5)
        client = await world.peer()
        client.overlay.serve(False)
        assert await client.overlay.join([(peers[0].ip, PORT)]) == 1
        assert await client.overlay.put(client.card(world.wall)) >= 5
        await asyncio.sleep(60)

        assert len(client.overlay.contacts()) == 5
        for peer in peers:
            assert client.id not in {who for who, _, _ in peer.overlay.contacts()}
            assert len(await peer.overlay.find(client.id)) == 1
            assert await peer.overlay.put(peer.card(world.wall)) == 5
            assert len(await client.overlay.find(peer.id)) == 1
        assert client.overlay.stored == 1  # its own

    simulate(main)


def test_who_becomes_a_client_is_forgotten_and_may_come_back() -> None:
    async def main(world: World) -> None:
        peers = await world.peers(4)
        ann, others = peers[0], peers[1:]
        ann.overlay.serve(False)
        others[0].overlay.drop_contact(ann.id)  # its card has said so
        for peer in others:
            await peer.overlay.find(ann.id)  # those who have not heard find out
        await asyncio.sleep(10)
        assert all(len(peer.overlay.contacts()) == 2 for peer in others)

        ann.overlay.serve(True)
        await ann.overlay.join([(others[0].ip, PORT)])
        await asyncio.sleep(10)
        assert all(len(peer.overlay.contacts()) == 3 for peer in others)

    simulate(main)


def test_a_knock_brings_its_token_to_who_has_asked_for_it() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peers(2)
        heard: list[bytes] = []

        def knocked(token: bytes) -> bool:
            heard.append(token)
            return True

        ann.overlay.listen(lambda _: None, knocked)
        token = bytes(range(TOKEN))
        assert await bob.overlay.knock(ann.id, ann.ip, PORT, token)
        assert not await bob.overlay.knock(ann.id, "2001:db8::1", PORT, token)
        await asyncio.sleep(1)

        assert set(heard) == {token}
        assert ann.overlay.dropped == Counter()
        ports = {port for _, _, port in ann.overlay.contacts()}
        assert ports == {PORT}, "a port that knocks is no address"

    simulate(main)


def test_a_knock_that_nobody_has_asked_for_is_counted() -> None:
    async def main(world: World) -> None:
        ann, bob = await world.peers(2)
        await bob.overlay.knock(ann.id, ann.ip, PORT, bytes(TOKEN))
        await asyncio.sleep(1)

        assert set(ann.overlay.dropped) == {"unasked knock"}

    simulate(main)


def test_strangers_are_reported_and_become_contacts() -> None:
    async def main(world: World) -> None:
        one, other = await world.peers(8), await world.peers(8)
        met: list[Place] = []
        one[0].overlay.listen(met.extend, lambda _: False)
        one[0].overlay.add_contact(None, other[0].ip, PORT)
        await asyncio.sleep(10)

        theirs = {peer.id for peer in other}
        assert {place.peer for place in met} <= theirs
        assert len(met) >= 7
        for peer in one:
            assert theirs <= {who for who, _, _ in peer.overlay.contacts()}

    simulate(main)


@dataclass
class Clock:
    """A clock on the wall that can be set."""

    wall: float = 1_000_000.0

    def __call__(self) -> float:
        return self.wall

    def seals(self, name: str, boot: int) -> Seals:
        """Return the seals of one peer, which go by this clock."""
        return Seals(
            me=identity(name).id,
            key=KEY.key_for("datagrams"),
            boot=bytes([boot]) * 8,
            wall=self,
            dropped=Counter(),
        )


def test_a_clock_that_is_set_back_does_not_keep_others_out_for_as_long() -> None:
    ours, theirs = Clock(1_000_000.0 + DAY), Clock(1_000_000.0 + DAY)
    me = ours.seals("me", 1)
    for minute in range(0, 30, 5):  # sessions come and go, and leave a floor
        ours.wall = theirs.wall = 1_000_000.0 + DAY + 60.0 * minute
        assert me.open(theirs.seals("ann", minute + 1).seal(b"", None))

    ours.wall = theirs.wall = 1_000_000.0
    late = theirs.seals("bob", 7)
    assert me.open(late.seal(b"", None)) is None
    assert me.dropped == {"replayed": 1}
    me.renew(bytes([2]) * 8)
    assert me.open(late.seal(b"", None))
