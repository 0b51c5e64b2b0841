"""The simulated disk: slow, full, or gone with its machine."""

from __future__ import annotations

import asyncio

import pytest

from p2pslinger.errors import DiskError
from p2pslinger.testing.disks import Disk
from p2pslinger.testing.fixtures import VirtualTime
from p2pslinger.testing.virtual import current


def test_a_slow_disk_takes_its_time_and_a_full_one_nothing(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        disk = Disk()
        done: list[int] = []
        await disk.run(lambda: done.append(1))
        assert current().time() == 0.0
        disk.slow = 2.0
        await disk.run(lambda: done.append(2))
        assert current().time() == 2.0
        disk.full = True
        with pytest.raises(DiskError, match="full"):
            await disk.run(lambda: done.append(3))
        disk.full = False
        await disk.run(lambda: done.append(4))
        assert done == [1, 2, 4]
        disk.remove()

    virtual.run(main)


def test_what_a_slow_disk_has_not_written_is_lost_with_the_process(
    virtual: VirtualTime,
) -> None:
    async def main() -> None:
        disk = Disk()
        disk.slow = 2.0
        done: list[int] = []
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(disk.run(lambda: done.append(1)))
            await asyncio.sleep(1.0)
            disk.frozen = True
            await asyncio.sleep(5.0)
            assert not writing.done(), "nobody may be told that it was written"
            writing.cancel()
        assert done == []
        disk.remove()

    virtual.run(main)
