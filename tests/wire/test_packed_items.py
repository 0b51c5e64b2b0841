"""Packed items come apart as they were put together, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import PeerError
from p2pslinger.wire.packed import pack_items, unpack_items


@given(st.lists(st.binary(max_size=40), max_size=40))
def test_items_come_back_as_they_were(items: list[bytes]) -> None:
    assert list(map(bytes, unpack_items(pack_items(items)))) == items


@given(st.binary(max_size=60))
def test_any_bytes_are_items_or_a_broken_protocol(data: bytes) -> None:
    try:
        items = unpack_items(data)
    except PeerError:
        return
    assert pack_items([bytes(item) for item in items]) == data


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=9), st.integers(1, 9))
def test_truncated_items_are_refused(items: list[bytes], cut: int) -> None:
    with pytest.raises(PeerError):
        unpack_items(pack_items(items)[:-cut])


def test_the_layout_is_little_endian_words_then_bytes() -> None:
    assert pack_items([b"ab", b"", b"c"]) == (
        b"\3\0\0\0" + b"\2\0\0\0" + b"\0\0\0\0" + b"\1\0\0\0" + b"abc"
    )


def test_a_count_of_four_billion_costs_no_memory() -> None:
    with pytest.raises(PeerError, match="4294967295 packed items"):
        unpack_items(b"\xff" * 8)


def test_items_are_views_and_not_copies() -> None:
    data = pack_items([b"x" * 1000])
    (item,) = unpack_items(data)
    assert item.obj is data
