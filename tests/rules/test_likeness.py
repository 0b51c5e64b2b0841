"""Values are compared as they are encoded, and nothing in them is run."""

from __future__ import annotations

import collections
import fractions
import math
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import PeerError
from p2pslinger.rules.likeness import (
    EXACT,
    PAIR,
    RANGE_COST,
    Effort,
    Likeness,
    Tolerance,
    alike,
)
from p2pslinger.rules.picture import INSTRUCTIONS, picture
from p2pslinger.sandbox.shared import pack_value

NEAR = Tolerance(1e-6, 0.0)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.frozensets(st.integers(), max_size=4)
    ),
    max_leaves=12,
)


def compared(one: object, other: object, tolerance: Tolerance = NEAR) -> Likeness:
    return alike(pickle.dumps(one, 5), pickle.dumps(other, 5), tolerance)


@dataclass
class Point:
    x: float
    name: str


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("/this/must/never/be/made",)


@given(PLAIN)
def test_a_value_is_like_itself_however_it_is_pickled(value: object) -> None:
    again = pickle.loads(pickle.dumps(value, 5))  # shares nothing, or other things
    assert compared(value, again) is Likeness.ALIKE
    assert alike(pickle.dumps(value, 4), pickle.dumps(value, 5)) is Likeness.ALIKE


@given(PLAIN, PLAIN)
def test_alike_without_tolerance_means_the_same(one: object, other: object) -> None:
    if compared(one, other, Tolerance()) is Likeness.ALIKE:
        assert repr(one) == repr(other) or one == other


@given(PLAIN, PLAIN)
def test_it_does_not_matter_which_comes_first(one: object, other: object) -> None:
    assert compared(one, other) is compared(other, one)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    try:
        picture(data)
    except PeerError:
        pass


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-9e-7, 9e-7))
def test_floats_may_be_apart_as_far_as_the_tolerance_says(x: float, by: float) -> None:
    other = x * (1 + by)
    expected = math.isclose(x, other, rel_tol=1e-6)
    assert (compared([x], [other]) is Likeness.ALIKE) is expected


def test_nan_is_like_nan_and_like_nothing_else() -> None:
    assert compared(math.nan, -math.nan) is Likeness.ALIKE
    assert compared(math.nan, 1.0) is Likeness.DIFFERENT


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), ("1", b"1"), ([1], (1,)), (0, None), ({1}, frozenset({1}))],
)
def test_another_type_is_another_value(one: object, other: object) -> None:
    assert compared(one, other) is Likeness.DIFFERENT


def test_integers_and_texts_have_no_tolerance() -> None:
    assert compared(10**9, 10**9 + 1) is Likeness.DIFFERENT
    assert compared("1.0", "1.0000000001") is Likeness.DIFFERENT


def test_sharing_inside_a_value_does_not_matter() -> None:
    text = "".join(["a", "b", "c"])
    assert compared([text, text], ["abc", "".join(["a", "bc"])]) is Likeness.ALIKE


def test_the_order_of_sets_and_dictionaries_does_not_matter() -> None:
    assert compared({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}) is Likeness.ALIKE
    assert compared({"a": 1.0, "b": 2.0}, {"b": 1.0, "a": 2.0}) is Likeness.DIFFERENT
    grown = set(range(5000)) - set(range(50, 5000))  # a larger table inside
    assert compared(set(range(50)), grown) is Likeness.ALIKE


def test_objects_are_compared_by_what_they_are_made_of() -> None:
    assert compared(Point(1.0, "a"), Point(1.0 + 1e-9, "a")) is Likeness.ALIKE
    assert compared(Point(1.0, "a"), Point(1.0, "b")) is Likeness.DIFFERENT
    assert compared(Point(1.0, "a"), Point(1.1, "a")) is Likeness.DIFFERENT
    counts = collections.Counter("abca")
    assert compared(counts, collections.Counter("aabc")) is Likeness.ALIKE
    assert compared(fractions.Fraction(1, 3), fractions.Fraction(1, 3)) is (
        Likeness.ALIKE
    )


def test_nothing_is_run_to_compare() -> None:
    assert compared(Evil(), Evil()) is Likeness.ALIKE
    assert compared(Evil(), 1) is Likeness.DIFFERENT


def test_what_is_no_value_is_unlike_every_value() -> None:
    assert alike(b"rubbish", pickle.dumps(1)) is Likeness.DIFFERENT
    assert alike(b"rubbish", b"garbage") is Likeness.UNCLEAR


def test_values_of_too_many_parts_are_unclear() -> None:
    one = list(range(INSTRUCTIONS + 1))
    assert compared(one, one) is Likeness.ALIKE
    assert compared(one, one[::-1]) is Likeness.UNCLEAR
    assert compared(one, 1) is Likeness.DIFFERENT


def test_nesting_and_sharing_without_end_are_compared_in_time() -> None:
    deep: list[object] = []
    doubling: list[object] = [1.0]
    other: list[object] = [1.0 + 1e-9]
    for _ in range(5000):
        deep = [deep]
    for _ in range(200):
        doubling, other = [doubling, doubling], [other, other]
    head = b"\x80\x05" + b"]" * 5001 + b"a" * 5000
    assert alike(head + b".", head + b".") is Likeness.ALIKE
    assert alike(head + b".", head[:-1] + b"0.") is Likeness.DIFFERENT
    assert compared(doubling, other) is Likeness.ALIKE
    endless: list[object] = [2.0]
    endless.append(endless)
    again: list[object] = [2.0 + 1e-9]
    again.append(again)
    assert compared(endless, again) is Likeness.ALIKE


def unfolding(levels: int) -> bytes:
    """Write a small value that is enormous once it is written out."""
    doubled = (b"\x94h%c\x86" % level for level in range(levels))
    return b"\x80\x05N" + b"".join(doubled)


def test_what_a_value_looks_like_is_never_asked() -> None:
    """Written out, these few hundred bytes would be 2 ** 200 parts."""
    name = unfolding(200) + b"\x8c\x01x\x93."
    with pytest.raises(PeerError):
        picture(name)
    dtype = b"cnumpy\ndtype\n" + unfolding(200)[2:] + b"\x85R\x85."
    assert alike(b"\x80\x05" + dtype, b"\x80\x04" + dtype) is Likeness.ALIKE


def test_values_made_to_be_compared_for_ever_are_unclear() -> None:
    def ring(length: int) -> bytes:
        """Write lists of which each is in the next, and the last in the first."""
        open_, close = b"]\x94" * length, b"a" * (length - 1)
        return b"\x80\x05" + open_ + b"h\x00" + b"a" + close + b"."

    assert alike(ring(1009), ring(1013)) is Likeness.UNCLEAR
    block = b"\x8e" + (1 << 22).to_bytes(8, "little") + bytes(1 << 22) + b"\x94"
    many = block + b"a" + b"h\x00a" * 5000 + b"."
    assert alike(b"\x80\x05]Na" + many, b"\x80\x05]\x88a" + many) is Likeness.UNCLEAR


def test_whole_numbers_cost_what_they_weigh() -> None:
    """A megabyte, of which each further copy takes two bytes."""
    number = b"\x8b" + (1 << 20).to_bytes(4, "little") + b"\x01" * (1 << 20) + b"\x94"
    many = number + b"a" + b"h\x00a" * 50_000 + b"."
    assert alike(b"\x80\x05]Na" + many, b"\x80\x05]\x88a" + many) is Likeness.UNCLEAR
    keys = number + b"\x8f(" + b"h\x00" * 100_000 + b"\x90a."
    assert alike(b"\x80\x05]Na" + keys, b"\x80\x05]\x88a" + keys) is Likeness.UNCLEAR


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys])
def test_keys_that_collide_are_not_compared_with_each_other(
    kind: Callable[[list[int]], object],
) -> None:
    """A hundred thousand of them would take minutes: Python compares each two."""
    crowded = [k * sys.hash_info.modulus for k in range(1, 66)]
    apart = list(range(1 << 62, (1 << 62) + 65))

    few = crowded[:64]
    assert compared(kind(few), kind(few[::-1])) is Likeness.ALIKE
    assert compared(kind(crowded), kind(crowded[::-1])) is Likeness.UNCLEAR
    assert compared(kind(crowded), kind(apart)) is Likeness.DIFFERENT


def test_a_long_text_is_not_put_into_names_again_and_again() -> None:
    """Each of these names would be twice as long as all that was sent."""
    text = b"X" + (1 << 20).to_bytes(4, "little") + b"a" * (1 << 20) + b"\x94"
    with pytest.raises(PeerError):
        picture(b"\x80\x05](" + text + b"h\x00h\x00\x93" * 50_000 + b"e.")


def test_the_values_of_a_range_together_are_compared_for_so_long_and_no_longer() -> (
    None
):
    one, other = pickle.dumps([1.0] * 100, 5), pickle.dumps([1.0 + 1e-9] * 100, 5)
    effort = Effort()
    assert alike(one, other, NEAR, effort) is Likeness.ALIKE
    assert effort.cost >= 100
    while effort.cost < RANGE_COST:
        effort.cost += effort.cost
    assert alike(one, other, NEAR, effort) is Likeness.UNCLEAR
    assert alike(one, one, NEAR, effort) is Likeness.ALIKE  # that costs nothing


def test_one_who_lies_can_not_make_an_honest_value_costly_to_compare() -> None:
    """It would be compared with the other tasks' values, and then with nothing."""
    effort = Effort()
    honest = pickle.dumps(["some", "words"] * 50, 5)
    text = b"X" + (1 << 20).to_bytes(4, "little") + b"a" * (1 << 20) + b"\x94"
    lie = b"\x80\x05](" + text + b"h\x00" * 99 + b"e."
    assert alike(honest, lie, EXACT, effort) is Likeness.DIFFERENT
    assert effort.cost < 100 * PAIR


# --- NumPy ----------------------------------------------------------------------------


def test_arrays_are_compared_number_by_number() -> None:
    np = pytest.importorskip("numpy")
    rows = np.linspace(0.0, 1.0, 12).reshape(3, 4)
    for kind in ("f2", "f4", "f8", ">f8", "c8", "c16"):
        one = rows.astype(kind)
        # Steps that are far below the tolerance, where the type has such.
        near = (one * (1 + 1e-9)).astype(kind)
        assert compared(one, near) is Likeness.ALIKE
        assert compared(one, one + 1) is Likeness.DIFFERENT
        assert compared(one, one.T) is Likeness.DIFFERENT
        assert compared(one.T, near.T) is Likeness.ALIKE
        assert compared(one[::2, ::2], near[::2, ::2]) is Likeness.ALIKE
        assert compared(one[1, 1], near[1, 1]) is Likeness.ALIKE
    gaps = np.array([math.nan, 1.0])
    assert compared(gaps, np.array([-math.nan, 1.0 + 1e-9])) is Likeness.ALIKE
    whole = np.arange(5)
    assert compared(whole, whole + 1) is Likeness.DIFFERENT
    assert compared({"a": [rows]}, {"a": [rows * (1 + 1e-9)]}) is Likeness.ALIKE


def test_arrays_beside_their_pickle_are_compared_wherever_they_lie() -> None:
    np = pytest.importorskip("numpy")
    rows = np.linspace(0.0, 1.0, 1000)

    def item(array: object, gap: int) -> bytes:
        beside: list[pickle.PickleBuffer] = []
        first = pickle.dumps(array, 5, buffer_callback=beside.append)
        pieces = pack_value(first, [one.raw() for one in beside])
        pieces[0] = (gap << 8).to_bytes(8, "little") + bytes(gap)
        return b"".join(pieces)

    assert alike(item(rows, 0), item(rows, 24)) is Likeness.ALIKE
    assert alike(item(rows, 0), item(rows + 1e-9, 8), NEAR) is Likeness.DIFFERENT
    assert alike(item(rows, 0), item(rows * (1 + 1e-9), 8), NEAR) is Likeness.ALIKE
