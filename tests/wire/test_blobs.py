"""A blob's name says what each of its chunks must be."""

from __future__ import annotations

import itertools
import random

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import PeerError
from p2pslinger.wire.blobs import (
    CHUNK,
    ChunkList,
    blob_digest,
    chunk_count,
    chunks_of,
    decode_set,
    encode_set,
    members,
)

BIG = random.Random(1).randbytes(2 * CHUNK + 100)


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK])
def test_a_blob_of_one_chunk_is_named_by_its_plain_digest(size: int) -> None:
    data = BIG[:size]

    assert blob_digest(data) == blake3(data).digest()
    assert chunk_count(size) == len(chunks_of(data).digests) == 1


def test_a_larger_blob_is_named_by_its_size_and_its_chunks() -> None:
    chunks = chunks_of(BIG)

    assert chunks.size == len(BIG)
    assert [chunks.length(i) for i in range(3)] == [CHUNK, CHUNK, 100]
    assert chunks.digests == tuple(
        blake3(BIG[at : at + CHUNK]).digest() for at in range(0, len(BIG), CHUNK)
    )
    assert blob_digest(BIG) == chunks.blob
    assert chunks.blob != blake3(BIG).digest()
    assert chunks.blob != blake3(chunks.encode()).digest()


@given(st.lists(st.integers(0, len(BIG)), max_size=5))
def test_the_name_does_not_depend_on_how_the_bytes_came(cuts: list[int]) -> None:
    marks = [0, *sorted(cuts), len(BIG)]
    pieces = [BIG[a:b] for a, b in itertools.pairwise(marks)]

    assert blob_digest(pieces) == blob_digest(memoryview(BIG))


def test_a_list_of_chunks_is_checked_against_the_name() -> None:
    true = chunks_of(BIG)
    raw = true.encode()
    assert ChunkList.read(true.blob, true.size, raw) == true

    forged = bytearray(raw)
    forged[40] ^= 1
    for size, wrong in (
        (true.size, bytes(forged)),
        (true.size - 1, raw),
        (true.size, raw[:-32]),
        (true.size, raw[:-1]),
        (true.size, b""),
        (2 * CHUNK, raw[:64]),
        (CHUNK, raw[:32]),
    ):
        with pytest.raises(PeerError, match="list of chunks"):
            ChunkList.read(true.blob, size, wrong)


def test_a_chunk_is_checked_against_the_list() -> None:
    chunks = chunks_of(BIG)
    chunks.check(2, BIG[2 * CHUNK :])

    for index, wrong in ((0, BIG[CHUNK : 2 * CHUNK]), (2, BIG[2 * CHUNK : -1])):
        with pytest.raises(PeerError, match=f"chunk {index}"):
            chunks.check(index, wrong)


@given(st.sets(st.integers(0, 2047)))
def test_a_set_of_chunks_survives_the_wire(chosen: set[int]) -> None:
    chunks = sum(1 << index for index in chosen)

    assert set(members(chunks)) == chosen
    assert decode_set(encode_set(chunks), (1 << 2048) - 1) == chunks
    assert len(encode_set(chunks)) <= 256


def test_chunks_that_a_blob_does_not_have_are_left_out_of_a_set() -> None:
    assert decode_set(b"\xff" * 300, 0b111) == 0b111
