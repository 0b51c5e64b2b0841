"""Which blobs are here, who needs them, and room for more.

- What is being written counts as soon as there are bytes of it.
- Unpinned blobs make room, the least recently used first; pinned ones never do.
- Unfinished ones that nobody fetches any more make room before all others.
- A blob's name and its entry change together, under the lock: a file must not get its
  name while another thread evicts its twin.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.ids import BlobId, JobId, short
from p2pslinger.store.blobfolder import BlobFolder
from p2pslinger.store.gathering import Gather, Plain
from p2pslinger.wire.blobs import ChunkList


@dataclass(slots=True)
class Held:
    """A blob that is here.

    Attributes:
        size: In bytes.
        data: Its bytes; None if they are in its file.
        durable: Known to be on disk.
        found: It was there when the peer started, and so survives another start.
        pins: The jobs that need it.
        chunks: What it consists of, if that is known.
    """

    size: int
    data: bytes | None
    durable: bool = False
    pins: set[JobId] = field(default_factory=set)
    chunks: ChunkList | None = None
    found: bool = False


class Room:
    """The entries of all blobs, and the bytes they take.

    Args:
        folder: Where the files are; None if there are none.
        quota: Bytes of all blobs.
        memory: Bytes of those in memory.
        gather: Makes the memory that a blob is gathered in.

    Attributes:
        lock: Held by whoever does two things here that belong together.
        used: Bytes of all blobs, those being written included.
    """

    def __init__(
        self,
        folder: BlobFolder | None,
        quota: int,
        memory: int,
        gather: Gather = Plain,
    ) -> None:
        self.folder = folder
        self.gather = gather
        self.lock = threading.RLock()
        self.used = 0
        self._used_memory = 0
        self._quota = quota
        self._memory = memory
        #: Least recently used first.
        self._held: OrderedDict[BlobId, Held] = OrderedDict()
        for blob, size in folder.scan() if folder else ():
            self._held[blob] = Held(size, None, found=True)
            self.used += size
        self._leftovers = folder.leftovers() if folder else {}
        self.used += sum(self._leftovers.values())

    def __contains__(self, blob: BlobId) -> bool:
        return blob in self._held

    def find(self, blob: BlobId) -> Held:
        """Return a blob's entry.

        Raises:
            UnavailableError: it is not here.
        """
        held = self._held.get(blob)
        if held is None:
            raise UnavailableError(
                f"blob {short(blob)} is not here: ask another keeper"
            )
        return held

    def use(self, blob: BlobId) -> Held:
        """Return a blob's entry, and make it the last to be evicted."""
        with self.lock:
            held = self.find(blob)
            self._held.move_to_end(blob)
            return held

    def pinned_by(self, job: JobId) -> list[BlobId]:
        """Return the blobs that a job needs."""
        with self.lock:
            return [blob for blob, held in self._held.items() if job in held.pins]

    # --- room ---------------------------------------------------------------------

    def reserve(self, size: int) -> None:
        """Count `size` bytes more, evicting others if need be.

        Raises:
            DiskError: there is not enough to evict.
        """
        with self.lock:
            while self.used + size > self._quota:
                if not self.evict():
                    raise self._full(size)
            self.used += size

    def reserve_memory(self, size: int) -> bool:
        """Count `size` of the reserved bytes as memory; False if it is used up."""
        with self.lock:
            fits = self._used_memory + size <= self._memory
            if fits:
                self._used_memory += size
            return fits

    def release(self, size: int, memory: int) -> None:
        """Give back `size` reserved bytes, and `memory` of them as memory."""
        with self.lock:
            self.used -= size
            self._used_memory -= memory

    def evict(self, *, files: bool = False) -> bool:
        """Drop the unpinned blob that was used longest ago; return whether one was.

        Args:
            files: Only those on disk, because that is what is full.
        """
        with self.lock:
            if self._drop_leftover():
                return True
            for blob, held in self._held.items():
                if held.pins or (files and held.data is not None):
                    continue
                if self.drop(blob):
                    return True
            return False

    def _full(self, size: int) -> DiskError:
        where = self.folder.path if self.folder else "memory"
        return DiskError(
            f"blobs in {where} would need {size:,} bytes more and may take "
            f"{self._quota:,} in all, of which everything is in use: wait for a job "
            "to end, or cancel one"
        )

    # --- unfinished blobs ---------------------------------------------------------

    def claim(self, blob: BlobId, size: int) -> bool:
        """Count an unfinished blob as one that is being fetched.

        Returns whether an earlier attempt has left a part of it.

        Raises:
            DiskError: there is not enough room for the rest.
        """
        with self.lock:
            left = self._leftovers.pop(blob, None)
            try:
                self.reserve(size - (left or 0))
            except DiskError:
                if left is not None:
                    self._leftovers[blob] = left
                raise
            return left is not None

    def leave(self, blob: BlobId, size: int) -> None:
        """Count an unfinished blob as one that may go."""
        with self.lock:
            self._leftovers[blob] = size

    def _drop_leftover(self) -> bool:
        for blob, size in self._leftovers.items():
            assert self.folder is not None
            try:
                self.folder.partial(blob).unlink(missing_ok=True)
            except OSError:
                continue  # Windows does not remove what somebody reads
            del self._leftovers[blob]
            self.used -= size
            return True
        return False

    # --- coming and going ---------------------------------------------------------

    def settle(self, blob: BlobId, fresh: Held, incoming: Path | None) -> bool:
        """Enter a finished blob, whose bytes were reserved, and name its file.

        One that is here already is kept, unless it is the durable one that is new.
        Then the reservation is still the caller's, and False is returned.
        """
        with self.lock:
            old = self._held.get(blob)
            if old is not None:
                old.pins |= fresh.pins
                self._held.move_to_end(blob)
                if old.durable or not fresh.durable:
                    return False
                fresh.pins = old.pins
            if incoming is not None:
                assert self.folder is not None
                self.folder.name(incoming, blob)
            self.lose(blob)
            self._held[blob] = fresh
            return True

    def drop(self, blob: BlobId) -> bool:
        """Remove a blob; return whether it is gone."""
        with self.lock:
            if self.find(blob).data is None:
                assert self.folder is not None
                if not self.folder.remove(blob):
                    return False
            self.lose(blob)
            return True

    def lose(self, blob: BlobId) -> None:
        """Forget the entry of a blob that is no longer there, if there is one."""
        with self.lock:
            held = self._held.pop(blob, None)
            if held is not None:
                self.release(held.size, held.size if held.data is not None else 0)
