"""What nobody vouches for is read without running any of it."""

from __future__ import annotations

import datetime
import enum
import pathlib
import pickle
import pickletools
import zoneinfo
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pslinger.client.named import Named
from p2pslinger.client.values import Form, unpack_values
from p2pslinger.errors import PeerError, UntrustedValueError, UsageError
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
