"""A blob's identity, which can be checked chunk by chunk.

A blob of up to one chunk is named by the BLAKE3 of its bytes. A larger one is named by
the BLAKE3 of its size and its chunks' digests, under a context of its own, so that a
list of chunks never passes for a blob or the other way round:

    digest = BLAKE3["blob of several chunks"](size, chunk 0, chunk 1, ...)

So whoever knows the name can check the list of chunks, and with it every single chunk,
from whomever it comes. Sets of chunks are integers here, bit i for chunk i.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from blake3 import blake3

from p2pslinger import limits
from p2pslinger.errors import PeerError
from p2pslinger.ids import BlobId, short

#: Bytes of a chunk: what is fetched, checked and passed on at once. The list of the
#: largest blob's chunks just fits a message.
CHUNK = limits.MIB

#: Bytes of a digest.
DIGEST = 32

_CONTEXT = "p2pslinger 2026-11 blob of several chunks"

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class ChunkList:
    """What a blob consists of.

    Attributes:
        size: Bytes of the blob.
        digests: BLAKE3 of each chunk, in order; at least one.
    """

    size: int
    digests: tuple[bytes, ...]

    @property
    def blob(self) -> BlobId:
        """The name of the blob."""
        if len(self.digests) == 1:
            return BlobId(self.digests[0])
        hasher = blake3(self.size.to_bytes(8, "little"), derive_key_context=_CONTEXT)
        return BlobId(hasher.update(b"".join(self.digests)).digest())

    @property
    def all(self) -> int:
        """The set of all chunks."""
        return (1 << len(self.digests)) - 1

    def length(self, index: int) -> int:
        """Return the bytes of one chunk."""
        return min(CHUNK, self.size - index * CHUNK)

    def check(self, index: int, *pieces: Bytes) -> None:
        """Check that these are the bytes of a chunk.

        Raises:
            PeerError: they are not.
        """
        hasher = blake3()
        for piece in pieces:
            hasher.update(piece)
        if hasher.digest() != self.digests[index]:
            raise PeerError(f"sent other bytes than those of chunk {index} of a blob")

    def encode(self) -> bytes:
        """Return the digests as one string."""
        return b"".join(self.digests)

    @classmethod
    def read(cls, blob: BlobId, size: int, digests: bytes) -> ChunkList:
        """Check a list that somebody has sent.

        Raises:
            PeerError: it is not the one of that blob.
        """
        parts = range(0, len(digests), DIGEST)
        made = cls(size, tuple(digests[at : at + DIGEST] for at in parts))
        if len(digests) != DIGEST * chunk_count(size) or made.blob != blob:
            raise PeerError(f"sent a list of chunks that is not blob {short(blob)}'s")
        return made


class Digester:
    """Takes a blob's bytes in pieces of any size, and knows what it consists of."""

    def __init__(self) -> None:
        self._chunk = blake3()
        self._room = CHUNK
        self._size = 0
        self._digests: list[bytes] = []

    def update(self, piece: Bytes) -> None:
        """Take the next bytes."""
        rest = memoryview(piece).cast("B")
        self._size += len(rest)
        while rest:
            if not self._room:
                self._digests.append(self._chunk.digest())
                self._chunk, self._room = blake3(), CHUNK
            part, rest = rest[: self._room], rest[self._room :]
            self._chunk.update(part)
            self._room -= len(part)

    def chunks(self) -> ChunkList:
        """Return what the bytes so far consist of."""
        return ChunkList(self._size, (*self._digests, self._chunk.digest()))


def chunks_of(data: Bytes | Iterable[Bytes]) -> ChunkList:
    """Return what a blob consists of; `data` is all its bytes, or they in pieces."""
    if isinstance(data, bytes) and len(data) <= CHUNK:
        return ChunkList(len(data), (blake3(data).digest(),))
    digester = Digester()
    for piece in (data,) if isinstance(data, Bytes) else data:
        digester.update(piece)
    return digester.chunks()


def blob_digest(data: Bytes | Iterable[Bytes]) -> BlobId:
    """Return the name of a blob; `data` is all its bytes, or they in pieces."""
    return chunks_of(data).blob


def chunk_count(size: int) -> int:
    """Return how many chunks a blob of `size` bytes has."""
    return max(1, -(-size // CHUNK))


# --- sets of chunks -----------------------------------------------------------------


def encode_set(chunks: int) -> bytes:
    """Return a set of chunks as a message holds it."""
    return chunks.to_bytes(-(-chunks.bit_length() // 8), "little")


def decode_set(raw: bytes, every: int) -> int:
    """Read a set of chunks; what is not in `every` is left out."""
    return int.from_bytes(raw, "little") & every


def members(chunks: int) -> Iterator[int]:
    """Yield the chunks of a set, in order."""
    while chunks:
        low = chunks & -chunks
        yield low.bit_length() - 1
        chunks ^= low
