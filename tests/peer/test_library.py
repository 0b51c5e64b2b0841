"""A library keeps what a keeper must keep, and lets go of what was only used."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, PeerError, UnavailableError
from p2pslinger.net.body import Body
from p2pslinger.peer.blobs.holders import PROMISED
from p2pslinger.wire.blobs import CHUNK, blob_digest, decode_set, encode_set
from p2pslinger.wire.messages import Fetch
from p2pslinger.wire.transfer import GetChunk, GetOffer, Offer
from tests.peer.lenders import JOB, Lender, Town, connect, star, story, until

BIG = random.Random(5).randbytes(4 * CHUNK + 100)
NAME = blob_digest(BIG)
SMALL = BIG[: CHUNK // 2]


def body(*pieces: bytes) -> Body:
    """Return a body that has come."""
    made = Body(lambda _: None)
    for part in pieces:
        for at in range(0, len(part), 60_000):
            made._credit = 60_000  # as a reader would grant it
            made.heard(part[at : at + 60_000])
    made.end()
    return made


def test_what_is_kept_and_what_is_computed_with_do_not_disturb_each_other() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)
        await bob.get(NAME, len(BIG), ann)
        assert not bob.library.has(JOB, NAME)
        await bob.library.obtain(JOB, NAME, len(BIG), bob.links[ann.id])
        assert bob.library.has(JOB, NAME)

        bob.library.leave(JOB)
        assert await bob.library.read(NAME) == BIG
        bob.library.end(JOB)
        assert bob.blobs.used == 0

    story(tell)


@pytest.mark.parametrize("data", [BIG, SMALL], ids=["big", "one chunk"])
def test_what_was_obtained_is_there_after_a_restart(
    tmp_path: Path, data: bytes
) -> None:
    name = blob_digest(data)

    async def before(town: Town) -> None:
        ann, bob = town("ann"), town("bob", tmp_path / "bob")
        ann.held[name] = data
        await connect(ann, bob)
        await bob.library.obtain(JOB, name, len(data), bob.links[ann.id])

    async def after(town: Town) -> None:
        bob = town("bob", tmp_path / "bob")
        assert not bob.library.has(JOB, name)
        assert bob.library.restore(JOB, [name, b"?" * 32]) == [b"?" * 32]
        assert await bob.library.read(name) == data

    story(before)
    story(after)


def test_a_blob_that_was_shared_is_fetched_by_its_digest_from_whoever_keeps_it() -> (
    None
):
    async def tell(town: Town) -> None:
        ann, bob, eve = town("ann"), town("bob"), town("eve")
        await star(ann, [bob, eve])
        name = await ann.library.put(JOB, BIG)

        assert name == NAME
        assert await bob.get(NAME, len(BIG), ann) == BIG
        assert await eve.get(NAME, len(BIG), ann) == BIG

    story(tell)


def test_keepers_hear_who_has_a_blob_and_who_has_it_no_more() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)
        await bob.get(NAME, len(BIG), ann)
        await until(lambda: ann.asked["Have"] == 1)
        bob.library.release(JOB, NAME)
        await until(lambda: ann.asked["Have"] == 2)
        assert ann.lending._swarms[JOB, NAME].others(bob.links[ann.id]) == []

    story(tell)


def test_nothing_large_is_fetched_in_vain_while_there_is_no_room() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob", quota=len(BIG))
        ann.held[NAME] = BIG
        await connect(ann, bob)
        await bob.library.put(JOB, SMALL)
        for _ in range(3):
            with pytest.raises(DiskError, match="wait for a job to end"):
                await bob.get(NAME, len(BIG), ann)
        assert ann.asked["GetChunkList"] == 1
        assert ann.asked["GetChunk"] == 0

        bob.library.end(JOB)
        assert await bob.get(NAME, len(BIG), ann) == BIG

    story(tell)


# --- bodies -------------------------------------------------------------------------


def test_a_body_becomes_a_blob_as_it_comes(tmp_path: Path) -> None:
    async def tell(town: Town) -> None:
        bob = town("bob", tmp_path / "bob")
        await bob.library.take(JOB, body(BIG), NAME, len(BIG), durable=True)

        assert bob.library.has(JOB, NAME)
        assert await bob.library.read(NAME) == BIG

    story(tell)


def test_a_body_that_is_not_what_was_announced_leaves_nothing(tmp_path: Path) -> None:
    async def tell(town: Town) -> None:
        bob = town("bob", tmp_path / "bob")
        for sent, size in ((BIG, len(BIG) - 1), (BIG[:-1], len(BIG)), (BIG, len(BIG))):
            with pytest.raises(PeerError):
                await bob.library.take(JOB, body(sent), b"?" * 32, size)
        assert bob.blobs.used == 0

    story(tell)


# --- who may ask for what -----------------------------------------------------------


def test_a_chunk_that_a_keeper_has_not_offered_is_not_given() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)

        with pytest.raises(UnavailableError, match="not offered"):
            await bob.links[ann.id].request(GetChunk(JOB, NAME, 0))
        with pytest.raises(PeerError, match="which a blob does not have"):
            await bob.links[ann.id].request(GetChunk(JOB, NAME, 5))

    story(tell)


def test_a_large_blob_does_not_leave_in_one_piece() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)

        with pytest.raises(UnavailableError, match="one by one"):
            await bob.links[ann.id].request(Fetch(JOB, NAME))

    story(tell)


def test_a_blob_of_another_job_is_not_lent() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        await connect(ann, bob)
        other = type(JOB)(b"o" * 20)
        await ann.library.put(other, BIG)
        await ann.library.put(other, SMALL)

        for name, size in ((NAME, len(BIG)), (blob_digest(SMALL), len(SMALL))):
            with pytest.raises(UnavailableError):
                await bob.get(name, size, ann)

    story(tell)


def test_a_keeper_promises_each_chunk_once_before_any_twice() -> None:
    data = random.Random(6).randbytes(3 * PROMISED * CHUNK)
    name, every = blob_digest(data), (1 << 3 * PROMISED) - 1

    async def tell(town: Town) -> None:
        ann, bob, eve = town("ann"), town("bob"), town("eve")
        ann.held[name] = data
        await star(ann, [bob, eve])

        async def offered(one: Lender, known: int, *, alone: bool = False) -> int:
            ask = GetOffer(JOB, name, encode_set(known), alone)
            answer = await one.links[ann.id].request(ask)
            assert isinstance(answer, Offer)
            return decode_set(answer.chunks, every)

        bobs = await offered(bob, 0)
        eves = await offered(eve, 0)
        assert bobs.bit_count() == eves.bit_count() == PROMISED
        assert not bobs & eves
        bobs |= await offered(bob, bobs)
        assert bobs | eves == every

        while eves != every:  # now each goes out a second time
            eves |= await offered(eve, eves)
        third = town("third")
        await connect(ann, third)
        assert await offered(third, 0) == every & ~bobs
        twice = bobs & -bobs  # the first chunk that two have been promised
        ask = GetOffer(JOB, name, encode_set(every & ~twice))
        with pytest.raises(UnavailableError, match="did not answer"):
            await third.links[ann.id].request(ask, timeout=0.05)
        assert await offered(third, every & ~twice, alone=True) == twice

    story(tell)
