"""Packed items come out as they went in, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.sandbox.packed import pack_items, unpack_items


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_items_come_out_as_they_went_in(items: list[bytes]) -> None:
    packed = pack_items(items)
    for data in (packed, memoryview(packed)):
        assert [bytes(item) for item in unpack_items(data)] == items


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 40))
def test_items_that_are_cut_short_are_refused(items: list[bytes], cut: int) -> None:
    packed = pack_items(items)
    with pytest.raises(ValueError):
        unpack_items(packed[: max(0, len(packed) - 1 - cut)])


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_read_within_its_bounds(garbage: bytes) -> None:
    try:
        items = unpack_items(garbage)
    except ValueError:
        return
    assert sum(map(len, items)) + 4 * len(items) + 4 == len(garbage)
