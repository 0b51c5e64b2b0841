"""What was made to hurt whoever reads it is refused in no time and no memory."""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import pickle
import tracemalloc
import uuid
import zoneinfo
from collections import Counter, OrderedDict, deque
from typing import Any

import cloudpickle
import pytest

from p2pslinger import limits
from p2pslinger.client.values import unpack_parts
from p2pslinger.errors import PeerError, UntrustedValueError
from tests.client.test_safe_values import (
    RAN,
    REFUSED,
    Attack,
    Colour,
    Frozen,
    read,
    sent,
)


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


def test_the_name_of_what_is_refused_does_nothing_to_a_terminal() -> None:
    name = b"\x8c\x07\x1b]0;x\x07c"
    with pytest.raises(UntrustedValueError) as error:
        read(b"\x80\x05" + name + name + b"\x93)R.")
    assert "\\x1b]0;x\\x07c" in str(error.value)
    assert str(error.value).isprintable()


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


@pytest.mark.parametrize(
    "keys",
    [
        b"\x8f(" + b"h\x00" * 100_000 + b"\x90",
        b"(" + b"h\x00" * 100_000 + b"\x91",
        b"}(" + b"h\x00N" * 100_000 + b"u",
        b"h\x00\x85\x94\x8f(" + b"h\x01" * 100_000 + b"\x90",
    ],
)
def test_a_long_number_is_no_key_again_and_again(keys: bytes) -> None:
    """Python hashes all of it each time: this would be minutes."""
    number = b"\x8b" + (1 << 20).to_bytes(4, "little") + b"\x01" * (1 << 20) + b"\x94"
    with pytest.raises(PeerError, match="without end"):
        read(b"\x80\x05](" + number + keys + b"e.")


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


def test_keys_that_can_not_be_hashed_are_refused() -> None:
    """Python would hash the first on the stack until that ends, the second for ever."""
    deep = b")" + b"\x85" * 1_000_000
    wide = b")" + b"".join(b"\x94h%c\x86" % n for n in range(200))
    for key in (deep, wide):
        for value in (
            b"}" + key + b"Ns.",
            b"\x8f(" + key + b"\x90.",
            b"(" + key + b"\x91.",
        ):
            with pytest.raises(PeerError):
                unpack_parts((b"\x80\x05" + value,), "safe")
    honest = {(1, (2, "x")): 1, (3, 4): frozenset({(5, 6)})}
    assert unpack_parts((pickle.dumps(honest, 5),), "safe") == honest
