"""What a volunteer asks of another peer's keeper is what is said on the connection."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange
from p2pslinger.peer.computing.keepers import RemoteKeeper
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Adopt, HeldGrant
from p2pslinger.wire.messages import Deliver, Delivered, Renewed
from p2pslinger.wire.records import RangeResult, ResultBatch, read, seal
from tests.peer.keeping import GRID, ME
from tests.peer.lenders import JOB, Lender, Town, connect, story

#: The outcome of a grant.
RESULT = RangeResult(
    JOB, 7, (0, 9), bytes(16), 0, 9, 0, b"", b"", 0, (), False, 1.0, 1.0, b""
)
BATCH = seal(ResultBatch((RESULT,)), ME, GRID)

Answer = Delivered | SlingerError


def keeper_of(ann: Lender, bob: Lender) -> RemoteKeeper:
    """Return Ann's keeper as Bob, who is connected with her, sees it."""
    return RemoteKeeper(bob.links[ann.id], ME.public, bob.library)


async def offer(keeper: RemoteKeeper, blobs: tuple[bytes, ...] = ()) -> Answer:
    """Offer results, and wait for the answer."""
    told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    keeper.offer(BATCH, (RESULT,), blobs, told.set_result)
    return await told


async def adopt(keeper: RemoteKeeper) -> object:
    """Ask a keeper to adopt a grant, and wait for the answer."""
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    keeper.adopt(Adopt(JOB, (HeldGrant(7, 0, 9, bytes(16)),)), told.set_result)
    return await told


@pytest.mark.parametrize("enough", [True, False])
def test_an_offer_is_answered_when_the_keeper_knows_who_holds_it(enough: bool) -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        got: list[Signed] = []

        def deliver(_: Connection, message: Deliver, exchange: Exchange) -> None:
            got.append(message.batch)
            answer = Delivered(2, enough=enough)
            asyncio.get_running_loop().call_soon(exchange.reply, answer)

        ann.table.on(Deliver, deliver)
        await connect(ann, bob)

        assert await offer(keeper_of(ann, bob)) == Delivered(2, enough=enough)
        assert got == [BATCH], "the very bytes that were signed"
        assert read(ResultBatch, got[0]).results == (RESULT,)

    story(tell)


def test_big_values_follow_an_offer_each_time_that_it_is_made() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        values = b"a" * 300_000, b"b" * 70_000
        bodies: list[bytes] = []

        async def read_all(exchange: Exchange) -> None:
            assert exchange.body is not None
            bodies.append(await exchange.body.read_all(370_000))
            exchange.reply(Delivered(1))

        async with asyncio.TaskGroup() as group:

            def deliver(_: Connection, __: Deliver, exchange: Exchange) -> None:
                group.create_task(read_all(exchange))

            ann.table.on(Deliver, deliver)
            await connect(ann, bob)
            for _ in range(2):
                assert await offer(keeper_of(ann, bob), values) == Delivered(1)
        assert bodies == [b"".join(values)] * 2

    story(tell)


def test_an_offer_to_a_keeper_that_is_lost_ends_in_an_error() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")

        def deliver(connection: Connection, _: Deliver, __: Exchange) -> None:
            connection.close()

        ann.table.on(Deliver, deliver)
        await connect(ann, bob)

        assert isinstance(await offer(keeper_of(ann, bob)), UnavailableError)

    story(tell)


def test_a_keeper_names_the_grants_that_it_will_not_adopt() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")

        def take(_: Connection, message: Adopt, exchange: Exchange) -> None:
            exchange.reply(Renewed(tuple(one.number for one in message.grants)))

        ann.table.on(Adopt, take)
        await connect(ann, bob)

        assert await adopt(keeper_of(ann, bob)) == (7,)

    story(tell)


def test_a_peer_that_keeps_nothing_adopts_nothing() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        await connect(ann, bob)

        assert isinstance(await adopt(keeper_of(ann, bob)), SlingerError)

    story(tell)


def test_another_answer_than_to_the_question_is_a_fault() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")

        def deliver(_: Connection, __: Deliver, exchange: Exchange) -> None:
            exchange.reply(Renewed())

        ann.table.on(Deliver, deliver)
        await connect(ann, bob)

        link = bob.links[ann.id]
        keeper_of(ann, bob).offer(BATCH, (RESULT,), (), lambda _: None)
        await asyncio.wait([link.gone])
        assert not link.is_open

    story(tell)
