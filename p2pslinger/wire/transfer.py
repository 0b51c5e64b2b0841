"""Messages by which peers get big blobs from each other, chunk by chunk.

Who holds a whole blob, or a part of it, answers all of them alike; a keeper says as
well who else has some. Sets of chunks are as `p2pslinger.wire.blobs` encodes them.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.wire.records import Address, Digest, Id

#: Holders that one answer names. Others will ask us, once they look for the same.
HOLDERS = 8

Chunks = Annotated[bytes, Meta(max_length=limits.BLOB // limits.MIB // 8)]
ChunkIndex = Annotated[int, Meta(ge=0, lt=limits.BLOB // limits.MIB)]


class GetChunkList(msgspec.Struct, frozen=True, array_like=True, tag=50):
    """Ask what a blob of a job consists of. Answered by `Chunked`."""

    job: Id
    digest: Digest


class Chunked(msgspec.Struct, frozen=True, array_like=True, tag=51):
    """The digests of a blob's chunks, in order."""

    digests: Annotated[bytes, Meta(max_length=limits.BLOB // limits.MIB * 32)]


class GetOffer(msgspec.Struct, frozen=True, array_like=True, tag=52):
    """Ask which chunks may be fetched. Answered by `Offer`, once there are some.

    Attributes:
        job: The blob's job.
        digest: Its name.
        known: Chunks that the asker has, or has been offered here before.
        alone: Nobody else gives the asker anything: a keeper that spares its line shall
            not spare it now.
    """

    job: Id
    digest: Digest
    known: Chunks
    alone: bool = False


class Offer(msgspec.Struct, frozen=True, array_like=True, tag=53):
    """Further chunks that the asker may fetch here."""

    chunks: Chunks


class GetChunk(msgspec.Struct, frozen=True, array_like=True, tag=54):
    """Ask for one chunk. Answered by `Fetched`, and its bytes as a body."""

    job: Id
    digest: Digest
    index: ChunkIndex


class WhoHas(msgspec.Struct, frozen=True, array_like=True, tag=55):
    """Ask a keeper who else has a blob, or a part of it. Answered by `HeldBy`."""

    job: Id
    digest: Digest


class Holder(msgspec.Struct, frozen=True, array_like=True):
    """A peer that has some of a blob, and where it can be dialled."""

    peer: Id
    addresses: Annotated[tuple[Address, ...], Meta(max_length=limits.ADDRESSES + 1)]


class HeldBy(msgspec.Struct, frozen=True, array_like=True, tag=56):
    """Some of those who have a blob, or a part of it; the best ones first."""

    holders: Annotated[tuple[Holder, ...], Meta(max_length=HOLDERS)]


class Have(msgspec.Struct, frozen=True, array_like=True, tag=57):
    """Pushed to a keeper: the sender has a whole blob, or has it no more."""

    job: Id
    digest: Digest
    held: bool


TransferMessage = (
    GetChunkList | Chunked | GetOffer | Offer | GetChunk | WhoHas | HeldBy | Have
)
