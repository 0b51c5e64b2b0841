"""A blob in the making: bytes come in pieces, the name follows from them at the end.

It begins in memory if it may, and moves to a file as soon as memory is used up. An
unfinished one leaves nothing behind: not in the room, and in the folder only a name
that the next start removes.
"""

from __future__ import annotations

import os
from pathlib import Path

from p2pslinger.errors import PeerError, TooLargeError, UsageError
from p2pslinger.ids import BlobId, JobId, short
from p2pslinger.store.blobfolder import BlobFolder
from p2pslinger.store.folder import FULL, disk_error, sync_folder
from p2pslinger.store.room import Held, Room
from p2pslinger.wire.blobs import ChunkList, Digester


class Writer:
    """Writes one blob; leaving its block without `finish` aborts it.

    Args:
        room: Where the blob is to be.
        limit: Most bytes.
        durable: On disk once it is finished; means nothing without a folder.
        filed: In a file from the start, if there is a folder.
    """

    def __init__(
        self, room: Room, *, limit: int, durable: bool, filed: bool = False
    ) -> None:
        self._room = room
        self._limit = limit
        self._durable = durable and room.folder is not None
        self._digester = Digester()
        self._size = 0
        self._size_in_memory = 0
        filed = (durable or filed) and room.folder is not None
        self._in_memory: list[bytes] | None = None if filed else []
        self._file: tuple[int, Path] | None = None
        self._ended = False

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, piece: bytes | memoryview) -> None:
        """Add a piece.

        Raises:
            TooLargeError: the blob would be larger than its limit.
            DiskError: there is no room, or the disk fails. The blob is aborted.
        """
        if self._ended:
            raise UsageError("this blob is finished: begin another one")
        size = len(piece)
        if self._size + size > self._limit:
            self.abort()
            raise TooLargeError(
                f"a blob grew beyond {self._limit:,} bytes, the most it may have"
            )
        try:
            self._room.reserve(size)
            self._size += size
            self._digester.update(piece)
            if self._in_memory is not None and not self._room.reserve_memory(size):
                self._spill()
            if self._in_memory is not None:
                self._size_in_memory += size
                self._in_memory.append(bytes(piece))
            else:
                self._append(piece)
        except BaseException:
            self.abort()
            raise

    def finish(
        self, expected: BlobId | None = None, *, pin: JobId | None = None
    ) -> BlobId:
        """Make a blob of what was written; return its name.

        Args:
            expected: The name that was promised.
            pin: A job that needs it, from its first moment.

        Raises:
            PeerError: the bytes are not those of `expected`.
            DiskError: the disk fails.
        """
        if self._ended:
            raise UsageError("this blob is finished: begin another one")
        chunks = self._digester.chunks()
        blob = chunks.blob
        try:
            if expected is not None and blob != expected:
                raise PeerError(
                    f"sent {self._size:,} bytes that are not blob {short(expected)}"
                )
            if self._settle(chunks, {pin} if pin is not None else set()):
                self._ended = True  # the reservation is the blob's now
            return blob
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind. Does nothing once the blob is finished."""
        if self._ended:
            return
        self._ended = True
        self._room.release(self._size, self._size_in_memory)
        self._in_memory = None
        if self._file is not None:
            fd, path = self._file
            if fd >= 0:
                os.close(fd)
            path.unlink(missing_ok=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _settle(self, chunks: ChunkList, pins: set[JobId]) -> bool:
        blob = chunks.blob
        if self._in_memory is not None:
            data = b"".join(self._in_memory)
            held = Held(self._size, data, False, pins, chunks)
            return self._room.settle(blob, held, None)
        fd, path = self._open(self._folder())
        try:
            self._file = (-1, path)
            try:
                if self._durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
            held = Held(self._size, None, self._durable, pins, chunks)
            settled = self._room.settle(blob, held, path)
            if settled and self._durable:
                sync_folder(path.parent)
        except OSError as error:
            raise disk_error(path.parent, "written", error, self._size) from None
        return settled

    def _spill(self) -> None:
        """Go on in a file."""
        pieces = self._in_memory or []
        folder = self._folder()
        self._open(folder)
        self._in_memory = None
        self._room.release(0, self._size_in_memory)
        self._size_in_memory = 0
        for piece in pieces:
            self._append(piece)

    def _append(self, piece: bytes | memoryview) -> None:
        folder = self._folder()
        fd, _ = self._open(folder)
        left = memoryview(piece)
        while left:
            try:
                left = left[os.write(fd, left) :]
            except OSError as error:
                if error.errno in FULL and self._room.evict(files=True):
                    continue
                raise disk_error(folder.path, "written", error, len(left)) from None

    def _open(self, folder: BlobFolder) -> tuple[int, Path]:
        if self._file is None:
            self._file = folder.incoming()
        return self._file

    def _folder(self) -> BlobFolder:
        # Without one, memory is as large as the quota and nothing ever spills.
        assert self._room.folder is not None
        return self._room.folder
