"""Big results of throw-away jobs until their programs read them: here, then on disk.

A program may compute far more than it has read. What waits for it is in memory while it
is little; of more, what came last goes to disk, where there is one, and comes back when
its turn is near.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from p2pslinger import limits
from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.ids import BlobId, JobId
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.heldblobs import HeldBlobs

#: Bytes in memory, all jobs together, beyond which results go to disk.
HELD = 128 * limits.MIB

#: Seconds that they stay in memory in any case: a program that reads asks by then.
SOON = 0.5


class Attic:
    """Where results go that nobody reads for now.

    Args:
        library: Has the disk.
        owner: Owns the tasks that write.
        most: Bytes in memory, of all jobs.
        soon: Seconds that they stay there in any case.

    Attributes:
        held: Bytes in memory now.
    """

    def __init__(
        self,
        library: Library,
        owner: Owner,
        *,
        most: int = HELD,
        soon: float = SOON,
    ) -> None:
        self.library = library
        self.owner = owner
        self.soon = soon
        self.held = 0
        self._most = most

    @property
    def is_due(self) -> bool:
        """Whether more should go to disk."""
        return self.held > self._most and self.library.blobs.on_disk


class Unread:
    """The big results of one job.

    Args:
        job: It.
        attic: Where they go if they are many.
    """

    def __init__(self, job: JobId, attic: Attic) -> None:
        self._job = job
        self._attic = attic
        self._held = HeldBlobs()
        self._away: dict[bytes, _Away] = {}

    def add(self, digest: bytes, data: bytes) -> None:
        """Keep values for one more reader; those of one name are kept once."""
        if digest in self._away:
            self._away[digest].readers += 1
            return
        if self._held.get(digest) is None:
            self._attic.held += len(data)
        self._held.add(digest, data)
        if self._attic.is_due:
            self._attic.owner.spawn(self._put_away(digest))

    async def take(self, digest: bytes) -> bytes:
        """Return values, to one reader.

        Raises:
            UnavailableError: nobody is to have them any more.
            DiskError: they are damaged.
        """
        data = self._held.get(digest)
        if data is None:
            away = self._away.get(digest)
            if away is None:
                raise UnavailableError("these values are no longer here")
            data = await self._attic.library.read(away.blob)
        self.drop(digest)
        return data

    def drop(self, digest: bytes) -> None:
        """One reader has had values, or does not want them."""
        data, away = self._held.get(digest), self._away.get(digest)
        if data is not None:
            self._held.drop(digest)
            self._note_gone(digest, len(data))
        elif away is not None:
            away.readers -= 1
            if not away.readers:
                del self._away[digest]
                self._attic.library.discard(self._pin(digest), away.blob)

    def end(self) -> None:
        """Nobody reads any more of it."""
        for digest in self._held.digests():
            while self._held.get(digest) is not None:
                self.drop(digest)
        for digest, away in list(self._away.items()):
            away.readers = 1
            self.drop(digest)

    async def _put_away(self, digest: bytes) -> None:
        await asyncio.sleep(self._attic.soon)
        data = self._held.get(digest)
        if data is None or digest in self._away or not self._attic.is_due:
            return
        library = self._attic.library
        try:
            blob = await library.put(self._pin(digest), data, filed=True)
        except DiskError:
            return  # no room there: it stays
        readers = self._held.take_out(digest)
        if readers:
            self._away[digest] = _Away(blob, readers)
            self._note_gone(digest, len(data))
        else:  # they have had it meanwhile
            library.discard(self._pin(digest), blob)

    def _pin(self, digest: bytes) -> JobId:
        """Return a pin of its own: values may be equal and yet have two names."""
        return JobId(self._job + digest)

    def _note_gone(self, digest: bytes, size: int) -> None:
        if self._held.get(digest) is None:
            self._attic.held -= size


@dataclass(slots=True)
class _Away:
    """Values on disk: as which blob, and for how many readers."""

    blob: BlobId
    readers: int
