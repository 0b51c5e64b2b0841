"""A peer learns from others whether it can be dialled, and lives with the answer."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.peer.events import PeerLeft, Reached
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.nat import RoutedNetwork
from p2pslinger.testing.virtual import current
from p2pslinger.wire.acquainting import DialBack, DialledBack
from p2pslinger.wire.records import PeerCard, read

TASKS = 60


def double(x: int) -> int:
    return 2 * x


DOUBLES = [double(x) for x in range(TASKS)]


def network() -> RoutedNetwork:
    loop = current()
    return RoutedNetwork(loop, Random(f"network of seed {loop.seed}"))


def state(peer: SimulatedPeer) -> str:
    return peer.peer.presence.reach.standing.state


async def known(grid: SimulatedGrid, *peers: SimulatedPeer) -> None:
    """Wait until these peers know whether they can be dialled."""
    await grid.until(lambda: all(state(p) != "unknown" for p in peers), within=30)


async def card_of(peer: SimulatedPeer, asker: SimulatedPeer) -> PeerCard | None:
    found = await asker.peer.overlay.find(peer.id)
    cards = [read(PeerCard, signed) for signed in found if signed.signer == peer.id]
    return cards[0] if cards else None


def serving(peer: SimulatedPeer, asker: SimulatedPeer) -> bool:
    return peer.id in {who for who, _, _ in asker.peer.overlay.contacts()}


async def grown(grid: SimulatedGrid, open_net: RoutedNetwork) -> list[SimulatedPeer]:
    """Start six peers; the last two are behind routers."""
    boot = await grid.add("bootstrap", slots=1)
    peers = [boot]
    for i in range(1, 6):
        peers.append(await grid.add(f"peer {i}", slots=1, bootstrap=[boot]))
        if i >= 4:
            open_net.shut(peers[-1].host)
    await known(grid, *peers)
    return peers


def test_everyone_is_reachable_where_nothing_is_in_the_way(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(network()) as grid:
            ann = await grid.add("ann")
            assert state(ann) == "unknown"  # alone: nobody can tell
            bob = await grid.add("bob", bootstrap=[ann])
            await known(grid, ann, bob)

            for peer in (ann, bob):
                assert state(peer) == "reachable"
                assert len(peer.happened(Reached)) == 1
                facts = peer.peer.reports.status().reach
                assert facts is not None
                assert (facts.state, facts.advice) == ("reachable", "")

    virtual.run(main)


def test_a_peer_that_no_one_can_dial_is_a_client_and_a_full_member(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        routed = network()
        async with SimulatedGrid(routed) as grid:
            *others, ann, bob = await grown(grid, routed)
            assert [state(peer) for peer in others] == ["reachable"] * 4
            assert state(ann) == state(bob) == "unreachable"
            await asyncio.sleep(30)  # what others believed of it before times out

            stored = ann.peer.overlay.stored
            for asker in others:
                card = await card_of(ann, asker)
                assert card is not None
                assert card.addresses == ()
                assert not serving(ann, asker)
                assert await card_of(asker, ann) is not None
            await others[1].peer.overlay.put(others[1].peer.presence.card.sign())
            assert ann.peer.overlay.stored == stored

            for submitter in (ann, others[2]):
                job = await submitter.submit(double, range(TASKS))
                assert await job.results() == DOUBLES
            linked = ann.peer.links.open.keys()
            assert linked <= {peer.id for peer in others}

    virtual.run(main)


def test_its_owner_is_told_what_to_do_and_that_it_works_all_the_same(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        routed = network()
        async with SimulatedGrid(routed) as grid:
            *_, ann = await grown(grid, routed)
            status = ann.peer.reports.status()
            assert status.address == f"{ann.host.ip}:8468"  # it listens there
            assert status.reach is not None
            assert "could not dial it" in status.reach.text
            assert status.reach.advice.startswith("it works all the same: it dials out")
            assert "forward port 8468, TCP and UDP" in status.reach.advice
            (fact,) = [f for f in ann.peer.reports.checks() if f.name == "reachable"]
            assert fact.ok
            assert fact.advice == status.reach.advice

    virtual.run(main)


def test_once_its_port_is_forwarded_others_dial_it_again(virtual: VirtualTime) -> None:
    async def main() -> None:
        routed = network()
        async with SimulatedGrid(routed) as grid:
            boot, *_, ann = await grown(grid, routed)
            routed.forward(ann.host)
            within = await grid.until(lambda: state(ann) == "reachable", within=700)
            assert within > 30  # nobody asks all the time
            await asyncio.sleep(5)

            card = await card_of(ann, boot)
            assert card is not None
            assert [address.host for address in card.addresses] == [ann.host.ip]
            late = await grid.add("late", bootstrap=[ann])
            await grid.until(lambda: ann.id in late.peer.links.open, within=5)

    virtual.run(main)


def test_who_gets_streams_but_no_datagrams_is_dialled_but_asked_nothing(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        routed = network()
        async with SimulatedGrid(routed) as grid:
            boot = await grid.add("bootstrap")
            ann = await grid.add("ann", bootstrap=[boot])
            routed.shut(ann.host, streams=False)
            await known(grid, ann)
            await asyncio.sleep(60)

            assert state(ann) == "reachable"
            card = await card_of(ann, boot)
            assert card is not None
            assert card.addresses
            await card_of(ann, boot)  # whoever still asks it gives up
            assert not ann.peer.presence.reach.standing.serves
            facts = ann.peer.reports.status().reach
            assert facts is not None
            assert facts.advice.startswith("open port 8468 for UDP")

    virtual.run(main)


def test_only_who_asks_is_dialled_and_only_now_and_then(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(network()) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", bootstrap=[ann])
            cat = await grid.add("cat", bootstrap=[ann])
            await known(grid, ann, bob, cat)
            await asyncio.sleep(20)
            ask = bob.peer.links.open[ann.id].connection.request
            port = bob.address.port
            quiet = cat.host.packets

            answer = await ask(DialBack(port, bytes(16)))
            assert answer == DialledBack(bob.host.ip, stream=True, datagrams=True)
            with pytest.raises(UnavailableError, match="ask somebody else"):
                await ask(DialBack(port, bytes(16)))
            await asyncio.sleep(16)
            answer = await ask(DialBack(port + 1, bytes(16)))  # nobody is there
            assert answer == DialledBack(bob.host.ip, stream=False, datagrams=True)
            assert bob.peer.overlay.dropped["unasked knock"] == 2
            assert cat.host.packets - quiet < 5

    virtual.run(main)


def test_a_dial_back_disturbs_no_connection(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(network()) as grid:
            ann = await grid.add("ann")
            bob = await grid.add("bob", bootstrap=[ann])
            await known(grid, ann, bob)
            await asyncio.sleep(3600)
            assert not ann.happened(PeerLeft)
            assert not bob.happened(PeerLeft)
            assert ann.peer.links.dropped["handshake"] == 0

    virtual.run(main)


def test_a_router_that_begins_to_shut_is_noticed_within_a_quarter_of_an_hour(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        routed = network()
        async with SimulatedGrid(routed) as grid:
            boot = await grid.add("bootstrap")
            ann = await grid.add("ann", bootstrap=[boot])
            await known(grid, ann, boot)
            routed.shut(ann.host)
            await grid.until(lambda: state(ann) == "unreachable", within=900)
            assert state(boot) == "reachable"

    virtual.run(main)
