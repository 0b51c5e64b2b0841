"""What a pickle would make, as a picture of it: nothing is called, made or imported.

To unpickle is to run what the sender wrote. To compare two values it is enough to know
how they are put together: their numbers, texts and containers, and the names of what
would be called with them. So the instructions are followed with a `Made` in place of
everything that is not plain data. Whatever the bytes say, this takes time and memory in
proportion to them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from p2pslinger.errors import PeerError

if TYPE_CHECKING:
    from pickletools import OpcodeInfo

#: Instructions that are followed at most: about a quarter of a second's worth.
INSTRUCTIONS = 200_000

#: Characters of a name that may be called. A text of megabytes, named by a few bytes
#: again and again, would be put together as often.
NAME = 300

#: Instructions that push a plain value, which is their argument.
_VALUES = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    }
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {
    "EMPTY_LIST": "list",
    "EMPTY_DICT": "dict",
    "EMPTY_SET": "set",
    "EMPTY_TUPLE": "tuple",
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = frozenset({"PROTO", "FRAME"})


#: How an item begins that keeps large buffers outside of its pickle, and what these are
#: aligned to (`p2pslinger.sandbox.shared`).
_NUMBER, _ALIGNED, _MOST_PARTS = struct.Struct("<Q"), 64, 1 << 20


@cache
def _by_code() -> dict[bytes, OpcodeInfo]:
    """Return what is known of each instruction, by the byte that stands for it."""
    import pickletools  # a long table, and most peers never compare anything

    return {op.code.encode("latin-1"): op for op in pickletools.opcodes}


class UnreadableError(PeerError):
    """These bytes are no pickle that slots write, or too long a one."""


@dataclass(slots=True, eq=False)
class Made:
    """What a pickle would make, if it is no plain scalar.

    Attributes:
        kind: "list", "tuple", "dict" (keys and values by turns), "set", "frozenset",
            "bytearray", "name", "call" (what, with which arguments), "state".
        parts: What it is made of. What is added to an object comes behind.
    """

    kind: str
    parts: list[object] = field(default_factory=list)


_MARK = Made("mark")


def parts_of(item: bytes | memoryview) -> list[memoryview]:
    """Return a value's pickle, and the buffers that lie beside it.

    Raises:
        UnreadableError: It begins like a value with buffers, and is none.
    """
    item = memoryview(item)
    if len(item) < _NUMBER.size or item[0]:
        return [item]
    (first,) = _NUMBER.unpack_from(item)
    whole = item[_NUMBER.size + (first >> 8) :]
    if len(whole) < _NUMBER.size:
        raise UnreadableError("sent a value without its parts")
    (count,) = _NUMBER.unpack_from(whole)
    head = _NUMBER.size * (1 + count)
    if not 1 <= count <= _MOST_PARTS or head > len(whole):
        raise UnreadableError("sent a value of too many parts for its bytes")
    sizes = [size for (size,) in _NUMBER.iter_unpack(whole[_NUMBER.size : head])]
    ends = [*accumulate(sizes, lambda at, n: at + -at % _ALIGNED + n, initial=head)]
    if ends[-1] != len(whole):
        raise UnreadableError("sent a value whose parts do not fit its bytes")
    return [whole[end - size : end] for size, end in zip(sizes, ends[1:], strict=True)]


def picture(
    data: bytes | memoryview,
    buffers: Iterable[memoryview] = (),
    *,
    most: int = INSTRUCTIONS,
) -> object:
    """Return the picture of a pickled value.

    Args:
        data: The pickle.
        buffers: What lies beside it.
        most: Instructions that are followed.

    Raises:
        UnreadableError: It is none, or one of too many instructions.
    """
    try:
        return _Painter(iter(buffers)).paint(data, most)
    except (LookupError, ValueError, TypeError, StopIteration) as error:
        raise UnreadableError("sent a value that is no pickle") from error


class _Painter:
    def __init__(self, buffers: Iterator[memoryview]) -> None:
        self._buffers = buffers
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._actions: dict[str, Callable[[object], None]] = {
            "MARK": lambda _: self._stack.append(_MARK),
            "POP": lambda _: self._drop(),
            "MEMOIZE": lambda _: self._remember(len(self._memo)),
            "BINPUT": lambda n: self._remember(_index(n)),
            "LONG_BINPUT": lambda n: self._remember(_index(n)),
            "BINGET": lambda n: self._stack.append(self._memo[_index(n)]),
            "LONG_BINGET": lambda n: self._stack.append(self._memo[_index(n)]),
            "BYTEARRAY8": lambda b: self._stack.append(Made("bytearray", [_raw(b)])),
            "APPEND": lambda _: self._add([self._stack.pop()]),
            "APPENDS": lambda _: self._add(self._to_mark()),
            "SETITEM": lambda _: self._add(
                [self._stack.pop(), self._stack.pop()][::-1]
            ),
            "SETITEMS": lambda _: self._add(self._to_mark()),
            "ADDITEMS": lambda _: self._add(self._to_mark()),
            "TUPLE": lambda _: self._stack.append(Made("tuple", self._to_mark())),
            "FROZENSET": lambda _: self._stack.append(
                Made("frozenset", self._to_mark())
            ),
            "GLOBAL": lambda name: self._name(*str(name).split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(*map(_text, self._last(2))),
            "REDUCE": lambda _: self._stack.append(Made("call", self._last(2))),
            "NEWOBJ": lambda _: self._stack.append(Made("call", self._last(2))),
            "NEWOBJ_EX": lambda _: self._stack.append(Made("call", self._last(3))),
            "BUILD": lambda _: self._add([Made("state", self._last(1))]),
            "NEXT_BUFFER": lambda _: self._stack.append(next(self._buffers)),
            "READONLY_BUFFER": lambda _: None,
        }

    def paint(self, data: bytes | memoryview, most: int) -> object:
        file, by_code = io.BytesIO(data), _by_code()
        for _ in range(most):
            op = by_code[file.read(1)]
            if op.name == "STOP":
                (only,) = self._stack
                return only
            argument = op.arg.reader(file) if op.arg is not None else None
            self._follow(op.name, argument)
        raise UnreadableError("sent a value of too many parts to be compared")

    def _follow(self, name: str, argument: object) -> None:
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(Made(_EMPTY[name]))
        elif name in _TUPLES:
            self._stack.append(Made("tuple", self._last(_TUPLES[name])))
        elif name not in _IGNORED:
            self._actions[name](argument)

    def _last(self, count: int) -> list[object]:
        if len(self._stack) < count:
            raise IndexError(count)
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _to_mark(self) -> list[object]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        taken = self._stack[at + 1 :]
        del self._stack[at:]
        return taken

    def _drop(self) -> None:
        self._stack.pop()

    def _remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def _add(self, parts: list[object]) -> None:
        made = self._stack[-1]
        if not isinstance(made, Made) or made is _MARK:
            raise TypeError("added to plain data")
        made.parts += parts

    def _name(self, module: str, name: str) -> None:
        if len(module) + len(name) > NAME:
            raise ValueError("named by too long a text")
        # Where NumPy keeps these has changed; what they are has not.
        module = module.replace("numpy._core", "numpy.core")
        self._stack.append(Made("name", [f"{module}.{name}"]))


def _index(number: object) -> int:
    assert isinstance(number, int)
    return number


def _text(part: object) -> str:
    """Return a text as it is: what something else looks like may be without end."""
    if not isinstance(part, str):
        raise TypeError("named by something else than a text")
    return part


def _raw(data: object) -> bytes:
    assert isinstance(data, bytearray)
    return bytes(data)
