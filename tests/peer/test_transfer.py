"""Big blobs come chunk by chunk, from whoever has them, and nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.wire.blobs import CHUNK, blob_digest, chunks_of
from tests.peer.lenders import JOB, Town, connect, star, story, until

BIG = random.Random(1).randbytes(12 * CHUNK + 100)
NAME = blob_digest(BIG)
MIDDLE = random.Random(2).randbytes(CHUNK // 2)


def test_a_big_blob_comes_in_chunks_and_is_kept_for_its_job() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)

        assert await bob.get(NAME, len(BIG), ann) == BIG
        assert bob.library.lends(JOB, NAME)
        assert ann.asked["GetChunk"] == 13

        assert await bob.get(NAME, len(BIG), ann) == BIG
        assert ann.asked["GetChunk"] == 13
        bob.library.leave(JOB)
        assert bob.blobs.used == 0

    story(tell)


def test_a_blob_of_one_chunk_comes_at_once() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[blob_digest(MIDDLE)] = MIDDLE
        await connect(ann, bob)

        assert await bob.get(blob_digest(MIDDLE), len(MIDDLE), ann) == MIDDLE
        assert ann.asked == {"Fetch": 1}

    story(tell)


@pytest.mark.parametrize("data", [BIG, MIDDLE], ids=["big", "one chunk"])
def test_what_two_tasks_want_is_fetched_once(data: bytes) -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        name = blob_digest(data)
        ann.held[name] = data
        await connect(ann, bob)

        both = await asyncio.gather(*(bob.get(name, len(data), ann) for _ in "ab"))

        assert both == [data, data]
        assert ann.sent < 1.1 * len(data) + 10_000

    story(tell)


def test_one_who_no_longer_waits_does_not_stop_the_other() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)

        async with asyncio.TaskGroup() as tasks:
            one = tasks.create_task(bob.get(NAME, len(BIG), ann))
            other = tasks.create_task(bob.get(NAME, len(BIG), ann))
            await until(lambda: ann.asked["GetChunk"] > 2)
            one.cancel()
        assert other.result() == BIG

    story(tell)


def test_one_who_comes_when_the_last_has_left_begins_anew() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)

        async with asyncio.TaskGroup() as tasks:
            one = tasks.create_task(bob.get(NAME, len(BIG), ann))
            await until(lambda: ann.asked["GetChunk"] > 2)
            one.cancel()
            await asyncio.wait([one])
            other = tasks.create_task(bob.get(NAME, len(BIG), ann))
        assert other.result() == BIG

    story(tell)


def test_eight_who_want_the_same_cost_its_keeper_less_than_three_times() -> None:
    async def tell(town: Town) -> None:
        ann = town("ann")
        ann.held[NAME] = BIG
        others = [town(f"peer {i}") for i in range(8)]
        await star(ann, others)

        got = await asyncio.gather(*(o.get(NAME, len(BIG), ann) for o in others))

        assert got == [BIG] * 8
        assert ann.sent < 2.1 * len(BIG)
        assert all(not one.blamed for one in others)

    story(tell)


def test_one_after_the_other_fetches_from_those_before() -> None:
    async def tell(town: Town) -> None:
        ann = town("ann")
        ann.held[NAME] = BIG
        others = [town(f"peer {i}") for i in range(8)]
        await star(ann, others)

        for one in others:
            assert await one.get(NAME, len(BIG), ann) == BIG

        assert ann.sent < 2.1 * len(BIG)

    story(tell)


def test_a_wrong_chunk_blames_its_sender_and_comes_from_elsewhere() -> None:
    async def tell(town: Town) -> None:
        ann, bob, eve = (town(name) for name in ("ann", "bob", "eve"))
        ann.held[NAME] = BIG
        eve.held[NAME] = BIG[:-CHUNK] + bytes(CHUNK)  # and a list that says so
        eve.lending._lists[NAME] = chunks_of(BIG)  # or one that lies
        await star(ann, [bob, eve])
        await connect(bob, eve)
        links = [bob.links[eve.id], bob.links[ann.id]]

        assert await bob.library.get(JOB, NAME, len(BIG), *links) == BIG
        assert bob.blamed == [eve.id]

    story(tell)


def test_a_list_of_chunks_that_is_another_blobs_blames_its_sender() -> None:
    async def tell(town: Town) -> None:
        ann, bob, eve = (town(name) for name in ("ann", "bob", "eve"))
        ann.held[NAME] = BIG
        eve.held[NAME] = BIG[:-1] + b"?"
        await star(bob, [eve, ann])
        links = [bob.links[eve.id], bob.links[ann.id]]

        assert await bob.library.get(JOB, NAME, len(BIG), *links) == BIG
        assert bob.blamed == [eve.id]

    story(tell)


def test_wrong_bytes_of_one_chunk_leave_the_blob_unavailable() -> None:
    async def tell(town: Town) -> None:
        eve, bob = town("eve"), town("bob")
        eve.held[blob_digest(MIDDLE)] = MIDDLE[:-1] + b"?"
        await connect(eve, bob)

        with pytest.raises(UnavailableError, match="sent other bytes"):
            await bob.get(blob_digest(MIDDLE), len(MIDDLE), eve)
        assert bob.blamed == [eve.id]

    story(tell)


def test_what_nobody_has_is_unavailable() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob")
        await connect(ann, bob)

        for size in (1000, len(BIG)):
            with pytest.raises(UnavailableError, match="no such blob"):
                await bob.get(NAME, size, ann)
        assert bob.blamed == []

    story(tell)


def test_a_lost_keeper_is_replaced_by_another_and_nothing_comes_again(
    tmp_path: Path,
) -> None:
    async def tell(town: Town) -> None:
        ann, eve = town("ann"), town("eve")
        bob = town("bob", tmp_path / "bob")
        ann.held[NAME] = eve.held[NAME] = BIG
        await star(bob, [ann, eve])

        async with asyncio.TaskGroup() as tasks:
            get = tasks.create_task(bob.get(NAME, len(BIG), ann))
            await until(lambda: ann.asked["GetChunk"] > 6)
            again = tasks.create_task(bob.get(NAME, len(BIG), eve))
            bob.links[ann.id].close()

        assert get.result() == again.result() == BIG
        assert eve.asked["GetChunk"] < 13

    story(tell)


def test_finished_chunks_survive_a_restart(tmp_path: Path) -> None:
    async def before(town: Town) -> None:
        ann, bob = town("ann"), town("bob", tmp_path / "bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)
        get = asyncio.gather(bob.get(NAME, len(BIG), ann), return_exceptions=True)
        await until(lambda: ann.asked["GetChunk"] > 8)
        bob.links[ann.id].close()
        assert isinstance((await get)[0], UnavailableError)

    async def after(town: Town) -> None:
        ann, bob = town("ann"), town("bob", tmp_path / "bob")
        ann.held[NAME] = BIG
        await connect(ann, bob)

        assert await bob.get(NAME, len(BIG), ann) == BIG
        assert 0 < ann.asked["GetChunk"] < 12
        assert [path.name for path in (tmp_path / "bob").iterdir()] == [NAME.hex()]

    story(before)
    story(after)


def test_a_damaged_blob_is_fetched_again_and_blames_nobody(tmp_path: Path) -> None:
    async def tell(town: Town) -> None:
        ann, eve = town("ann"), town("eve")
        bob = town("bob", tmp_path / "bob")
        ann.held[NAME] = BIG
        await star(bob, [ann, eve])
        await bob.get(NAME, len(BIG), ann)
        with (tmp_path / "bob" / NAME.hex()).open("r+b") as file:
            file.seek(5 * CHUNK)
            file.write(b"?")

        with pytest.raises(UnavailableError):  # whoever lends it finds out
            await eve.get(NAME, len(BIG), bob)
        assert await bob.get(NAME, len(BIG), ann) == BIG
        assert await eve.get(NAME, len(BIG), bob) == BIG
        assert bob.blamed == eve.blamed == []

    story(tell)


def test_a_quota_that_is_used_up_says_so_and_keeps_what_is_pinned() -> None:
    async def tell(town: Town) -> None:
        ann, bob = town("ann"), town("bob", quota=len(BIG))
        ann.held[NAME] = BIG
        kept = await bob.library.put(JOB, MIDDLE)
        await connect(ann, bob)

        with pytest.raises(DiskError, match="wait for a job to end"):
            await bob.get(NAME, len(BIG), ann)

        assert await bob.library.read(kept) == MIDDLE
        assert bob.blobs.used == len(MIDDLE)
        bob.library.end(JOB)
        assert await bob.get(NAME, len(BIG), ann) == BIG

    story(tell)
