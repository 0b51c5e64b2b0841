"""Big results arrive as memory that can be handed on, named on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.net.body import Body
from p2pslinger.peer.blobs.arriving import arrived, gathering
from p2pslinger.sandbox.memory import AVAILABLE, LEAST, descriptor
from p2pslinger.store.blobs import Blobs
from p2pslinger.wire.blobs import CHUNK, blob_digest, chunks_of

BIG = random.Random(1).randbytes(2 * LEAST + 7)
SMALL = b"a few bytes"


def read(
    sizes: Sequence[int],
    *pieces: bytes,
    error: UnavailableError | None = None,
    named: bool = True,
) -> list[tuple[bytes, bytes | None]]:
    """Read values out of a body that has come in these pieces."""

    async def main() -> list[tuple[bytes, bytes | None]]:
        body = Body(lambda _: None)
        body._credit = 1 << 30
        for piece in pieces:
            body.heard(piece)
        body.end(error)
        values = await arrived(body, sizes, named=named)
        return [(bytes(data), name) for data, name in values]

    return asyncio.run(main())


def test_values_are_parted_by_their_sizes_wherever_the_pieces_end() -> None:
    stream = SMALL + BIG + SMALL
    sizes = [len(SMALL), len(BIG), len(SMALL)]
    wanted = [(value, blob_digest(value)) for value in (SMALL, BIG, SMALL)]
    for step in (5000, 100_000, len(stream)):
        pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
        assert read(sizes, *pieces) == wanted


def test_nothing_is_hashed_where_nobody_wants_to_know_its_name() -> None:
    assert read([len(BIG)], BIG, named=False) == [(BIG, None)]


def test_more_or_fewer_bytes_than_announced_are_a_breach() -> None:
    with pytest.raises(PeerError, match="more than 11 bytes"):
        read([len(SMALL)], SMALL, b"!")
    with pytest.raises(PeerError, match="fewer than 12 bytes"):
        read([len(SMALL) + 1], SMALL)


def test_a_body_that_ends_too_early_says_why() -> None:
    with pytest.raises(UnavailableError, match="its disk"):
        read([len(BIG)], BIG[:1000], error=UnavailableError("its disk is full"))


@pytest.mark.skipif(not AVAILABLE, reason="no memory that can be handed on")
def test_a_big_value_and_a_blob_in_chunks_are_memory_that_can_be_handed_on() -> None:
    async def main() -> None:
        body = Body(lambda _: None)
        body._credit = 1 << 30
        body.heard(BIG)
        body.end()
        ((data, _),) = await arrived(body, [len(BIG)])
        assert descriptor(data) is not None

    asyncio.run(main())
    blobs, chunks = Blobs(None, gather=gathering), chunks_of(BIG)
    with blobs.partial(chunks) as partial:
        for index in (2, 0, 1):
            partial.write(index, BIG[index * CHUNK : (index + 1) * CHUNK])
        assert partial.read(1) == BIG[CHUNK : 2 * CHUNK]
        partial.finish()
    found = blobs.read(chunks.blob)
    assert found == BIG
    assert descriptor(found) is not None
