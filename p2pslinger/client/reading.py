"""Pickles of strangers, read without running what is in them.

A pickle is a program for a small machine, and Python's own machine does what it says:
call this, with that. The machine here knows the same instructions, and calls nothing:

- plain data it makes itself;
- a class or function is a `Symbol`, no more than its name. Calling one makes what
  `p2pslinger.client.making` knows how to make from plain arguments, or an instance of a
  type that the program has named. Of anything else it makes an `Inert`, which remembers
  what was wanted and does nothing;
- the value is refused if anything inert is left in it. What is not needed for it in the
  end (such as the body of a class that came along) harms nobody;
- memory and time follow from the bytes that have come: no instruction reserves any, and
  what refers to itself many times, nests too deep or collides too often is refused.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence, Sized
from typing import Any, Protocol, cast

from p2pslinger import limits
from p2pslinger.client.survey import size_of, survey
from p2pslinger.client.symbols import Draft, Inert, Symbol, refusal
from p2pslinger.client.tape import I4, U2, U4, Tape
from p2pslinger.errors import PeerError

#: Memo places up to which references are not counted: they are strings of a few bytes.
_SMALL = 16

#: Keys whose hash neither goes deep nor takes long.
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})

#: What a broken pickle can raise while it is read.
BROKEN = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    struct.error,
    RecursionError,
)


class Making(Protocol):
    """Makes what is more than plain data; see `p2pslinger.client.making`."""

    def call(self, symbol: Symbol, arguments: tuple[object, ...]) -> object:
        """Return what calling something gives, or an `Inert`."""

    def new(self, symbol: Symbol, arguments: tuple[object, ...]) -> object:
        """Return a new instance of a class, or an `Inert`."""

    def build(self, made: object, state: object) -> object:
        """Return an instance as its state says: itself, or another in its place."""

    def unfinished(self) -> str:
        """Return what was made and never got its state, or ""."""


def read(
    data: bytes | memoryview, making: Making, buffers: Sequence[memoryview]
) -> object:
    """Read a pickle.

    Args:
        data: The pickle.
        making: Makes what is more than plain data.
        buffers: What lies outside of the pickle.

    Raises:
        PeerError: these bytes are no pickle, or none that an honest peer makes.
        UntrustedValueError: it holds what can't be made without running its code.
    """
    try:
        return _Machine(data, making, buffers).run()
    except BROKEN as error:
        raise PeerError(
            f"sent a value that can't be decoded: {error!r:.200}"
        ) from error


class _Machine(Tape):
    """Reads one pickle."""

    def __init__(
        self, data: bytes | memoryview, making: Making, buffers: Sequence[memoryview]
    ) -> None:
        super().__init__(data, buffers)
        self._making = making
        self._below: list[list[object]] = []
        self._memo: list[object] = []
        self._hashes: dict[int, Counter[int]] = {}
        self._containers = 0
        self._repeated = 0
        self._hashed = 0
        self._tangled = False

    def run(self) -> object:
        """Return the value."""
        data, acts = self.data, _ACTS
        while True:
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                break
            act = acts.get(code)
            if act is None:
                raise refusal(f"an object (by the pickle instruction {_name(code)})")
            act(self)
        (value,) = self.stack
        if self._below:
            raise ValueError("it ends inside of a container")
        self._check(value)
        return value

    @property
    def _most(self) -> int:
        """Bytes that the value may have when it is written out."""
        size = len(self.data) + self.outside_size
        return limits.EXPANSION_FREE + limits.EXPANSION * size

    def _check(self, value: object) -> None:
        most = self._most
        if self._repeated > most:
            raise PeerError("sent a value that repeats itself without end")
        if self._tangled or self._containers > limits.VALUE_DEPTH:
            survey(value, most)
        if unfinished := self._making.unfinished():
            raise PeerError(f"sent a {unfinished} without anything in it")

    # --- containers -------------------------------------------------------------------

    def _count(self) -> None:
        self._containers += 1
        if self._containers > limits.VALUE_CONTAINERS:
            raise PeerError(
                f"sent a value of more than {limits.VALUE_CONTAINERS:,} containers"
            )

    def empty(self, make: Callable[[], object]) -> None:
        """Begin a container."""
        self._count()
        self.stack.append(make())

    def mark(self) -> None:
        """Begin what goes into one."""
        self._below.append(self.stack)
        self.stack = []

    def _marked(self) -> list[object]:
        items, self.stack = self.stack, self._below.pop()
        return items

    def tuple_of(self, count: int) -> None:
        """Make a tuple of what came last."""
        self._count()
        if len(self.stack) < count:
            raise ValueError("a tuple of what has not come")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def marked_tuple(self) -> None:
        """Make a tuple of what has come since the mark."""
        self._count()
        items = tuple(self._marked())  # first: it brings back the stack below
        self.stack.append(items)

    def extend(self, items: list[object]) -> None:
        """Put items into the list on top."""
        into = self.stack[-1]
        if type(into) is list or (
            type(into) is deque and (into.maxlen is None or len(items) <= into.maxlen)
        ):
            into.extend(items)
        else:
            self._refuse_to_fill(into)

    def append(self) -> None:
        """Put one item into a list."""
        self.extend([self.stack.pop()])

    def appends(self) -> None:
        """Put several."""
        self.extend(self._marked())

    def _set(self, items: list[object]) -> None:
        into = self.stack[-1]
        if type(into) is not dict and type(into) is not OrderedDict:
            self._refuse_to_fill(into)
            return
        if len(items) % 2:
            raise ValueError("a key without a value")
        keys = cast("list[Any]", items[::2])
        self._check_keys(into, keys)
        into.update(zip(keys, items[1::2], strict=True))

    def set_one(self) -> None:
        """Put one key into a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def set_several(self) -> None:
        """Put several."""
        self._set(self._marked())

    def add(self) -> None:
        """Put items into a set."""
        items = cast("list[Any]", self._marked())
        into = self.stack[-1]
        if type(into) is not set:
            self._refuse_to_fill(into)
            return
        self._check_keys(into, items)
        into.update(items)

    def frozen(self) -> None:
        """Make a frozen set of what has come since the mark."""
        self._count()
        items = cast("list[Any]", self._marked())
        self._check_keys((), items)
        self.stack.append(frozenset(items))

    def _check_keys(self, into: Sized, keys: Sequence[Hashable]) -> None:
        """See that keys can be hashed, and a table does not become a list.

        Python hashes a tuple with all that is in it, on the processor's stack, as often
        as it is referred to; and a whole number takes as long as it is. And keys of
        equal hashes are compared.
        """
        if self._repeated > self._most:
            raise PeerError("sent a value that repeats itself without end")
        if not _PLAIN.issuperset(map(type, keys)):
            self._hashed += sum(map(_hashed_size, keys))
            if self._hashed > self._most:
                raise PeerError("sent keys that repeat themselves without end")
        if len(into) + len(keys) <= limits.SAME_HASH:
            return
        counts = self._hashes.setdefault(id(into), Counter())
        hashes = list(map(hash, keys))
        counts.update(hashes)
        if max(map(counts.__getitem__, hashes), default=0) > limits.SAME_HASH:
            raise PeerError("sent keys that were made to collide")

    def _refuse_to_fill(self, into: object) -> None:
        if not isinstance(into, Inert):
            raise ValueError(f"a {type(into).__name__} is filled like a container")

    # --- what came before -------------------------------------------------------------

    def memoize(self) -> None:
        """Remember what is on top."""
        top = self.stack[-1]
        if isinstance(top, Draft):
            top.place = len(self._memo)
        self._memo.append(top)

    def get(self, place: int) -> None:
        """Take what came before once more."""
        value = self._memo[place]
        self.stack.append(value)
        if isinstance(value, str | bytes):
            self._repeated += max(0, len(value) - _SMALL)
        elif type(value) is int:
            self._repeated += value.bit_length() >> 3
        elif not isinstance(value, Symbol):
            self._tangled = True

    def pop(self) -> None:
        """Throw away what is on top."""
        self.stack.pop()

    # --- more than plain data ---------------------------------------------------------

    def symbol(self) -> None:
        """Name a class or function, by what is on top."""
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name that is no text")
        self._tangled = True
        self.stack.append(Symbol(module, name))

    def _made(self, make: Callable[[Symbol, tuple[object, ...]], object]) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(arguments, tuple):
            raise ValueError("a call without arguments")
        if isinstance(what, Symbol):
            self.stack.append(make(what, arguments))
        elif isinstance(what, Inert):
            self.stack.append(what)
        else:
            raise ValueError(f"a call of a {type(what).__name__}")

    def reduce(self) -> None:
        """Call what is named."""
        self._made(self._making.call)

    def new(self) -> None:
        """Make an instance of what is named."""
        self._made(self._making.new)

    def build(self) -> None:
        """Give an instance its state."""
        state, made = self.stack.pop(), self.stack[-1]
        if type(made) is Inert:
            return
        built = self._making.build(made, state)
        self.stack[-1] = built
        if isinstance(made, Draft) and made.place >= 0:
            self._memo[made.place] = built


def _hashed_size(key: object) -> int:
    if isinstance(key, tuple) and _PLAIN.issuperset(map(type, key)):
        return len(key) + sum(n.bit_length() >> 3 for n in key if type(n) is int)
    return 0 if type(key) in _PLAIN else size_of(key)


def _name(code: int) -> str:
    import pickletools

    names = {op.code: op.name for op in pickletools.opcodes}
    try:
        return names[chr(code)]
    except KeyError:
        raise ValueError(f"no instruction {code}") from None


_STOP = pickle.STOP[0]

#: What each instruction does.
_ACTS: dict[int, Callable[[_Machine], None]] = {
    code[0]: act
    for code, act in {
        pickle.PROTO: lambda m: m.skip(1),
        pickle.FRAME: lambda m: m.skip(8),
        pickle.NONE: lambda m: m.push(None),
        pickle.NEWTRUE: lambda m: m.push(True),
        pickle.NEWFALSE: lambda m: m.push(False),
        pickle.BININT: lambda m: m.push_integer(I4),
        pickle.BININT1: _Machine.small,
        pickle.BININT2: lambda m: m.push_integer(U2),
        pickle.LONG1: lambda m: m.integer(1),
        pickle.LONG4: lambda m: m.integer(4),
        pickle.BINFLOAT: _Machine.real,
        pickle.SHORT_BINUNICODE: lambda m: m.string(1),
        pickle.BINUNICODE: lambda m: m.string(4),
        pickle.BINUNICODE8: lambda m: m.string(8),
        pickle.SHORT_BINBYTES: lambda m: m.string_of_bytes(1),
        pickle.BINBYTES: lambda m: m.string_of_bytes(4),
        pickle.BINBYTES8: lambda m: m.string_of_bytes(8),
        pickle.BYTEARRAY8: _Machine.changeable,
        pickle.NEXT_BUFFER: _Machine.outside,
        pickle.READONLY_BUFFER: lambda m: None,
        pickle.EMPTY_LIST: lambda m: m.empty(list),
        pickle.EMPTY_DICT: lambda m: m.empty(dict),
        pickle.EMPTY_SET: lambda m: m.empty(set),
        pickle.EMPTY_TUPLE: lambda m: m.push(()),
        pickle.MARK: _Machine.mark,
        pickle.TUPLE: _Machine.marked_tuple,
        pickle.TUPLE1: lambda m: m.tuple_of(1),
        pickle.TUPLE2: lambda m: m.tuple_of(2),
        pickle.TUPLE3: lambda m: m.tuple_of(3),
        pickle.APPEND: _Machine.append,
        pickle.APPENDS: _Machine.appends,
        pickle.SETITEM: _Machine.set_one,
        pickle.SETITEMS: _Machine.set_several,
        pickle.ADDITEMS: _Machine.add,
        pickle.FROZENSET: _Machine.frozen,
        pickle.MEMOIZE: _Machine.memoize,
        pickle.BINGET: lambda m: m.get(m.take(1)[0]),
        pickle.LONG_BINGET: lambda m: m.get(m.number(U4)),
        pickle.POP: _Machine.pop,
        pickle.STACK_GLOBAL: _Machine.symbol,
        pickle.REDUCE: _Machine.reduce,
        pickle.NEWOBJ: _Machine.new,
        pickle.BUILD: _Machine.build,
    }.items()
}
