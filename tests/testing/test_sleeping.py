"""A machine that sleeps: nothing of it runs, and only the clock on the wall goes on."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from p2pslinger.peer.events import TakenBack
from p2pslinger.testing.clocks import on_machine
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.grid import SimulatedGrid
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.virtual import current


def square(x: int) -> int:
    return x * x


async def tick(times: list[tuple[float, float]]) -> None:
    """Note each second what both clocks of a machine show."""
    loop = current()
    while True:
        times.append((loop.time(), loop.wall()))
        await asyncio.sleep(1.0)


def test_its_timers_wait_and_its_monotonic_clock_stands_still(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        laptop = virtual.network().host("10.0.0.1")
        times: list[tuple[float, float]] = []
        async with asyncio.TaskGroup() as group:
            work = group.create_task(tick(times), context=on_machine(laptop.clock))
            await asyncio.sleep(3.5)
            laptop.sleep()
            await asyncio.sleep(600.25)
            assert len(times) == 4
            laptop.wake()
            await asyncio.sleep(3.5)
            work.cancel()

        assert [mono for mono, _ in times] == [0, 1, 2, 3, 4, 5, 6]
        assert times[4][1] - times[3][1] == 601.25
        assert current().time() == 607.25

    virtual.run(main)


def test_sleeping_often_and_briefly_neither_hurries_nor_stops_a_timer(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        laptop = virtual.network().host("10.0.0.1")
        times: list[tuple[float, float]] = []
        async with asyncio.TaskGroup() as group:
            work = group.create_task(tick(times), context=on_machine(laptop.clock))
            for _ in range(1000):
                await asyncio.sleep(0.1 / 3)
                laptop.sleep()
                await asyncio.sleep(0.7 / 3)
                laptop.wake()
            work.cancel()
        assert len(times) == 34
        assert all(0.999 < gap < 1.001 for gap in gaps([mono for mono, _ in times]))

    virtual.run(main)


def gaps(numbers: list[float]) -> list[float]:
    return [later - first for first, later in pairwise(numbers)]


class Diary(asyncio.DatagramProtocol):
    """Keeps what has arrived."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(data)


def test_datagrams_to_it_are_lost(virtual: VirtualTime) -> None:
    async def main() -> None:
        network = virtual.network()
        desk, laptop = network.host("10.0.0.1"), network.host("10.0.0.2")
        sender, _ = desk.bind(1, asyncio.DatagramProtocol)
        _, diary = laptop.bind(1, Diary)
        for word, asleep in ((b"before", False), (b"while", True), (b"after", False)):
            (Host.sleep if asleep else Host.wake)(laptop)
            sender.sendto(word, (laptop.ip, 1))
            await asyncio.sleep(60)
        assert diary.heard == [b"before", b"after"]

    virtual.run(main)


def test_a_stream_outlives_a_nap_and_breaks_when_the_other_end_gives_up(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        network = virtual.network()
        desk, laptop = network.host("10.0.0.1"), network.host("10.0.0.2")
        readers: list[asyncio.StreamReader] = []

        def accept() -> asyncio.StreamReaderProtocol:
            readers.append(asyncio.StreamReader())
            return asyncio.StreamReaderProtocol(readers[-1])

        laptop.listen(1, accept)
        stream, _ = await desk.connect((laptop.ip, 1), asyncio.Protocol)
        laptop.sleep()
        stream.write(b"hello")
        await asyncio.sleep(10)
        laptop.wake()
        assert await readers[0].readexactly(5) == b"hello"

        laptop.sleep()
        stream.write(b"hello?")
        await asyncio.sleep(60)
        assert stream.is_closing()
        laptop.wake()

    virtual.run(main)


def test_a_peer_goes_on_after_a_sleep_and_the_job_is_done_without_or_with_it(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", slots=1)
            bob = await grid.add("bob", slots=1, bootstrap=[ann])
            await grid.until(lambda: len(ann.peer.links.open) == 1, within=10)
            for peer in (ann, bob):
                peer.slots.cost = lambda _: 2.0
            job = await ann.submit(square, range(100))
            await grid.until(lambda: len(job.values) > 10, within=60)
            bob.sleep()
            await asyncio.sleep(60)
            assert ann.happened(TakenBack)
            computed = bob.slots.computed.total()
            bob.wake()

            assert await job.results() == [square(x) for x in range(100)]
            assert bob.slots.computed.total() > computed + 5, "it was not asked again"
            assert job.again == []

    virtual.run(main)


def test_a_machine_that_sleeps_can_lose_its_power(virtual: VirtualTime) -> None:
    async def main() -> None:
        async with SimulatedGrid(virtual.network()) as grid:
            ann = await grid.add("ann", slots=1)
            ann.sleep()
            await ann.crash()
            await ann.restart()
            job = await ann.submit(square, range(5))
            assert await job.results() == [0, 1, 4, 9, 16]

    virtual.run(main)
