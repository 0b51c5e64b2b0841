"""Values and errors come back, as far as their maker is trusted."""

from __future__ import annotations

import datetime
import pickle
import pickletools
import traceback
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pslinger.client.values import (
    Form,
    RemoteTraceback,
    Trust,
    rebuild_error,
    unpack_values,
)
from p2pslinger.errors import PeerError, RemoteError, UntrustedValueError
from p2pslinger.sandbox.shared import pack_value
from p2pslinger.wire.packed import pack_items

EVERY_TRUST = pytest.mark.parametrize("trust", ["safe", "mine", "pickle"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.frozensets(st.integers())
        | st.sets(st.text())
    ),
    max_leaves=8,
)


class Attack:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('the attack ran')",)


class Coloured(Exception):
    """Needs more than its text."""

    def __init__(self, colour: str, *, depth: int = 0) -> None:
        super().__init__(colour)
        self.depth = depth


class Fussy(Exception):
    """Pickles, and does not unpickle."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} {other}")


def scalars(values: list[Any]) -> bytes:
    return pickle.dumps(values, 5)


def items(*values: object) -> bytes:
    return pack_items([pickle.dumps(value, 5) for value in values])


@given(st.lists(SCALARS), st.sampled_from(["safe", "mine", "pickle"]))
def test_scalars_come_back_as_a_list(values: list[Any], trust: Trust) -> None:
    assert unpack_values(Form.SCALARS, scalars(values), trust) == values


@given(st.lists(PLAIN, max_size=5), st.sampled_from(["safe", "mine", "pickle"]))
@settings(max_examples=60)
def test_plain_values_come_back_whoever_made_them(
    values: list[Any], trust: Trust
) -> None:
    assert list(unpack_values(Form.ITEMS, items(*values), trust)) == values


@EVERY_TRUST
def test_scalars_never_run_code_whoever_sent_them(trust: Trust) -> None:
    with pytest.raises(UntrustedValueError, match=r'exec.*trust="pickle"'):
        unpack_values(Form.SCALARS, pickle.dumps([1, Attack()], 5), trust)


def test_a_value_of_a_stranger_is_not_unpickled() -> None:
    today = datetime.date(2025, 1, 2)
    values = unpack_values(Form.ITEMS, items([1], today, Attack()), "safe")

    assert values[0] == [1]
    assert values[1] == today
    with pytest.raises(UntrustedValueError, match=r"builtins\.exec"):
        values[2]
    with pytest.raises(UntrustedValueError):
        list(values)


@pytest.mark.parametrize("trust", ["mine", "pickle"])
def test_a_value_of_a_trusted_maker_is_unpickled(trust: Trust) -> None:
    today = datetime.date(2025, 1, 2)
    assert list(unpack_values(Form.ITEMS, items(today), trust)) == [today]


def test_an_item_stays_encoded_until_it_is_asked_for() -> None:
    values = unpack_values(Form.ITEMS, items(1, Attack(), 3), "mine")

    assert len(values) == 3
    assert (values[0], values[2], values[-1]) == (1, 3, 3)
    part = values[1:]
    assert (len(part), part[1]) == (2, 3)
    assert list(part[1:]) == [3]
    with pytest.raises(SystemExit):
        values[1]
    with pytest.raises(SystemExit):
        part[0]


def test_each_look_gives_a_value_of_its_own() -> None:
    values = unpack_values(Form.ITEMS, items([1]), "mine")
    first: Any = values[0]
    first.append(2)
    assert values[0] == [1]


def test_a_failed_task_has_no_value() -> None:
    data = pack_items([pickle.dumps(1), b"", pickle.dumps(3)])
    assert list(unpack_values(Form.ITEMS, data, "mine")) == [1, None, 3]


@EVERY_TRUST
@pytest.mark.parametrize(
    ("form", "data"),
    [
        (0, b""),
        (0, b"\xff\xff"),
        (0, pickle.dumps({"no": "list"})),
        (0, pickle.dumps([1, 2])[:-3]),
        (1, b"garbage"),
        (7, b""),
    ],
)
def test_values_that_are_none_break_the_protocol(
    form: int, data: bytes, trust: Trust
) -> None:
    with pytest.raises(PeerError):
        unpack_values(form, data, trust)


def test_a_few_bytes_cannot_ask_for_gigabytes() -> None:
    bomb = b"\x80\x05]r\xff\xff\xff\x7f."  # memo place 2,147,483,647
    assert any(
        op.code == "r" and op.name == "LONG_BINPUT" for op in pickletools.opcodes
    )

    for form, data in ((Form.SCALARS, bomb), (Form.ITEMS, pack_items([bomb]))):
        with pytest.raises(UntrustedValueError):
            list(unpack_values(form, data, "safe"))


@given(st.binary(max_size=80))
@settings(max_examples=300)
def test_garbage_from_a_stranger_is_a_value_or_refused(data: bytes) -> None:
    for form, packed in ((Form.SCALARS, data), (Form.ITEMS, pack_items([data]))):
        try:
            list(unpack_values(form, packed, "safe"))
        except (PeerError, UntrustedValueError):
            pass


@given(st.lists(PLAIN, max_size=3), st.integers(0, 200), st.integers(0, 255))
@settings(max_examples=300)
def test_a_changed_byte_is_a_value_or_refused(
    values: list[Any], place: int, byte: int
) -> None:
    data = bytearray(scalars(values))
    data[place % len(data)] = byte
    try:
        unpack_values(Form.SCALARS, bytes(data), "safe")
    except (PeerError, UntrustedValueError):
        pass


# --- errors -------------------------------------------------------------------------


def test_an_error_comes_back_itself_with_the_remote_traceback_as_its_cause() -> None:
    pickled = pickle.dumps(ZeroDivisionError("division by zero"))
    error = rebuild_error(
        "ZeroDivisionError", "division by zero", "Traceback: there",
        pickled=pickled, trust="mine",
    )  # fmt: skip

    assert type(error) is ZeroDivisionError
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "Traceback: there" in str(error.__cause__)


def test_the_attributes_of_an_error_come_back() -> None:
    pickled = pickle.dumps(Coloured("red", depth=3))
    error = rebuild_error("Coloured", "red", "", pickled=pickled, trust="pickle")

    assert isinstance(error, Coloured)
    assert error.depth == 3


@pytest.mark.parametrize(
    "pickled",
    [b"", b"garbage", pickle.dumps(Fussy(1, 2)), pickle.dumps("no exception"),
     pickle.dumps(SystemExit(3)), pickle.dumps(KeyboardInterrupt())],
)  # fmt: skip
def test_what_cannot_be_rebuilt_keeps_its_name_and_text(pickled: bytes) -> None:
    error = rebuild_error("x.Fussy", "1 2", "there", pickled=pickled, trust="mine")

    assert isinstance(error, RemoteError)
    assert (error.type, error.message) == ("x.Fussy", "1 2")
    assert "there" in str(error.__cause__)


def test_a_strangers_error_is_rebuilt_from_a_list_and_never_unpickled() -> None:
    pickled = pickle.dumps(Attack())
    known = rebuild_error("ValueError", "bad", "", pickled=pickled, trust="safe")
    other = rebuild_error("SystemExit", "3", "", pickled=pickled, trust="safe")
    odd = rebuild_error("exec", "1", "", pickled=pickled, trust="safe")

    assert type(known) is ValueError
    assert str(known) == "bad"
    assert isinstance(other, RemoteError)
    assert isinstance(odd, RemoteError)


@pytest.mark.parametrize(
    "raised",
    [ValueError("bad", 3, [1]), KeyError("k"), FileNotFoundError(2, "No such file"),
     UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"), ZeroDivisionError()],
)  # fmt: skip
def test_a_strangers_error_of_pythons_own_comes_back_with_its_arguments(
    raised: Exception,
) -> None:
    raised.add_note("a note")
    name = type(raised).__name__
    again = rebuild_error(name, str(raised), "", pickled=pickle.dumps(raised, 5),
                          trust="safe")  # fmt: skip

    assert type(again) is type(raised)
    assert again.args == raised.args
    assert str(again) == str(raised)
    assert again.__notes__ == ["a note"]


class Sneaky(ValueError):
    """Says that it is a ValueError, and brings code along."""

    def __reduce__(self) -> tuple[Any, ...]:
        return ValueError, (Attack(),)


@pytest.mark.parametrize(
    ("name", "pickled"),
    [
        ("ValueError", pickle.dumps(Attack())),
        ("ValueError", pickle.dumps(Sneaky())),
        ("ValueError", pickle.dumps(SystemExit(3))),
        ("ValueError", pickle.dumps("no exception")),
        ("ValueError", b"garbage"),
        ("UnicodeDecodeError", b""),
        ("KeyboardInterrupt", pickle.dumps(KeyboardInterrupt())),
        ("x.Coloured", pickle.dumps(Coloured("red"))),
    ],
)
def test_an_error_that_lies_about_itself_is_told_by_name_and_text(
    name: str, pickled: bytes
) -> None:
    error = rebuild_error(name, "why", "", pickled=pickled, trust="safe")

    assert type(error) is (ValueError if name == "ValueError" else RemoteError)
    assert "why" in str(error)


@EVERY_TRUST
def test_what_a_stranger_says_can_not_drive_a_terminal(trust: Trust) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202eevil\u202c\r"
    for name in ("ValueError", f"x.{evil}"):
        error = rebuild_error(
            name, evil, f"line\n\tat {evil}", pickled=b"", trust=trust
        )
        shown = "".join(traceback.format_exception(error))
        if trust == "safe":
            assert set(shown) <= {"\n", "\t", *filter(str.isprintable, shown)}, shown
            assert "\\x1b]0;owned\\x07" in str(error)
        cause = str(error.__cause__)
        assert all(one.isprintable() or one in "\n\t" for one in cause)


def test_a_remote_traceback_survives_pickling() -> None:
    cause = pickle.loads(pickle.dumps(RemoteTraceback("there")))
    assert cause.text == "there"


def test_an_array_outside_of_its_pickle_is_a_view_for_who_trusts_it() -> None:
    array = np.arange(100)
    left: list[pickle.PickleBuffer] = []
    data = pickle.dumps(array, 5, buffer_callback=left.append)
    item = b"".join(pack_value(data, [one.raw() for one in left]))
    packed = pack_items([item, pickle.dumps([1], 5)])
    first, second = unpack_values(Form.ITEMS, packed, "mine")
    assert isinstance(first, np.ndarray)
    assert (first == array).all()
    assert not first.flags.writeable
    assert second == [1]
    values = unpack_values(Form.ITEMS, packed, "safe")
    assert values[1] == [1]
    safe = values[0]
    assert isinstance(safe, np.ndarray)
    assert (safe == array).all()
    assert not safe.flags.writeable


@pytest.mark.parametrize("item", [bytes(8), bytes(100), b"\0\1" + bytes(20)])
def test_what_only_begins_like_an_array_is_refused(item: bytes) -> None:
    values = unpack_values(Form.ITEMS, pack_items([item]), "safe")
    with pytest.raises(PeerError, match="can't be decoded"):
        _ = values[0]
