"""Blobs of one job in memory: equal ones are held once, until nobody needs any."""

from __future__ import annotations

from p2pslinger.wire.blobs import ChunkList


class HeldBlobs:
    """Bytes by their digest, counted: two tasks may well return the same megabyte."""

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[bytes, int]] = {}
        self._chunks: dict[bytes, ChunkList] = {}

    def __len__(self) -> int:
        return len(self._held)

    def add(self, digest: bytes, data: bytes, chunks: ChunkList | None = None) -> None:
        """Hold `data` for one more who needs it, and what it consists of, if known."""
        held, count = self._held.get(digest, (data, 0))
        self._held[digest] = held, count + 1
        if chunks is not None:
            self._chunks[digest] = chunks

    def chunks(self, digest: bytes) -> ChunkList | None:
        """Return what the bytes with that digest consist of, if that is known."""
        return self._chunks.get(digest)

    def get(self, digest: bytes) -> bytes | None:
        """Return the bytes with that digest, or None."""
        return self._held.get(digest, (None, 0))[0]

    def digests(self) -> list[bytes]:
        """Return what is here."""
        return list(self._held)

    def take_out(self, digest: bytes) -> int:
        """Hold some bytes no longer; return how many still needed them."""
        self._chunks.pop(digest, None)
        return self._held.pop(digest, (b"", 0))[1]

    def drop(self, digest: bytes) -> None:
        """One who needed the bytes with that digest has had them."""
        data, count = self._held.get(digest, (b"", 0))
        if count > 1:
            self._held[digest] = data, count - 1
        else:
            self._held.pop(digest, None)
            self._chunks.pop(digest, None)
