"""NumPy arrays of strangers are what their parts add up to, or nothing."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from p2pslinger.sandbox.shared import pack_value
from tests.client.test_safe_values import (
    REFUSED,
    Attack,
    read,
    sent,
)

ARRAYS = hnp.arrays(
    st.one_of(
        hnp.scalar_dtypes(),
        hnp.unicode_string_dtypes(),
        hnp.byte_string_dtypes(),
        hnp.array_dtypes(
            hnp.integer_dtypes() | hnp.floating_dtypes(), allow_subarrays=False
        ),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
)


@given(ARRAYS, st.booleans())
@settings(max_examples=80)
def test_arrays_come_back_as_they_were(array: Any, turned: bool) -> None:
    array = array.T if turned else array
    back = sent(array)
    assert isinstance(back, np.ndarray)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "value",
    [np.float64(1.5), np.int8(3), np.bool_(True), np.str_("x"),
     np.datetime64("2026-11-23"), np.arange(10)[::2], np.dtype("f4")],
)  # fmt: skip
def test_numbers_and_parts_of_arrays_come_back(value: Any) -> None:
    back: Any = sent(value)
    assert np.array_equal(back, value)


def test_an_array_outside_of_its_pickle_is_a_view_that_cannot_be_written() -> None:
    array = np.arange(50_000.0).reshape(100, 500)
    left: list[pickle.PickleBuffer] = []
    data = pickle.dumps([array], 5, buffer_callback=left.append)
    back: Any = read(b"".join(pack_value(data, [one.raw() for one in left])))

    assert (back[0] == array).all()
    assert not back[0].flags.writeable


def frombuffer(raw: bytes, code: str, shape: tuple[int, ...]) -> bytes:
    """Return the pickle of an array that a liar has written by hand."""
    honest = pickle.dumps(np.zeros(3, "i4"), 5)
    assert honest.count(b"\x8c\x02i4") == 1

    class Liar:
        def __reduce__(self) -> tuple[Any, ...]:
            from numpy._core.numeric import (  # type: ignore[attr-defined]
                _frombuffer,
            )

            return _frombuffer, (raw, np.dtype(code), shape, "C")

    return pickle.dumps(Liar(), 5)


@pytest.mark.parametrize(
    ("raw", "code", "shape"),
    [
        (b"x" * 16, "i4", (5,)),
        (b"x" * 16, "i4", (3,)),
        (b"x" * 16, "i4", (-4,)),
        (b"x" * 16, "i4", (2**40, 2**40)),
        (b"", "V0", (2**60,)),
        (b"", "i4", (0, 2**70)),
        (b"x" * 16, "O", (2,)),
        (b"x" * 16, "V8,O", (1,)),
        (b"x" * 4, "i4", (1,) * 40),
    ],
)
def test_an_array_whose_parts_do_not_fit_is_refused(
    raw: bytes, code: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(REFUSED):
        read(frombuffer(raw, code, shape))


def test_an_array_of_objects_is_refused() -> None:
    with pytest.raises(REFUSED, match="objects"):
        sent(np.array([Attack(), None], dtype=object))
