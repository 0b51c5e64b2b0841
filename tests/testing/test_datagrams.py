"""Simulated datagrams: late, lost, doubled, overtaken, cut off; the same each time."""

from __future__ import annotations

import asyncio
import contextvars
import errno

import pytest

from p2pslinger.errors import UsageError
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.network import STRAGGLE, Network
from p2pslinger.testing.virtual import current

Address = tuple[str, int]

ANN: Address = ("10.0.0.1", 8468)
BOB: Address = ("10.0.0.2", 8468)
EVE: Address = ("10.0.0.3", 8468)


class Mailbox(asyncio.DatagramProtocol):
    """Keeps what arrives: when, what, from whom."""

    def __init__(self) -> None:
        self.got: list[tuple[float, bytes, Address]] = []
        self.errors: list[Exception] = []
        self.closed = False

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.got.append((current().time(), data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    @property
    def texts(self) -> list[bytes]:
        return [data for _, data, _ in self.got]


async def mailbox(
    network: Network, address: Address
) -> tuple[Host, asyncio.DatagramTransport, Mailbox]:
    host = network.host(address[0])
    transport, box = await current().create_datagram_endpoint(
        Mailbox, local_addr=address
    )
    return host, transport, box


def test_a_datagram_arrives_after_the_latency_with_its_sender(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network(latency=(0.01, 0.08))
        _, ann, _ = await mailbox(network, ANN)
        _, _, box = await mailbox(network, BOB)
        ann.sendto(b"hello", BOB)
        await asyncio.sleep(1)
        [(when, text, sender)] = box.got
        assert 0.01 <= when <= 0.08
        assert (text, sender) == (b"hello", ANN)

    virtual.run(main)


def test_a_pair_of_hosts_has_one_latency_both_ways_and_pairs_differ(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        a, b, c = (network.host(ip) for ip in "abc")
        links = network.links
        assert links.delay(a, b) == links.delay(b, a)
        assert len({links.delay(a, b), links.delay(a, c), links.delay(b, c)}) == 3
        assert links.delay(a, a) < 0.001

    virtual.run(main)


def test_datagrams_keep_their_order_unless_reordering_is_asked_for(
    virtual: VirtualTime,
) -> None:
    async def main(reordering: float) -> list[bytes]:
        network = virtual.network(reordering=reordering)
        _, ann, _ = await mailbox(network, ANN)
        _, _, box = await mailbox(network, BOB)
        for number in range(100):
            ann.sendto(bytes([number]), BOB)
            await asyncio.sleep(0.001)
        await asyncio.sleep(1 + STRAGGLE)
        return box.texts

    sent = [bytes([number]) for number in range(100)]
    assert virtual.run(lambda: main(0.0)) == sent
    mixed = virtual.run(lambda: main(0.2))
    assert mixed != sent
    assert sorted(mixed) == sent


def test_the_share_asked_for_is_lost(virtual: VirtualTime) -> None:
    async def main() -> None:
        network = virtual.network(loss=0.3)
        host, ann, _ = await mailbox(network, ANN)
        _, _, box = await mailbox(network, BOB)
        for _ in range(2_000):
            ann.sendto(b"x", BOB)
        await asyncio.sleep(1)
        assert 1_300 < len(box.got) < 1_500
        assert host.traffic.datagrams_sent == 2_000
        assert host.traffic.datagrams_delivered == len(box.got)
        assert host.traffic.datagrams_lost == 2_000 - len(box.got)

    virtual.run(main)


def test_the_share_asked_for_arrives_twice(virtual: VirtualTime) -> None:
    async def main() -> None:
        network = virtual.network(duplication=0.25)
        _, ann, _ = await mailbox(network, ANN)
        _, _, box = await mailbox(network, BOB)
        for _ in range(2_000):
            ann.sendto(b"x", BOB)
        await asyncio.sleep(1)
        assert 2_400 < len(box.got) < 2_600

    virtual.run(main)


def test_a_partition_separates_groups_until_it_is_healed(virtual: VirtualTime) -> None:
    async def main() -> None:
        network = virtual.network()
        ann, from_ann, _ = await mailbox(network, ANN)
        bob, from_bob, at_bob = await mailbox(network, BOB)
        _, _, at_eve = await mailbox(network, EVE)
        network.partition({ann, bob})
        from_ann.sendto(b"within", BOB)
        from_ann.sendto(b"across", EVE)
        await asyncio.sleep(1)
        network.partition({ann}, {bob})
        from_bob.sendto(b"across", EVE)
        from_ann.sendto(b"across", BOB)
        await asyncio.sleep(1)
        network.heal()
        from_ann.sendto(b"again", EVE)
        await asyncio.sleep(1)
        assert at_bob.texts == [b"within"]
        assert at_eve.texts == [b"again"]

    virtual.run(main)


def test_a_cut_stops_one_way_only_until_it_is_mended(virtual: VirtualTime) -> None:
    async def main() -> None:
        network = virtual.network()
        ann, from_ann, at_ann = await mailbox(network, ANN)
        bob, from_bob, at_bob = await mailbox(network, BOB)
        network.cut(ann, bob)
        from_ann.sendto(b"one", BOB)
        from_bob.sendto(b"two", ANN)
        await asyncio.sleep(1)
        network.mend(ann, bob)
        from_ann.sendto(b"three", BOB)
        await asyncio.sleep(1)
        assert at_ann.texts == [b"two"]
        assert at_bob.texts == [b"three"]

    virtual.run(main)


def test_one_link_can_have_a_latency_and_a_loss_of_its_own(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        ann, from_ann, _ = await mailbox(network, ANN)
        bob, _, at_bob = await mailbox(network, BOB)
        eve, _, at_eve = await mailbox(network, EVE)
        network.tune(bob, ann, latency=(2.0, 2.0))
        network.tune(ann, eve, loss=1.0)
        from_ann.sendto(b"x", BOB)
        from_ann.sendto(b"x", EVE)
        await asyncio.sleep(3)
        assert [when for when, _, _ in at_bob.got] == [2.0]
        assert at_eve.got == []
        assert network.links.delay(bob, eve) < 0.1

    virtual.run(main)


def test_a_taken_port_is_refused_and_port_0_is_the_next_free_one(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        _, ann, _ = await mailbox(network, ANN)
        with pytest.raises(OSError, match="is taken") as caught:
            await mailbox(network, ANN)
        assert caught.value.errno == errno.EADDRINUSE
        _, first, _ = await mailbox(network, (ANN[0], 0))
        _, second, _ = await mailbox(network, (ANN[0], 0))
        ports = [t.get_extra_info("sockname")[1] for t in (ann, first, second)]
        assert ports == [8468, 49_152, 49_153]

    virtual.run(main)


def test_a_closed_socket_is_told_so_gets_nothing_and_frees_its_port(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        host, ann, _ = await mailbox(network, ANN)
        _, bob, box = await mailbox(network, BOB)
        ann.sendto(b"under way", BOB)
        bob.close()
        bob.abort()
        bob.sendto(b"ignored", ANN)
        await asyncio.sleep(1)
        assert bob.is_closing()
        assert box.closed
        assert box.got == []
        assert host.traffic.datagrams_lost == 1
        await mailbox(network, BOB)

    virtual.run(main)


def test_a_crashed_host_is_told_nothing_and_can_start_anew(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        _, ann, _ = await mailbox(network, ANN)
        bob, _, before = await mailbox(network, BOB)
        bob.crash()
        ann.sendto(b"lost", BOB)
        await asyncio.sleep(1)
        _, _, after = await mailbox(network, BOB)
        ann.sendto(b"found", BOB)
        await asyncio.sleep(1)
        assert before.got == []
        assert not before.closed
        assert after.texts == [b"found"]

    virtual.run(main)


def test_a_stopped_host_closes_its_sockets(virtual: VirtualTime) -> None:
    async def main() -> None:
        host, _, box = await mailbox(virtual.network(), ANN)
        host.stop()
        await asyncio.sleep(0)
        assert box.closed

    virtual.run(main)


def test_a_datagram_without_address_is_refused(virtual: VirtualTime) -> None:
    async def main() -> None:
        _, ann, box = await mailbox(virtual.network(), ANN)
        with pytest.raises(TypeError, match=r"\(ip, port\)"):
            ann.sendto(b"x")
        assert ann.get_protocol() is box

    virtual.run(main)


def test_an_oversized_datagram_is_an_error_for_its_sender(virtual: VirtualTime) -> None:
    async def main() -> None:
        host, ann, box = await mailbox(virtual.network(), ANN)
        ann.sendto(bytes(65_508), ANN)
        [error] = box.errors
        assert isinstance(error, OSError)
        assert error.errno == errno.EMSGSIZE
        assert host.packets == 0

    virtual.run(main)


def test_a_receiver_does_not_see_the_context_of_the_sender(
    virtual: VirtualTime,
) -> None:
    name = contextvars.ContextVar[str]("name")
    seen: list[str] = []

    class Listening(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Address) -> None:
            seen.append(name.get())

    async def main() -> None:
        network = virtual.network()
        name.set("bob")
        network.host(BOB[0])
        await current().create_datagram_endpoint(Listening, BOB)
        name.set("ann")
        _, ann, _ = await mailbox(network, ANN)
        ann.sendto(b"x", BOB)
        await asyncio.sleep(1)

    virtual.run(main)
    assert seen == ["bob"]


@pytest.mark.parametrize(
    "faults", [{"loss": 1.5}, {"duplication": -1.0}, {"reordering": 2.0}]
)
def test_a_share_that_is_none_is_refused(
    virtual: VirtualTime, faults: dict[str, float]
) -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match="share from 0 to 1"):
            virtual.network(**faults)  # type: ignore[arg-type]

    virtual.run(main)


def test_a_latency_that_ends_before_it_begins_is_refused(virtual: VirtualTime) -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match="latency is"):
            virtual.network(latency=(0.2, 0.1))

    virtual.run(main)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    virtual: VirtualTime,
) -> None:
    async def main() -> str:
        network = virtual.network(loss=0.1, duplication=0.1, reordering=0.1)
        boxes = [await mailbox(network, (f"10.0.1.{n}", 1)) for n in range(20)]
        for _, transport, _ in boxes:
            for host, _, _ in boxes:
                transport.sendto(b"x" * host.number, (host.ip, 1))
        await asyncio.sleep(10)
        return network.trace

    assert virtual.run(main, seed=1) == virtual.run(main, seed=1)
    assert virtual.run(main, seed=1) != virtual.run(main, seed=2)
