"""How simulated streams begin: answered, refused, timed out, given up."""

from __future__ import annotations

import asyncio
import contextvars
import errno

import pytest

from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.hosts import Host
from p2pslinger.testing.virtual import current
from tests.testing.phones import Call, Phone


def test_connecting_takes_one_round_trip_and_shows_who_is_there(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        near, far = await call.open()
        assert current().time() == pytest.approx(2 * call.latency)
        for one, other, key in ((near, far, b"bob's"), (far, near, b"ann's")):
            assert one.line.get_extra_info("peer_key") == key
            assert one.line.get_extra_info("peername") == (
                other.line.get_extra_info("sockname")
            )
            assert one.line.get_protocol() is one
            assert one.line.get_extra_info("no such") is None

    virtual.run(main)


async def refused(host: Host, port: int) -> float:
    start = current().time()
    with pytest.raises(ConnectionRefusedError, match="nobody listens") as caught:
        await host.connect(("10.0.0.2", port), Phone)
    assert caught.value.errno == errno.ECONNREFUSED
    return current().time() - start


def test_a_port_without_listener_refuses_after_a_round_trip(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        assert await refused(call.ann, 9) == pytest.approx(2 * call.latency)
        near, far = await call.open()
        call.listener.close()
        call.listener.close()
        await refused(call.ann, call.listener.port)
        near.line.write(b"goes on")
        await asyncio.sleep(1)
        assert far.heard == b"goes on"

    virtual.run(main)


def test_a_host_that_is_unknown_or_cut_off_times_out_after_3_s(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        call.bob.listen(7, Phone)
        with pytest.raises(TimeoutError, match="did not answer"):
            await call.ann.connect(("10.9.9.9", 7), Phone)
        assert current().time() == 3
        for cut in ((call.ann, call.bob), (call.bob, call.ann)):
            call.network.cut(*cut)
            with pytest.raises(TimeoutError):
                await call.ann.connect(("10.0.0.2", 7), Phone)
            call.network.heal()
        assert current().time() == 9

    virtual.run(main)


def test_a_taken_port_can_not_be_listened_at(virtual: VirtualTime) -> None:
    async def main() -> None:
        host = virtual.network().host("10.0.0.1")
        listener = host.listen(7, Phone)
        with pytest.raises(OSError, match="port 7 of") as caught:
            host.listen(7, Phone)
        assert caught.value.errno == errno.EADDRINUSE
        listener.close()
        host.listen(7, Phone)

    virtual.run(main)


@pytest.mark.parametrize("steps", range(12))
def test_cancelling_a_dial_at_any_moment_leaves_no_open_stream(
    virtual: VirtualTime, steps: int
) -> None:
    async def main() -> None:
        call = Call(virtual.network(latency=(0.05, 0.05)))
        answered: list[Phone] = []

        def answer() -> Phone:
            answered.append(Phone())
            return answered[-1]

        call.bob.listen(7, answer)
        dial = asyncio.create_task(call.ann.connect(("10.0.0.2", 7), Phone))
        # To just before the moment of the answer, then turn by turn across it.
        await asyncio.sleep(0.1 if steps else 0.06)
        for _ in range(steps // 3):
            await asyncio.sleep(0)
        dial.cancel()
        await asyncio.wait([dial])
        if not dial.cancelled():
            dial.result()[0].abort()
        await asyncio.sleep(5)
        assert [phone.events for phone in answered] == [["lost"]]
        assert not call.ann.streams
        assert not call.bob.streams

    virtual.run(main)


def test_a_host_that_crashes_while_dialling_gets_no_stream(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        call = Call(virtual.network())
        call.bob.listen(7, Phone)
        dial = asyncio.create_task(call.ann.connect(("10.0.0.2", 7), Phone))
        await asyncio.sleep(call.latency)
        call.ann.crash()
        with pytest.raises(ConnectionAbortedError):
            await dial
        assert not call.ann.streams

    virtual.run(main)


def test_a_listener_that_hangs_up_at_once_may_still_speak(virtual: VirtualTime) -> None:
    class Curt(Phone):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.line.write(b"no")
            self.line.close()

    async def main() -> None:
        call = Call(virtual.network())
        call.bob.listen(7, Curt)
        _, phone = await call.ann.connect(("10.0.0.2", 7), Phone)
        await asyncio.sleep(1)
        assert phone.heard == b"no"
        assert phone.events == ["eof", "lost"]

    virtual.run(main)


def test_each_end_runs_in_the_context_that_opened_it(virtual: VirtualTime) -> None:
    name = contextvars.ContextVar[str]("name")
    seen: list[str] = []

    class Named(Phone):
        def data_received(self, data: bytes) -> None:
            seen.append(name.get())

    async def main() -> None:
        call = Call(virtual.network())
        name.set("bob")
        call.bob.listen(7, Named)
        name.set("ann")
        transport, _ = await call.ann.connect(("10.0.0.2", 7), Named)
        transport.write(b"x")
        await asyncio.sleep(1)

    virtual.run(main)
    assert seen == ["bob"]
