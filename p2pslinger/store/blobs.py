"""Blobs: big data by content, named by its digest, within a quota.

- A blob is complete or not there. A `Writer` takes its bytes in order, a `Partial` its
  chunks in any; the digest that was promised is checked, and only then is there a blob.
- Small ones stay in memory, 128 MiB of them in all; what does not fit there, and what
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

from p2pslinger import limits
from p2pslinger.errors import DiskError, PeerError, UnavailableError
from p2pslinger.ids import BlobId, JobId, short
from p2pslinger.store.blobfolder import BlobFolder
from p2pslinger.store.blobpartial import Partial
from p2pslinger.store.blobwriter import Writer
from p2pslinger.store.folder import disk_error
from p2pslinger.store.gathering import Gather, Plain
from p2pslinger.store.room import Room
from p2pslinger.wire.blobs import CHUNK, ChunkList, Digester, chunks_of

#: Bytes of all blobs together, unless the owner says otherwise: one of the largest and
#: as much again as room for others.
QUOTA = 2 * limits.BLOB

#: Bytes of blobs that are kept in memory when there is a folder too.
MEMORY = 128 * limits.MIB


class Blobs:
    """The blobs of one peer.

    Args:
        folder: Where files go; None for a peer that leaves nothing behind.
        quota: Bytes of all blobs together.
        memory: Bytes of those in memory; without a folder, the quota counts alone.
        gather: Makes the memory for those that come in chunks.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        quota: int = QUOTA,
        memory: int = MEMORY,
        gather: Gather = Plain,
    ) -> None:
        self._folder = BlobFolder(folder) if folder else None
        memory = memory if folder else quota
        self._room = Room(self._folder, quota, memory, gather)

    @classmethod
    def in_memory(cls, quota: int = QUOTA) -> Blobs:
        """Return a store that touches no disk."""
        return cls(None, quota=quota)

    @property
    def used(self) -> int:
        """Bytes of all blobs, those being written included."""
        return self._room.used

    @property
    def on_disk(self) -> bool:
        """Whether there is a folder, so that calls here may take their time."""
        return self._folder is not None

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
        return self._from_file(blob, offset, limits.PIECE, check=offset == 0)

    def chunks(self, blob: BlobId) -> ChunkList:
        """Return what a blob consists of; reads all of it if nobody knows that yet.

        Raises:
            UnavailableError: it is not here; as `DiskError` if it was damaged.
        """
        held = self._room.find(blob)
        if held.chunks is None and held.data is not None:
            held.chunks = chunks_of(held.data)
        elif held.chunks is None:
            for _ in self.pieces(blob):
                pass
        assert held.chunks is not None
        return held.chunks

    def chunk(self, blob: BlobId, index: int) -> bytes | memoryview:
        """Return one chunk of a blob, checked if it comes from a disk.

        Raises:
            UnavailableError: it is not here; as `DiskError` if it was damaged.
        """
        chunks, held = self.chunks(blob), self._room.use(blob)
        length, start = chunks.length(index), index * CHUNK
        if held.data is not None:
            return memoryview(held.data)[start : start + length]
        data = next(self._from_file(blob, start, length, check=False), b"")
        try:
            chunks.check(index, data)
        except PeerError:
            raise self._damaged(blob) from None
        return data

    def writer(self, *, limit: int = limits.BLOB, durable: bool = False) -> Writer:
        """Return a writer for one blob.

        Args:
            limit: Most bytes it may have.
            durable: Once finished, it survives a power cut.
        """
        return Writer(self._room, limit=limit, durable=durable)

    def partial(self, chunks: ChunkList, *, durable: bool = False) -> Partial:
        """Begin a blob that comes chunk by chunk, or go on with it.

        Args:
            chunks: What it consists of, checked.
            durable: Once finished, it survives a power cut.

        Raises:
            DiskError: there is no room, or the disk fails.
        """
        return Partial(self._room, chunks, durable=durable)

    def put(
        self,
        data: bytes,
        *,
        durable: bool = False,
        filed: bool = False,
        pin: JobId | None = None,
    ) -> BlobId:
        """Keep `data` as a blob.

        Args:
            data: Its bytes.
            durable: It survives a power cut.
            filed: It takes no memory, if there is a folder.
            pin: A job that needs it.

        Raises:
            TooLargeError: it is larger than any blob may be.
            DiskError: there is no room, or the disk fails.
        """
        room = self._room
        with Writer(room, limit=limits.BLOB, durable=durable, filed=filed) as writer:
            writer.write(data)
            return writer.finish(pin=pin)

    def pin(self, blob: BlobId, job: JobId) -> None:
        """Keep a blob for a job.

        Raises:
            UnavailableError: it is not here.
        """
        with self._room.lock:
            self._room.find(blob).pins.add(job)

    def is_pinned(self, blob: BlobId, job: JobId) -> bool:
        """Return whether a job needs a blob, and it is here."""
        with self._room.lock:
            return self.has(blob) and job in self._room.find(blob).pins

    def is_durable(self, blob: BlobId) -> bool:
        """Return whether a blob is here and will be after a restart.

        Without a folder nothing is, and whatever is here is as durable as can be.
        """
        with self._room.lock:
            if not self.has(blob):
                return False
            held = self._room.find(blob)
            return held.durable or held.found or self._folder is None

    def unpin(self, blob: BlobId, job: JobId) -> None:
        """Let a blob go, as far as that job is concerned."""
        with self._room.lock:
            if not self.has(blob) or job not in self._room.find(blob).pins:
                return
            held = self._room.find(blob)
            held.pins.remove(job)
            if not held.pins and held.data is not None:
                self._room.drop(blob)

    def discard(self, blob: BlobId, job: JobId) -> None:
        """Let a blob go that only that job could want; others may still pin it."""
        with self._room.lock:
            self.unpin(blob, job)
            if self.has(blob) and not self._room.find(blob).pins:
                self._room.drop(blob)

    def unpin_all(self, job: JobId) -> None:
        """Let everything go that a job had pinned."""
        for blob in self._room.pinned_by(job):
            self.unpin(blob, job)

    def _from_file(
        self, blob: BlobId, offset: int, piece: int, *, check: bool = True
    ) -> Iterator[bytes]:
        folder = self._folder
        assert folder is not None
        folder.touch(blob)
        digester = Digester()
        try:
            with folder.file(blob).open("rb", buffering=0) as file:
                file.seek(offset)
                while data := file.read(piece):
                    if check:
                        digester.update(data)
                    yield data
        except FileNotFoundError:
            self._room.lose(blob)
            raise UnavailableError(
                f"blob {short(blob)} has vanished from {folder.path}: ask another "
                "keeper"
            ) from None
        except OSError as error:
            raise disk_error(folder.file(blob), "read", error) from None
        if check:
            self._check(blob, digester.chunks())

    def _check(self, blob: BlobId, chunks: ChunkList) -> None:
        """See that a file's bytes are its blob's; note what it consists of."""
        if chunks.blob != blob:
            raise self._damaged(blob)
        with self._room.lock:
            if self.has(blob):
                self._room.find(blob).chunks = chunks

    def _damaged(self, blob: BlobId) -> DiskError:
        """Set a damaged file aside; return what to say."""
        assert self._folder is not None
        self._folder.set_aside(blob)
        self._room.lose(blob)
        return DiskError(
            f"blob {short(blob)} was damaged in {self._folder.path} and has been set "
            "aside: fetch it again from another keeper"
        )


def _slices(data: bytes, offset: int) -> Iterator[bytes]:
    if offset == 0 and len(data) <= limits.PIECE:
        return iter((data,) if data else ())
    return (
        data[start : start + limits.PIECE]
        for start in range(offset, len(data), limits.PIECE)
    )
