"""Shared values, and arrays outside of their pickle: read as written, or refused."""

from __future__ import annotations

import contextlib
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.sandbox import shared
from p2pslinger.sandbox.shared import (
    ALIGNED,
    PARTS,
    Shared,
    hold,
    hold_value,
    noting,
    pack,
    pack_value,
    padding,
    release,
    release_all,
    unpack,
    unpack_value,
)

buffers = st.lists(st.binary(max_size=200), max_size=5)


def parts_of(data: bytes, outside: list[bytes]) -> bytes:
    return b"".join(pack(data, [memoryview(one) for one in outside]))


@given(buffers)
def test_a_value_comes_back_with_its_buffers(outside: list[bytes]) -> None:
    left: list[pickle.PickleBuffer] = []
    value = [pickle.PickleBuffer(one) for one in outside]
    data = pickle.dumps(value, 5, buffer_callback=left.append)
    whole = b"".join(pack(data, [one.raw() for one in left]))
    found = unpack(PARTS, whole)
    assert isinstance(found, list)
    assert [bytes(one) for one in found] == outside


@given(buffers, st.integers(1, 300))
def test_what_is_cut_short_is_refused(outside: list[bytes], cut: int) -> None:
    whole = parts_of(pickle.dumps(1), outside)
    with pytest.raises(ValueError, match="shared value"):
        unpack(PARTS, whole[: max(0, len(whole) - cut)])


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_within_its_bounds(garbage: bytes) -> None:
    for item in (garbage, b"\0" + garbage, struct.pack("<QQ", 0, 1) + garbage):
        with contextlib.suppress(ValueError):
            assert sum(map(len, unpack_value(memoryview(item)))) <= len(item)


def test_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form 7"):
        unpack(7, parts_of(pickle.dumps(1), []))


@given(st.integers(0, 1000), buffers)
def test_what_is_outside_of_an_item_is_aligned(at: int, outside: list[bytes]) -> None:
    pieces = pack_value(b"\x80\x05N.", [memoryview(one) for one in outside])
    pieces[0] = padding(at)
    whole = bytes(at) + b"".join(pieces)
    first, *rest = unpack_value(memoryview(whole)[at:])
    assert bytes(first) == b"\x80\x05N."
    assert [bytes(one) for one in rest] == outside
    assert (at + len(pieces[0])) % ALIGNED == 0


def test_a_plain_pickle_is_an_item_by_itself() -> None:
    item = memoryview(pickle.dumps([1], 5))
    assert unpack_value(item) == [item]
    assert unpack_value(memoryview(b"")) == [b""]


def test_a_value_is_loaded_once_and_lives_as_long_as_somebody_needs_it() -> None:
    digest, data = b"d" * 32, parts_of(pickle.dumps([1, 2]), [])
    handle = Shared[list[int]](digest, len(data), PARTS)
    hold(digest, data, 1)
    hold(digest, b"", 2)
    value = handle.value
    assert value == [1, 2]
    assert handle.value is value
    release_all(1)
    assert handle.value is value
    release(digest, 2)
    with pytest.raises(LookupError, match="is not in this process"):
        _ = handle.value
    assert digest not in shared._held


def test_a_handle_travels_and_is_noted_where_it_is_packed() -> None:
    handle = Shared[int](b"e" * 32, 9, PARTS)
    data, met = noting(pickle.dumps, [handle, handle, noting(str, handle)[1]])
    assert met == [handle]
    assert pickle.loads(data)[0] == handle
    assert noting(str, handle)[1] == []
    value = object()
    hold_value(handle.digest, value, "me")
    assert pickle.loads(pickle.dumps(handle)).value is value
    release(handle.digest, "me")
