"""Failures cross the slot's socket whole, and garbage is told apart from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.sandbox.frames import TEXT_BYTES, pack_failure, unpack_failures
from p2pslinger.sandbox.slot import Failure

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FAILURES = st.builds(
    Failure, st.integers(0, 2**64 - 1), TEXT, TEXT, TEXT, TEXT, st.binary(max_size=30)
)


@given(st.lists(FAILURES, max_size=4), st.binary(max_size=20))
def test_failures_come_out_as_they_went_in(
    failures: list[Failure], values: bytes
) -> None:
    data = memoryview(b"".join(map(pack_failure, failures)) + values)

    unpacked, end = unpack_failures(data, len(failures))

    assert unpacked == tuple(failures)
    assert data[end:] == values


@given(FAILURES, st.integers(1, 40))
def test_a_failure_that_is_cut_short_is_refused(failure: Failure, cut: int) -> None:
    data = pack_failure(failure)
    with pytest.raises(ValueError):
        unpack_failures(memoryview(data[: max(0, len(data) - cut)]), 1)


def test_texts_are_cut_to_their_bound_and_lone_surrogates_survive() -> None:
    failure = Failure(1, "x" * 1000, "\ud800", "", "", b"")

    (again,), _ = unpack_failures(memoryview(pack_failure(failure)), 1)

    assert len(again.type) == TEXT_BYTES[0]
    assert again.message == r"\ud800"


@given(st.binary(max_size=200), st.integers(0, 5))
def test_garbage_is_refused_or_read_within_its_bounds(
    garbage: bytes, count: int
) -> None:
    try:
        _, end = unpack_failures(memoryview(garbage), count)
    except ValueError:
        return
    assert end <= len(garbage)
