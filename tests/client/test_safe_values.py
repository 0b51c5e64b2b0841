"""What nobody vouches for is read without running any of it."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import pickletools
import tracemalloc
import uuid
import zoneinfo
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from p2pslinger import limits
from p2pslinger.client.named import Named
from p2pslinger.client.values import Form, unpack_values
from p2pslinger.errors import PeerError, UntrustedValueError, UsageError
from p2pslinger.sandbox.shared import pack_value
from p2pslinger.wire.packed import pack_items

REFUSED = (PeerError, UntrustedValueError)

RAN: list[str] = []


@dataclass
class Point:
    """A dataclass whose every hook tells on itself."""

    x: float
    y: object = 0

    def __post_init__(self) -> None:
        RAN.append("post_init")

    def __setattr__(self, name: str, value: object) -> None:
        RAN.append("setattr")
        object.__setattr__(self, name, value)

    def __setstate__(self, state: Any) -> None:
        RAN.append("setstate")


@dataclass(frozen=True)
class Frozen:
    """A dataclass that can't be changed."""

    name: str
    parts: list[object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slotted:
    """One without a `__dict__`."""

    a: int
    b: object = None


@dataclass(slots=True)
class SlottedToo:
    """One that can be changed."""

    a: int


class Plain(NamedTuple):
    """A named tuple."""

    left: object
    right: object = None


class Pair(Plain):
    """One whose constructor tells on itself."""

    def __new__(cls, left: object, right: object = None) -> Pair:
        raise AssertionError("a constructor was called")


class Colour(enum.Enum):
    """An enum."""

    RED = 1
    BLUE = "b"


class Other:
    """None of the three kinds."""


NAMED = Named([Point, Frozen, Slotted, SlottedToo, Plain, Colour])


class Attack:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return RAN.append, ("reduce",)


def read(data: bytes, named: Named = NAMED) -> object:
    RAN.clear()
    (value,) = unpack_values(Form.ITEMS, pack_items([data]), "safe", named)
    assert RAN == []
    return value


def sent(value: object) -> object:
    """Send a value as a slot does."""
    return read(pickle.dumps(value, 5))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=50)
    | st.binary(max_size=50)
    | st.binary(max_size=50).map(bytearray)
    | st.complex_numbers(allow_nan=False)
)
ZONES = (
    st.none()
    | st.just(datetime.UTC)
    | st.sampled_from(
        [zoneinfo.ZoneInfo("UTC"), datetime.timezone(datetime.timedelta(hours=2), "x")]
    )
)
EXACT = (
    st.datetimes(timezones=ZONES)
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.sampled_from([pathlib.Path("a/b"), pathlib.PurePosixPath("/x")])
    | st.sampled_from(list(Colour))
    | st.just(range(3, 9, 2))
)
HASHABLE = st.integers() | st.text(max_size=9) | st.dates() | st.tuples(st.integers())
VALUES = st.recursive(
    SCALARS | EXACT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
        | st.builds(Frozen, st.text(max_size=5), st.lists(inner, max_size=2))
        | st.builds(Slotted, st.integers(), inner)
        | st.builds(Plain, inner, inner)
        | st.lists(inner, max_size=3).map(deque)
        | st.dictionaries(HASHABLE, inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=10,
)


@given(VALUES)
@settings(max_examples=100)
def test_what_is_safe_comes_back_as_it_was(value: Any) -> None:
    back = sent(value)
    assert back == value
    assert type(back) is type(value)


@given(VALUES, st.data())
@settings(max_examples=150)
def test_a_changed_byte_is_a_value_or_refused(value: Any, data: st.DataObject) -> None:
    raw = bytearray(pickle.dumps(value, 5))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(raw))
    except REFUSED:
        pass


#: Instructions, some with an argument of one byte.
CODES = [
    b"]", b"}", b")", b"(", b"N", b"R", b"a", b"0", b"e", b"b", b"u", b"t", b"s",
    b"\x94", b"\x93", b"\x81", b"\x85", b"\x86", b"\x88", b"\x8f", b"\x90", b"\x91",
    b"\x97", b"\x98", b"K\x01", b"h\x00", b"h\x01", b"\x8c\x01x", b"\x8a\x01\xff",
]  # fmt: skip


@given(st.lists(st.sampled_from(CODES), max_size=40))
@settings(max_examples=100)
def test_instructions_in_any_order_are_a_value_or_refused(codes: list[bytes]) -> None:
    try:
        read(b"\x80\x05" + b"".join(codes) + b".")
    except REFUSED:
        pass


# --- arrays -------------------------------------------------------------------------

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


# --- types that the program names -----------------------------------------------------


def test_an_instance_is_made_without_calling_anything_of_its_class() -> None:
    point = Point.__new__(Point)
    object.__setattr__(point, "x", 1.5)
    object.__setattr__(point, "y", [2])
    back = sent(point)

    assert isinstance(back, Point)
    assert (back.x, back.y) == (1.5, [2])


def test_a_named_tuples_constructor_is_not_called() -> None:
    data = pickle.dumps(tuple.__new__(Pair, (1, 2)), 5)
    back = read(data, Named([Pair]))
    assert isinstance(back, Pair)
    assert back == (1, 2)


def test_types_that_are_not_named_are_refused_by_name_with_the_remedy() -> None:
    for value in (Frozen("x"), Plain(1), Colour.RED):
        with pytest.raises(UntrustedValueError, match=r"test_safe_values\.\w+.*types="):
            read(pickle.dumps([1, value], 5), Named())


def test_a_class_that_has_come_along_is_known_by_its_name_and_not_made() -> None:
    # What a slot sends of a class of the program's __main__.
    local: dict[str, Any] = {}
    text = (
        "from dataclasses import dataclass\nfrom typing import NamedTuple\n"
        "@dataclass\nclass Row:\n    a: int\n    def evil(self): raise SystemExit\n"
        "class Two(NamedTuple):\n    a: int\n    b: int\n"
    )
    exec(compile(text, "main", "exec"), {"__name__": "__main__"}, local)
    row, two = local["Row"], local["Two"]
    data = cloudpickle.dumps([row(1), row(2), two(3, 4)], 5)

    back: Any = read(data, Named([row, two]))
    assert back == [row(1), row(2), two(3, 4)]
    assert [type(one) for one in back] == [row, row, two]
    with pytest.raises(UntrustedValueError, match="Row"):
        read(data, Named())


@pytest.mark.parametrize(
    "state",
    [{"name": "x"} | {"__class__": 1}, {"parts": []}, {"name": "x", "more": 1}, 7,
     [("name", "x")], {1: 2}],
)  # fmt: skip
def test_fields_that_a_type_does_not_have_are_refused(state: object) -> None:
    with pytest.raises(PeerError):
        read(made_by_hand(state))


def test_an_instance_without_its_fields_is_refused() -> None:
    whole = made_by_hand({"name": "x", "parts": []})
    assert read(whole) == Frozen("x")
    with pytest.raises(PeerError, match="Frozen without anything in it"):
        read(whole[: whole.index(b"\x81") + 1] + b".")


def made_by_hand(state: object) -> bytes:
    """Return the pickle of a `Frozen` with any state."""
    name = b"".join(
        b"\x8c" + bytes([len(one)]) + one.encode() for one in (__name__, "Frozen")
    )
    rest = pickletools.optimize(pickle.dumps(state, 4))
    rest = rest[2:-1] if rest[2:3] != b"\x95" else rest[11:-1]
    return b"\x80\x05" + name + b"\x93)\x81" + rest + b"b."


def test_only_dataclasses_named_tuples_and_enums_can_be_named() -> None:
    for wrong in (Other, dict, int):
        with pytest.raises(UsageError, match="none of them"):
            Named([wrong])


# --- attacks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        Attack(),
        [Attack()],
        {"a": Attack()},
        Frozen("x", [Attack()]),
        pathlib.Path,
        eval,
        Counter,
        object(),
        OrderedDict(x=Attack()),
        lambda: 3,
    ],
)
def test_whatever_would_run_code_is_refused(what: object) -> None:
    with pytest.raises(UntrustedValueError, match=r'trust="pickle"'):
        read(cloudpickle.dumps(what, 5))
    assert RAN == []


def test_what_is_not_in_the_value_in_the_end_harms_nobody() -> None:
    call = pickle.dumps(Attack(), 5)[2:-1]
    frame = call.index(b"\x8c")
    assert read(b"\x80\x05" + call[frame:] + b"0K\x07.") == 7


def nested(depth: int) -> bytes:
    return b"\x80\x05)" + b"\x85" * depth + b"."


#: A text of 50,000 letters, which the memo has first.
LONG = b"\x8d" + (50_000).to_bytes(8, "little") + b"x" * 50_000 + b"\x94"

#: Sixty lists that each hold the one before twice: the last is what is left.
LAUGHS = (
    b"\x80\x05"
    + b"]\x94"
    + b"".join(b"0](h%ch%ce\x94" % (n, n) for n in range(60))
    + b"."
)

BOMBS = {
    "deep": nested(100_000),
    "deep lists": b"\x80\x05" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "laughs": LAUGHS,
    "texts": b"\x80\x05](" + LONG + b"h\x00" * 60_000 + b"e.",
    "itself": b"\x80\x05]\x94h\x00a.",
    "memo": b"\x80\x05]r\xff\xff\xff\x7f.",
    "long bytes": b"\x80\x05\x8e" + b"\xff" * 8 + b"x.",
    "long text": b"\x80\x05\x8d" + b"\xff" * 8 + b"x.",
    "long number": b"\x80\x05\x8b\xff\xff\xff\x7fx.",
    "frame": b"\x80\x05\x95" + b"\xff" * 8 + b".",
    "no stack": b"\x80\x05\x87.",
    "no mark": b"\x80\x05e.",
    "open": b"\x80\x05](K\x01.",
    "two values": b"\x80\x05K\x01K\x02.",
    "no end": b"\x80\x05K\x01",
    "extension": b"\x80\x05\x82\x01.",
    "persistent": b"\x80\x05K\x01Q.",
    "old global": b"\x80\x05cos\nsystem\n(S'id'\ntR.",
    "instance": b"\x80\x05(ios\nsystem\n.",
    "fraction": pickle.dumps(
        [fractions.Fraction(1, 3)], 5
    ).replace(b"K\x03", b"\x8b" + (9000).to_bytes(4, "little") + b"\x01" * 9000),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_no_time_and_no_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(REFUSED):
            read(BOMBS[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * limits.MIB


def test_keys_that_were_made_to_collide_are_refused() -> None:
    same = [n * (2**61 - 1) for n in range(1, 3000)]
    pairs = [tuple(-1 - (n >> bit & 1) for bit in range(10)) for n in range(2**10)]
    for value in (set(same[:500]), dict.fromkeys(same[:500]), frozenset(pairs)):
        with pytest.raises(PeerError, match="collide"):
            sent(value)
    assert sent(set(range(100_000))) == set(range(100_000))


def test_a_value_as_deep_as_may_be_comes_back() -> None:
    read(nested(limits.VALUE_DEPTH - 2))
    with pytest.raises(PeerError, match="inside each other"):
        read(nested(limits.VALUE_DEPTH + 2))


def test_a_part_that_is_in_a_value_twice_is_the_same_part_afterwards() -> None:
    part = [1]
    back: Any = sent([part, part, {"a": part}])
    assert back[0] is back[1] is back[2]["a"]


@pytest.mark.parametrize(
    "data",
    [
        (datetime.datetime, (b"\x07\xea\x0b\x17\x63\x00\x00\x00\x00\x00",)),
        (datetime.date, (b"\x07\xea\x00\x17",)),
        (datetime.datetime, (b"short",)),
        (datetime.timezone, (datetime.timedelta(days=5),)),
        (decimal.Decimal, ("9" * 20_000,)),
        (decimal.Decimal, ("no",)),
        (fractions.Fraction, (1, 0)),
        (range, (1, 2, 0)),
        (uuid.UUID, ("x",)),
        (complex, ("x", 1)),
        (deque, ([1, 2],)),
        (pathlib.PurePosixPath, (7,)),
        (Colour, (99,)),
        (Frozen, ("x",)),
    ],
)
def test_arguments_that_make_no_sense_are_refused(data: tuple[Any, Any]) -> None:
    class Liar:
        def __reduce__(self) -> tuple[Any, ...]:
            return data

    with pytest.raises(REFUSED):
        read(pickle.dumps(Liar(), 5))


def test_a_time_zones_name_is_no_path() -> None:
    class Liar:
        def __reduce__(self) -> tuple[Any, ...]:
            return zoneinfo.ZoneInfo._unpickle, ("../../etc/passwd", True)  # type: ignore[attr-defined]

    with pytest.raises(PeerError, match="no time zone"):
        read(pickle.dumps(Liar(), 5))
