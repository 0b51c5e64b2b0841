"""Values out of bytes, and exceptions out of failures.

| form | data |
|---|---|
| SCALARS | one pickle of a list of ints, floats, strings, bytes, bools and None |
| ITEMS | packed items, one pickle each; nothing in place of a task that failed |

To unpickle is to run what the sender wrote, so `trust` decides how far it goes:

- "mine" (slots of the own machine) and "pickle" (the caller's explicit wish): anything;
- "safe" (everybody else): scalars, and containers of them. The pickle is read first,
  and refused if it names any class or function or uses an instruction that plain data
  does not need; such as one that asks for gigabytes of memory in six bytes.

Scalars are decoded without any globals, whoever sent them. An item stays encoded until
the program asks for it. A NumPy array of some megabytes is a view on the memory that it
came in: it can't be written to, and nobody else can change it either.
"""

from __future__ import annotations

import builtins
import io
import pickle
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Literal, NoReturn, overload

from p2pslinger.client.memory import unpack_value
from p2pslinger.errors import PeerError, RemoteError, UntrustedValueError
from p2pslinger.wire.packed import unpack_items

Trust = Literal["safe", "mine", "pickle"]

#: Pickle's instructions for plain data. The ones missing look up names, call things or
#: write to a numbered place of the memo, which is allocated up to that number.
_PLAIN_OPCODES = frozenset(
    {
        "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "LONG_BINGET", "NONE",
        "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4",
        "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES",
        "BINBYTES", "BINBYTES8", "BYTEARRAY8", "EMPTY_LIST", "APPEND", "APPENDS",
        "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET",
        "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    }
)  # fmt: skip

#: Exceptions that are rebuilt from their name and text when their pickle is not read.
_WELL_KNOWN = frozenset(
    {
        "ArithmeticError", "AssertionError", "AttributeError", "BufferError",
        "EOFError", "Exception", "FileExistsError", "FileNotFoundError",
        "FloatingPointError", "ImportError", "IndexError", "IsADirectoryError",
        "KeyError", "LookupError", "MemoryError", "ModuleNotFoundError", "NameError",
        "NotADirectoryError", "NotImplementedError", "OSError", "OverflowError",
        "PermissionError", "RecursionError", "ReferenceError", "RuntimeError",
        "SyntaxError", "TimeoutError", "TypeError", "UnboundLocalError", "ValueError",
        "ZeroDivisionError",
    }
)  # fmt: skip


class Form(IntEnum):
    """How the values of a range are encoded."""

    SCALARS = 0
    ITEMS = 1


class RemoteTraceback(Exception):  # noqa: N818  # concurrent.futures calls its own so
    """The traceback on the other machine; the `__cause__` of a task's exception."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


class PackedValues(Sequence[object]):
    """The values of a range, each decoded when it is asked for, and not kept.

    A failed task has no value; its place reads None.
    """

    __slots__ = ("_items", "_loads")

    def __init__(self, items: Sequence[memoryview], trust: Trust) -> None:
        self._items = items
        self._loads = _load_plain_item if trust == "safe" else _load_item

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[object]:
        loads = self._loads
        return (loads(item) if item else None for item in self._items)

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> PackedValues: ...
    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):  # still encoded: one may not be decodable
            part = PackedValues(self._items[index], "safe")
            part._loads = self._loads
            return part
        item = self._items[index]
        return self._loads(item) if item else None


def unpack_values(
    form: int, data: bytes | memoryview, trust: Trust
) -> Sequence[object]:
    """Decode the values of a range: a list of scalars, or items that decode on demand.

    Raises:
        PeerError: The bytes are not what `form` says.
        UntrustedValueError: From the items, when one is more than plain data and
            `trust` is "safe".
    """
    if form == Form.ITEMS:
        return PackedValues(unpack_items(data), trust)
    if form != Form.SCALARS:
        raise PeerError(f"sent values of the unknown form {form}")
    values = _load_plain(data) if trust == "safe" else _loads_without_names(data)
    if not isinstance(values, list):
        raise PeerError(
            f"sent a {type(values).__name__} where a list of values belongs"
        )
    return values


def _load_item(item: memoryview) -> object:
    """Load a value; its large arrays are views on what has come, which stays so long.

    Raises:
        Exception: what the value's own code raises.
    """
    first, *buffers = unpack_value(item)
    return pickle.loads(first, buffers=buffers)


def rebuild_error(
    type_name: str, message: str, traceback: str, *, pickled: bytes, trust: Trust
) -> Exception:
    """Rebuild what a task raised, with the remote traceback as its `__cause__`.

    What can't or may not be rebuilt becomes a `RemoteError` with the same name and
    text. So does what is no `Exception`: a task's SystemExit must not end the program
    that asks for its result.
    """
    error = _unpickle_error(pickled) if trust != "safe" else None
    if error is None and trust == "safe" and type_name in _WELL_KNOWN:
        error = getattr(builtins, type_name)(message)
    if not isinstance(error, Exception):
        error = RemoteError(type_name, message)
    error.__cause__ = RemoteTraceback(traceback)
    return error


def _unpickle_error(pickled: bytes) -> object:
    if not pickled:
        return None
    try:
        return pickle.loads(pickled)
    except Exception:  # noqa: BLE001  # runs the exception class's own code
        return None


# --- plain data ---------------------------------------------------------------------


class _NamelessUnpickler(pickle.Unpickler):
    """Loads pickles that name nothing."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise _refusal(f"{module}.{name}")


def _loads_without_names(data: bytes | memoryview) -> object:
    try:
        return _NamelessUnpickler(io.BytesIO(data)).load()
    except UntrustedValueError:
        raise
    except Exception as error:  # a broken pickle can raise almost anything
        raise PeerError(f"sent values that can't be decoded: {error!r:.200}") from error


def _load_plain_item(item: memoryview) -> object:
    """Load what nobody vouches for; plain data has nothing outside of its pickle."""
    try:
        return _load_plain(unpack_value(item)[0])
    except ValueError as error:
        raise PeerError(f"sent a value that can't be decoded: {error}") from error


def _load_plain(data: bytes | memoryview) -> object:
    """Load what nobody vouches for, after reading every instruction in it."""
    # Imported when first needed: most programs trust the slots that they use.
    import pickletools

    instructions = {op.code.encode("latin-1"): op for op in pickletools.opcodes}
    file = io.BytesIO(data)
    strings: list[str] = []
    try:
        while (code := file.read(1)) != pickle.STOP:
            instruction = instructions[code]
            if instruction.name not in _PLAIN_OPCODES:
                raise _refusal(_named(instruction.name, file, strings))
            if instruction.arg is not None:
                argument = instruction.arg.reader(file)
                if isinstance(argument, str):
                    strings = [*strings[-1:], argument]
    except (KeyError, ValueError) as error:
        raise PeerError(
            f"sent a value that can't be decoded: {error!r:.200}"
        ) from error
    return _loads_without_names(data)


def _named(opcode: str, file: io.BytesIO, strings: list[str]) -> str:
    """Name the class that an instruction is about, as far as it can be told."""
    if opcode == "STACK_GLOBAL":
        return ".".join(strings)
    if opcode == "GLOBAL":
        lines = (file.readline().decode("ascii", "replace") for _ in range(2))
        return ".".join(map(str.strip, lines))
    return f"an object (by the pickle instruction {opcode})"


def _refusal(what: str) -> UntrustedValueError:
    return UntrustedValueError(
        f"a result holds {what:.200}, and decoding it would run its maker's code here; "
        'return plain data, or pass trust="pickle" if you trust all peers that compute'
    )
