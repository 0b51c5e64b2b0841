"""Blobs: big data by content, named by its BLAKE3, within a quota.

- A blob is complete or not there. A `Writer` takes its bytes, checks the digest that
  was promised, and only then is there a blob.
- Small ones stay in memory, 64 MiB of them in all; what does not fit there, and what
  has to be durable, is a file. Without a folder everything is in memory.
- Jobs pin what they need. Unpinned blobs are a cache: the least recently used go when
  the quota, or the disk, is full. One in memory goes with its last pin.
- Pins live in memory. Whoever keeps durable jobs pins their blobs again at its start,
  before it writes anything.

All of it may be used from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from p2pslinger import limits
from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.ids import BlobId, JobId, short
from p2pslinger.store.blobfolder import BlobFolder
from p2pslinger.store.blobwriter import Writer
from p2pslinger.store.folder import disk_error
from p2pslinger.store.room import Room

#: Bytes of all blobs together, unless the owner says otherwise: one of the largest and
#: as much again as room for others.
QUOTA = 2 * limits.BLOB

#: Bytes of blobs that are kept in memory when there is a folder too.
MEMORY = 64 * limits.MIB


class Blobs:
    """The blobs of one peer.

    Args:
        folder: Where files go; None for a peer that leaves nothing behind.
        quota: Bytes of all blobs together.
        memory: Bytes of those in memory; without a folder, the quota counts alone.
    """

    def __init__(
        self, folder: Path | None, *, quota: int = QUOTA, memory: int = MEMORY
    ) -> None:
        self._folder = BlobFolder(folder) if folder else None
        self._room = Room(self._folder, quota, memory if folder else quota)

    @classmethod
    def in_memory(cls, quota: int = QUOTA) -> Blobs:
        """Return a store that touches no disk."""
        return cls(None, quota=quota)

    @property
    def used(self) -> int:
        """Bytes of all blobs, those being written included."""
        return self._room.used

    def has(self, blob: BlobId) -> bool:
        """Return whether a blob is here."""
        return blob in self._room

    def size(self, blob: BlobId) -> int:
        """Return a blob's size in bytes.

        Raises:
            UnavailableError: it is not here.
        """
        return self._room.find(blob).size

    def read(self, blob: BlobId) -> bytes:
        """Return all bytes of a blob.

        Raises:
            UnavailableError: it is not here; as `DiskError` if it was damaged.
        """
        held = self._room.use(blob)
        if held.data is not None:
            return held.data
        return b"".join(self._from_file(blob, 0, held.size + 1))

    def pieces(self, blob: BlobId, offset: int = 0) -> Iterator[bytes]:
        """Return an iterator over a blob's bytes from `offset`, in pieces.

        Read from its start, a file's digest is checked on the way, and a damaged one
        ends in an error: the reader must not believe it before it is through.

        Raises:
            UnavailableError: it is not here; as `DiskError` if it was damaged.
        """
        held = self._room.use(blob)
        if held.data is not None:
            return _slices(held.data, offset)
        return self._from_file(blob, offset, limits.PIECE)

    def writer(self, *, limit: int = limits.BLOB, durable: bool = False) -> Writer:
        """Return a writer for one blob.

        Args:
            limit: Most bytes it may have.
            durable: Once finished, it survives a power cut.
        """
        return Writer(self._room, limit=limit, durable=durable)

    def put(
        self, data: bytes, *, durable: bool = False, pin: JobId | None = None
    ) -> BlobId:
        """Keep `data` as a blob.

        Raises:
            TooLargeError: it is larger than any blob may be.
            DiskError: there is no room, or the disk fails.
        """
        with self.writer(durable=durable) as writer:
            writer.write(data)
            return writer.finish(pin=pin)

    def pin(self, blob: BlobId, job: JobId) -> None:
        """Keep a blob for a job.

        Raises:
            UnavailableError: it is not here.
        """
        with self._room.lock:
            self._room.find(blob).pins.add(job)

    def unpin(self, blob: BlobId, job: JobId) -> None:
        """Let a blob go, as far as that job is concerned."""
        with self._room.lock:
            if not self.has(blob) or job not in self._room.find(blob).pins:
                return
            held = self._room.find(blob)
            held.pins.remove(job)
            if not held.pins and held.data is not None:
                self._room.drop(blob)

    def unpin_all(self, job: JobId) -> None:
        """Let everything go that a job had pinned."""
        for blob in self._room.pinned_by(job):
            self.unpin(blob, job)

    def _from_file(self, blob: BlobId, offset: int, piece: int) -> Iterator[bytes]:
        folder = self._folder
        assert folder is not None
        folder.touch(blob)
        hasher = blake3()
        try:
            with folder.file(blob).open("rb", buffering=0) as file:
                file.seek(offset)
                while data := file.read(piece):
                    if offset == 0:
                        hasher.update(data)
                    yield data
        except FileNotFoundError:
            self._room.lose(blob)
            raise UnavailableError(
                f"blob {short(blob)} has vanished from {folder.path}: ask another "
                "keeper"
            ) from None
        except OSError as error:
            raise disk_error(folder.file(blob), "read", error) from None
        if offset == 0 and hasher.digest() != blob:
            folder.set_aside(blob)
            self._room.lose(blob)
            raise DiskError(
                f"blob {short(blob)} was damaged in {folder.path} and has been set "
                "aside: fetch it again from another keeper"
            )


def _slices(data: bytes, offset: int) -> Iterator[bytes]:
    if offset == 0 and len(data) <= limits.PIECE:
        return iter((data,) if data else ())
    return (
        data[start : start + limits.PIECE]
        for start in range(offset, len(data), limits.PIECE)
    )
