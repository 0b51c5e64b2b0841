"""Simulated streams under faults: late, stalled, broken; never wrong."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.links import BREAK_AFTER
from p2pslinger.testing.pipes import WINDOW
from p2pslinger.testing.virtual import current
from tests.testing.phones import Call


def test_loss_delays_bytes_and_never_loses_them(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        call.network.tune(call.ann, call.bob, loss=0.5)
        start = current().time()
        for number in range(100):
            near.line.write(bytes([number]))
            await asyncio.sleep(0.01)
        await asyncio.sleep(20)
        assert far.heard == bytes(range(100))
        assert far.pieces[-1][0] > start + 1 + call.latency

    virtual.run(main)


def test_a_short_partition_only_delays(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        call.network.partition({call.ann}, {call.bob})
        near.line.write(b"wait")
        await asyncio.sleep(BREAK_AFTER - 1)
        assert far.heard == b""
        call.network.heal()
        await asyncio.sleep(BREAK_AFTER)
        assert far.heard == b"wait"
        assert near.events == []
        assert call.network.stalled == {}

    virtual.run(main)


def test_a_long_partition_breaks_the_stream_of_who_writes(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        start = current().time()
        call.network.partition({call.ann})
        near.line.write(b"anybody there?")
        await asyncio.sleep(BREAK_AFTER + 1)
        assert isinstance(near.error, TimeoutError)
        assert near.lost_at == pytest.approx(start + BREAK_AFTER)
        assert far.events == []
        call.network.heal()
        far.line.write(b"hello?")
        await asyncio.sleep(1)
        assert isinstance(far.error, ConnectionResetError)

    virtual.run(main)


def test_a_cut_one_way_stalls_both_for_want_of_acknowledgements(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        call.network.cut(call.bob, call.ann)
        near.line.write(b"x")
        await asyncio.sleep(1)
        assert far.heard == b""
        call.network.mend(call.bob, call.ann)
        await asyncio.sleep(1)
        assert far.heard == b"x"

    virtual.run(main)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_network_does_bytes_arrive_once_and_in_order(
    virtual: VirtualTime, seed: int
) -> None:
    async def main() -> None:
        chance = Random(seed)
        call = Call(virtual.network(loss=0.2))
        near, far = await call.open()
        sent = b""
        for _ in range(200):
            piece = chance.randbytes(chance.choice((1, 1_000, 100_000)))
            sent += piece
            near.line.write(piece)
            if chance.random() < 0.1:
                call.network.partition({call.ann})
            if chance.random() < 0.3:
                call.network.heal()
            far.line.pause_reading()
            if chance.random() < 0.7:
                far.line.resume_reading()
            await asyncio.sleep(chance.random() * 0.1)
            if chance.random() < 0.1:
                latency = (chance.random(), 1.0)
                call.network.tune(call.ann, call.bob, latency=latency)
        far.line.resume_reading()
        call.network.heal()
        near.line.close()
        await asyncio.sleep(3600)
        assert far.heard == sent
        assert far.events == ["eof", "lost"]
        assert near.error is far.error is None

    virtual.run(main, seed=seed)


@pytest.mark.parametrize("end", ["close", "crash"])
def test_a_writer_that_waits_for_room_learns_that_its_reader_is_gone(
    virtual: VirtualTime, end: str
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        near.line.pause_reading()
        far.line.pause_reading()
        near.line.write(bytes(2 * WINDOW))
        await asyncio.sleep(1)
        if end == "close":
            far.line.close()
        else:
            call.bob.crash()
        await asyncio.sleep(1)
        assert isinstance(near.error, ConnectionResetError)
        assert not call.ann.streams

    virtual.run(main)


def test_bytes_that_a_closing_end_still_gets_are_thrown_away(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        near, far = await Call(virtual.network()).open()
        far.line.pause_reading()
        near.line.write(bytes(2 * WINDOW))
        near.line.close()
        far.line.write(b"not heard")
        await asyncio.sleep(1)
        assert near.events == ["pause"]
        far.line.resume_reading()
        await asyncio.sleep(1)
        assert near.heard == b""
        assert far.heard == bytes(2 * WINDOW)

    virtual.run(main)


def test_streams_are_part_of_the_trace(virtual: VirtualTime) -> None:
    async def main() -> str:
        call = Call(virtual.network(loss=0.1))
        near, _ = await call.open()
        for size in range(1, 50):
            near.line.write(bytes(size))
            await asyncio.sleep(0.1)
        return call.network.trace

    assert virtual.run(main, seed=1) == virtual.run(main, seed=1)
    assert virtual.run(main, seed=1) != virtual.run(main, seed=2)
