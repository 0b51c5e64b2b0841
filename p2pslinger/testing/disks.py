"""The disk of a simulated machine: it outlives the peer, may be slow or full, and its
blobs may be files that lose what was not durable when the power is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from p2pslinger.errors import DiskError
from p2pslinger.ids import BlobId, PeerId
from p2pslinger.store.blobs import Blobs
from p2pslinger.store.state import State
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Address

T = TypeVar("T")

#: Bytes of a blob's id.
BLOB_ID = 32


class Disk(State):
    """The state of a simulated peer: it outlives the peer that closes it.

    Attributes:
        frozen: Nothing is written any more, because the process has just been killed
            and only its tasks do not know it yet.
        full: There is no room left: whoever writes gets a `DiskError`.
        slow: Seconds that a commit of the peer's journal takes.
    """

    def __init__(self) -> None:
        super().__init__(None)
        self.frozen = False
        self.full = False
        self.slow = 0.0

    @property
    def changes(self) -> int:
        """Grows with everything that is written."""
        return self._database.changes

    async def run(self, call: Callable[[], T]) -> T:
        """Make a call, as the disk of the peer's world: inline, after `slow` seconds.

        It is lost if the machine dies meanwhile.
        """
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.frozen:
            await asyncio.Future()  # until the task that waits has been ended
        self._takes()
        return call()

    def close(self) -> None:
        """Do nothing: `remove` frees it."""

    def remove(self) -> None:
        """Free it."""
        super().close()

    def add_receipt(self, signed: Signed) -> bool:
        return self._takes() and super().add_receipt(signed)

    def remember_neighbour(self, peer: PeerId, address: Address, seen: float) -> None:
        if self._takes():
            super().remember_neighbour(peer, address, seen)

    def _takes(self) -> bool:
        """Return whether what is written now is kept."""
        if self.full and not self.frozen:
            raise DiskError("the simulated disk is full")
        return not self.frozen


def after_power_cut(blobs: Blobs, folder: Path) -> Blobs:
    """Return the blobs that a machine finds when its power is back.

    What was in memory is gone, and so is every file of which the disk has not said that
    it has it: the worst that can happen.

    Args:
        blobs: What it had.
        folder: Where their files are.
    """
    for path in folder.iterdir():
        if len(path.name) != 2 * BLOB_ID or not blobs.is_durable(
            BlobId(bytes.fromhex(path.name))
        ):
            path.unlink()
    return Blobs(folder)
