"""Values out of bytes, and exceptions out of failures.

| form | data |
|---|---|
| SCALARS | one pickle of a list of ints, floats, strings, bytes, bools and None |
| ITEMS | packed items, one pickle each; nothing in place of a task that failed |

To unpickle is to run what the sender wrote, so `trust` decides how far it goes:

- "mine" (slots of the own machine, and of peers that its owner allows) and "pickle"
  (the caller's explicit wish): anything;
- "safe" (everybody else): plain data and containers of it, dates, exact numbers, paths,
  UUIDs, NumPy arrays, and instances of types that the program has named. Nothing of it
  is unpickled: `p2pslinger.client.reading` reads it.

Scalars are decoded without any globals, whoever sent them. An item stays encoded until
the program asks for it. A NumPy array of some megabytes is a view on the memory that it
came in: it can't be written to, and nobody else can change it either.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from functools import partial
from typing import Literal, NoReturn, overload

from p2pslinger.client.making import Making
from p2pslinger.client.memory import unpack_value
from p2pslinger.client.named import Named
from p2pslinger.client.raising import rebuilt
from p2pslinger.client.reading import read
from p2pslinger.client.symbols import refusal
from p2pslinger.errors import PeerError, RemoteError, UntrustedValueError
from p2pslinger.wire.packed import unpack_items
from p2pslinger.wire.visible import visible

Trust = Literal["safe", "mine", "pickle"]

#: No types at all.
NOBODY = Named()


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

    def __init__(
        self, items: Sequence[memoryview], trust: Trust, named: Named = NOBODY
    ) -> None:
        self._items = items
        self._loads: Callable[[memoryview], object] = _load_item
        if trust == "safe":
            self._loads = partial(_load_plain_item, named=named)

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
    form: int, data: bytes | memoryview, trust: Trust, named: Named = NOBODY
) -> Sequence[object]:
    """Decode the values of a range: a list of scalars, or items that decode on demand.

    Args:
        form: How they are encoded.
        data: The bytes.
        trust: How far their maker is trusted.
        named: Types that are decoded even if that is not far.

    Raises:
        PeerError: The bytes are not what `form` says.
        UntrustedValueError: From the items, when one is more than plain data and
            `trust` is "safe".
    """
    if form == Form.ITEMS:
        return PackedValues(unpack_items(data), trust, named)
    if form != Form.SCALARS:
        raise PeerError(f"sent values of the unknown form {form}")
    if trust == "safe":
        values = read(data, Making(NOBODY), ())
    else:
        values = _loads_without_names(data)
    if not isinstance(values, list):
        raise PeerError(
            f"sent a {type(values).__name__} where a list of values belongs"
        )
    return values


def unpack_parts(parts: Sequence[bytes], trust: Trust) -> object:
    """Decode one value whose pickle and buffers have come apart.

    Raises:
        PeerError, UntrustedValueError: as `unpack_values` does.
        Exception: what the value's own code raises.
    """
    first, *buffers = parts
    if trust == "safe":
        return read(first, Making(NOBODY), [memoryview(one) for one in buffers])
    return pickle.loads(first, buffers=buffers)


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
    error = rebuilt(type_name, message, pickled) if trust == "safe" else None
    if error is None:
        error = _unpickle_error(pickled) or RemoteError(type_name, message)
    error.__cause__ = RemoteTraceback(visible(traceback))
    return error


def _unpickle_error(pickled: bytes) -> Exception | None:
    if not pickled:
        return None
    try:
        found = pickle.loads(pickled)
    except Exception:  # noqa: BLE001  # runs the exception class's own code
        return None
    return found if isinstance(found, Exception) else None


# --- plain data ---------------------------------------------------------------------


class _NamelessUnpickler(pickle.Unpickler):
    """Loads pickles that name nothing."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise refusal(f"{module}.{name}")


def _loads_without_names(data: bytes | memoryview) -> object:
    try:
        return _NamelessUnpickler(io.BytesIO(data)).load()
    except UntrustedValueError:
        raise
    except Exception as error:  # a broken pickle can raise almost anything
        raise PeerError(f"sent values that can't be decoded: {error!r:.200}") from error


def _load_plain_item(item: memoryview, named: Named) -> object:
    """Load what nobody vouches for."""
    try:
        first, *buffers = unpack_value(item)
    except ValueError as error:
        raise PeerError(f"sent a value that can't be decoded: {error}") from error
    return read(first, Making(named), [one.toreadonly() for one in buffers])
