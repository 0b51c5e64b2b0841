"""Simulated streams: bytes in order, with back-pressure, ended one way or the other."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.pipes import WINDOW
from p2pslinger.testing.streams import HIGH_WATER
from p2pslinger.testing.virtual import current
from tests.testing.phones import Call, Phone


def test_bytes_arrive_in_order_after_the_latency(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        start = current().time()
        near.line.write(b"one")
        await asyncio.sleep(0.001)
        near.line.write(memoryview(b" two"))
        far.line.write(bytearray(b"back"))
        await asyncio.sleep(1)
        assert far.heard == b"one two"
        assert near.heard == b"back"
        assert far.pieces[0][0] == pytest.approx(start + call.latency)

    virtual.run(main)


def test_small_writes_of_one_turn_arrive_as_one_piece(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        packets = call.ann.packets
        near.line.write(b"a")
        near.line.write(b"b")
        near.line.write(b"")
        near.line.writelines([b"c", b"d"])
        await asyncio.sleep(1)
        assert [data for _, data in far.pieces] == [b"abcd"]
        assert call.ann.packets == packets + 1
        assert call.ann.traffic.stream_bytes == 4

    virtual.run(main)


def test_what_is_no_bytes_is_refused(virtual: VirtualTime) -> None:
    async def main() -> None:
        near, _ = await Call(virtual.network()).open()
        with pytest.raises(TypeError, match="not int"):
            near.line.write(5)  # type: ignore[arg-type]
        assert not near.line.can_write_eof()

    virtual.run(main)


def test_asyncio_streams_run_on_it(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())

        async def echo(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        def answer() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(), echo)

        call.bob.listen(7, answer)
        reader = asyncio.StreamReader()
        transport, protocol = await call.ann.connect(
            ("10.0.0.2", 7), lambda: asyncio.StreamReaderProtocol(reader)
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, current())
        writer.write(b"echo\n")
        assert await reader.read() == b"echo\n"
        writer.close()
        await writer.wait_closed()

    virtual.run(main)


# --- back-pressure ----------------------------------------------------------------


def test_a_reader_that_pauses_makes_the_writer_pause(virtual: VirtualTime) -> None:
    async def main() -> None:
        near, far = await Call(virtual.network()).open()
        far.line.pause_reading()
        near.line.write(bytes(WINDOW))
        assert near.line.get_write_buffer_size() == 0
        near.line.write(bytes(HIGH_WATER))
        assert near.events == []
        near.line.write(b"!")
        assert near.events == ["pause"]
        await asyncio.sleep(60)
        assert near.line.get_write_buffer_size() == HIGH_WATER + 1
        assert far.heard == b""
        far.line.resume_reading()
        await asyncio.sleep(1)
        assert near.events == ["pause", "resume"]
        assert far.heard == bytes(WINDOW + HIGH_WATER) + b"!"

    virtual.run(main)


def test_a_big_write_arrives_whole_and_takes_time(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network(loss=0.05))
        near, far = await call.open()
        data = bytes(range(256)) * 40_000
        near.line.write(data)
        await asyncio.sleep(call.latency + 0.001)
        assert len(far.heard) < len(data)
        await asyncio.sleep(300)
        assert far.heard == data

    virtual.run(main)


def test_the_marks_of_the_write_buffer_can_be_set(virtual: VirtualTime) -> None:
    async def main() -> None:
        near, far = await Call(virtual.network()).open()
        assert near.line.get_write_buffer_limits() == (HIGH_WATER // 4, HIGH_WATER)
        near.line.set_write_buffer_limits(low=10)
        assert near.line.get_write_buffer_limits() == (10, 40)
        with pytest.raises(ValueError, match="must be >="):
            near.line.set_write_buffer_limits(high=1, low=2)
        near.line.set_write_buffer_limits(high=0)
        far.line.pause_reading()
        near.line.write(bytes(WINDOW + 1))
        assert near.events == ["pause"]

    virtual.run(main)


# --- ending -----------------------------------------------------------------------


def test_closing_delivers_everything_first_and_both_ends_end_in_order(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        near, far = await Call(virtual.network()).open()
        near.line.write(bytes(2 * WINDOW))
        near.line.close()
        near.line.write(b"ignored")
        assert near.line.is_closing()
        await asyncio.sleep(5)
        assert far.heard == bytes(2 * WINDOW)
        assert far.events == ["eof", "lost"]
        assert near.events[-1] == "lost"
        assert near.error is far.error is None

    virtual.run(main)


def test_a_paused_reader_hears_of_the_close_once_it_has_read(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        near, far = await Call(virtual.network()).open()
        far.line.pause_reading()
        near.line.write(b"last words")
        near.line.close()
        await asyncio.sleep(5)
        assert far.events == []
        far.line.resume_reading()
        await asyncio.sleep(5)
        assert far.heard == b"last words"
        assert far.events == ["eof", "lost"]

    virtual.run(main)


def test_aborting_resets_the_other_end(virtual: VirtualTime) -> None:
    async def main() -> None:
        near, far = await Call(virtual.network()).open()
        near.line.write(b"never sent")
        near.line.abort()
        near.line.abort()
        await asyncio.sleep(1)
        assert near.error is None
        assert near.events == ["lost"]
        assert isinstance(far.error, ConnectionResetError)
        assert far.heard == b""

    virtual.run(main)


def test_the_other_end_of_a_crash_notices_when_it_writes(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        call.bob.crash()
        far.line.write(b"from the grave")
        await asyncio.sleep(3600)
        assert near.events == []
        start = current().time()
        near.line.write(b"hello?")
        await asyncio.sleep(1)
        assert isinstance(near.error, ConnectionResetError)
        assert near.lost_at == pytest.approx(start + 2 * call.latency)
        assert near.heard == b""
        assert far.events == []

    virtual.run(main)


def test_the_other_end_of_a_stop_is_told(virtual: VirtualTime) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        call.bob.stop()
        await asyncio.sleep(1)
        assert near.events == ["eof", "lost"]
        assert far.events == ["lost"]
        assert near.error is far.error is None
        with pytest.raises(ConnectionRefusedError):
            await call.ann.connect(("10.0.0.2", call.listener.port), Phone)

    virtual.run(main)
