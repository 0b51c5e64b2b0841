"""Big results wait for their program in memory while they are few, and else on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.unread import Attic, Unread
from p2pslinger.store.blobs import Blobs
from tests.peer.lenders import JOB, until

#: Bytes of a value, and of those that stay in memory.
SIZE, MOST = 100_000, 300_000


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


def value(number: int) -> bytes:
    return bytes([number]) * SIZE


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def story(
    folder: Path | None,
    tell: Callable[[Attic, Blobs], Coroutine[None, None, None]],
    *,
    quota: int = 1 << 30,
) -> None:
    """Run a story of results that nobody reads for a while."""

    async def main() -> None:
        blobs = Blobs(folder, quota=quota, memory=1 << 20)
        async with asyncio.timeout(60), Owner() as owner:
            library = Library(
                me=JOB,  # type: ignore[arg-type]
                blobs=blobs,
                owner=owner,
                reach=None,  # type: ignore[arg-type]
                blame=None,  # type: ignore[arg-type]
            )
            await tell(Attic(library, owner, most=MOST, soon=0.0), blobs)

    asyncio.run(main())


def test_what_comes_beyond_a_bound_goes_to_disk_and_comes_back(tmp_path: Path) -> None:
    async def tell(attic: Attic, blobs: Blobs) -> None:
        unread = Unread(JOB, attic)
        for number in range(20):
            unread.add(name(number), value(number))
        await until(lambda: attic.held <= MOST)
        assert len(files(tmp_path)) == 17

        for number in range(20):
            assert await unread.take(name(number)) == value(number)
        assert attic.held == blobs.used == 0
        assert not files(tmp_path)

    story(tmp_path, tell)


def test_values_are_given_once_to_each_reader(tmp_path: Path) -> None:
    async def tell(attic: Attic, blobs: Blobs) -> None:
        unread = Unread(JOB, attic)
        for number in (0, 1, 2, 3, 3, 3):
            unread.add(name(number), value(number))
        await until(lambda: attic.held <= MOST)
        unread.add(name(3), value(3))

        unread.drop(name(3))
        for _ in range(3):
            assert await unread.take(name(3)) == value(3)
        with pytest.raises(UnavailableError, match="no longer here"):
            await unread.take(name(3))
        assert blobs.used == 0

    story(tmp_path, tell)


def test_equal_values_of_two_names_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def tell(attic: Attic, blobs: Blobs) -> None:
        unread = Unread(JOB, attic)
        for number in range(6):
            unread.add(name(number), value(7))
        await until(lambda: attic.held <= MOST)
        for number in range(6):
            assert await unread.take(name(number)) == value(7)
        assert blobs.used == 0

    story(tmp_path, tell)


def test_a_job_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    async def tell(attic: Attic, blobs: Blobs) -> None:
        unread, other = Unread(JOB, attic), Unread(JOB, attic)
        other.add(name(99), value(99))
        for number in range(10):
            unread.add(name(number), value(number))
        await until(lambda: attic.held <= MOST)
        unread.end()
        assert attic.held == SIZE
        await until(lambda: blobs.used == 0)
        assert await other.take(name(99)) == value(99)

    story(tmp_path, tell)


def test_without_room_on_disk_they_stay_in_memory(tmp_path: Path) -> None:
    async def tell(attic: Attic, blobs: Blobs) -> None:
        with pytest.raises(DiskError):
            blobs.put(bytes(3 * SIZE))
        unread = Unread(JOB, attic)
        for number in range(10):
            unread.add(name(number), value(number))
        await until(lambda: attic.held == 8 * SIZE)  # two have room
        for number in range(10):
            assert await unread.take(name(number)) == value(number)

    story(tmp_path, tell, quota=2 * SIZE)


def test_without_a_disk_they_stay_in_memory() -> None:
    async def tell(attic: Attic, blobs: Blobs) -> None:
        unread = Unread(JOB, attic)
        for number in range(10):
            unread.add(name(number), value(number))
        assert not attic.is_due
        assert await unread.take(name(9)) == value(9)

    story(None, tell)
