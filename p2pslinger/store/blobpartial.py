"""A blob that comes chunk by chunk, in any order, and over more than one life.

- Every chunk is checked before it is written, and may be passed on from then on.
- What does not fit into memory is a file. If the fetch is given up, or the peer ends,
  the file stays, and whoever begins again goes on with it. Nothing notes which chunks
  of it are there: a chunk is, if its bytes have its digest. So a torn write is a chunk
  that is fetched again.
- In memory it is gone with the fetch: what is that small is soon fetched again.

All of it may be used from any thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from blake3 import blake3

from p2pslinger.errors import DiskError, PeerError, UnavailableError
from p2pslinger.ids import BlobId, JobId, short
from p2pslinger.store.folder import FULL, disk_error, sync_folder
from p2pslinger.store.gathering import Gathering
from p2pslinger.store.room import Held, Room
from p2pslinger.wire.blobs import CHUNK, ChunkList


class Partial:
    """One blob in the making; used as a context manager, or closed.

    Args:
        room: Where the blob is to be.
        chunks: What it consists of.
        durable: On disk once it is finished; means nothing without a folder.

    Attributes:
        have: The set of chunks that are here.
    """

    def __init__(self, room: Room, chunks: ChunkList, *, durable: bool) -> None:
        self.chunks = chunks
        self.blob: BlobId = chunks.blob
        self.have = 0
        self._room = room
        self._durable = durable and room.folder is not None
        self._lock = threading.Lock()
        self._open = True
        self._memory: Gathering | None = None
        self._fd = -1
        begun = room.claim(self.blob, chunks.size)
        try:
            wants_file = begun or self._durable
            if not wants_file and room.reserve_memory(chunks.size):
                self._memory = self._gathering()
            else:
                self._fd = self._open_file()
                self._resume()
        except BaseException:
            self.close()
            raise

    @property
    def complete(self) -> bool:
        """Whether all chunks are here."""
        return self.have == self.chunks.all

    def write(self, index: int, *pieces: bytes | memoryview) -> None:
        """Add a chunk, in pieces.

        Raises:
            PeerError: these are not its bytes.
            DiskError: the disk fails, or is full.
            UnavailableError: the blob has been finished or given up meanwhile.
        """
        self.chunks.check(index, *pieces)
        with self._lock:
            self._expect_open()
            if self._memory is not None:
                self._write_memory(self._memory, index * CHUNK, pieces)
            else:
                self._write_file(index * CHUNK, pieces)
            self.have |= 1 << index

    def read(self, index: int) -> bytes:
        """Return a chunk that is here, to pass it on.

        Raises:
            UnavailableError: it is not, or no longer; as `DiskError` if it can't be
                read.
        """
        with self._lock:
            self._expect_open()
            if not self.have >> index & 1:
                raise UnavailableError(f"chunk {index} is not here yet")
            if self._memory is not None:
                size = self.chunks.length(index)
                return self._memory.read_at(index * CHUNK, size)
            data = self._read_file(index)
            if blake3(data).digest() != self.chunks.digests[index]:
                self.have &= ~(1 << index)
                raise DiskError(f"{self._path} was damaged while it was being written")
            return data

    def finish(self, *, pin: JobId | None = None) -> BlobId:
        """Make a blob of it, once all chunks are here; return its name.

        Args:
            pin: A job that needs it, from its first moment.

        Raises:
            DiskError: the disk fails.
            UnavailableError: it was given up, or a chunk is missing.
        """
        with self._lock:
            self._expect_open()
            if not self.complete:
                raise UnavailableError(f"blob {short(self.blob)} is not all here yet")
            pins = {pin} if pin is not None else set()
            try:
                settled = self._settle(pins)
            except OSError as error:
                raise disk_error(self._path, "written", error) from None
            self._open = False
            if not settled:
                self._drop()
            return self.blob

    def close(self) -> None:
        """Give it up; a file stays for another time. Does nothing once finished."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                self._room.leave(self.blob, self.chunks.size)
            else:
                self._drop()

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------

    @property
    def _path(self) -> Path:
        assert self._room.folder is not None
        return self._room.folder.partial(self.blob)

    def _expect_open(self) -> None:
        if not self._open:
            raise UnavailableError(
                f"blob {short(self.blob)} is no longer being fetched"
            )

    def _settle(self, pins: set[JobId]) -> bool:
        size = self.chunks.size
        if self._memory is not None:
            data = self._sealed(self._memory)
            held = Held(size, data, False, pins, self.chunks)
            return self._room.settle(self.blob, held, None)
        if self._durable:
            os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        held = Held(size, None, self._durable, pins, self.chunks)
        settled = self._room.settle(self.blob, held, self._path)
        if settled and self._durable:
            sync_folder(self._path.parent)
        return settled

    def _drop(self) -> None:
        """Leave nothing behind."""
        memory = self.chunks.size if self._memory is not None else 0
        self._room.release(self.chunks.size, memory)
        if self._memory is not None:
            self._memory.close()
        elif self._room.folder is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError:
                pass  # then it is a leftover of the next start
        self._memory = None

    # --- the memory ---------------------------------------------------------------

    def _gathering(self) -> Gathering:
        try:
            return self._room.gather(self.chunks.size)
        except OSError as error:
            self._room.release(0, self.chunks.size)
            raise _no_memory(self.chunks.size, error) from None

    def _write_memory(
        self, memory: Gathering, offset: int, pieces: Sequence[bytes | memoryview]
    ) -> None:
        for piece in pieces:
            try:
                memory.write_at(offset, piece)
            except OSError as error:
                raise _no_memory(len(piece), error) from None
            offset += len(piece)

    def _sealed(self, memory: Gathering) -> bytes:
        try:
            return cast(bytes, memory.seal())  # read like any others
        except (OSError, ValueError) as error:
            raise _no_memory(self.chunks.size, error) from None

    # --- the file -----------------------------------------------------------------

    def _open_file(self) -> int:
        binary: int = getattr(os, "O_BINARY", 0)  # Windows would translate newlines
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | binary, 0o600)
        except OSError as error:
            raise disk_error(self._path, "opened", error) from None

    def _resume(self) -> None:
        """Find out which chunks an earlier attempt has left."""
        there = min(os.fstat(self._fd).st_size, self.chunks.size)
        for index in range(-(-there // CHUNK)):
            try:
                self.chunks.check(index, self._read_file(index))
            except PeerError:
                continue
            self.have |= 1 << index

    def _read_file(self, index: int) -> bytes:
        length = self.chunks.length(index)
        parts: list[bytes] = []
        try:
            os.lseek(self._fd, index * CHUNK, os.SEEK_SET)
            while length and (part := os.read(self._fd, length)):
                parts.append(part)
                length -= len(part)
        except OSError as error:
            raise disk_error(self._path, "read", error) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _write_file(self, offset: int, pieces: Sequence[bytes | memoryview]) -> None:
        os.lseek(self._fd, offset, os.SEEK_SET)
        for piece in pieces:
            left = memoryview(piece)
            while left:
                try:
                    left = left[os.write(self._fd, left) :]
                except OSError as error:
                    if error.errno in FULL and self._room.evict(files=True):
                        continue
                    raise disk_error(self._path, "written", error, len(left)) from None


def _no_memory(size: int, error: Exception) -> DiskError:
    return DiskError(f"there is no memory for {size:,} bytes of a blob: {error}")
