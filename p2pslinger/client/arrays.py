"""NumPy arrays of strangers, made from their bytes after everything else is checked.

An array is a type of items, a shape and bytes: the three must fit. Items are numbers,
dates, texts or bytes, or records of these, and never objects. NumPy is imported when
the first array comes.
"""

from __future__ import annotations

import math
import re
from types import ModuleType
from typing import Any

from p2pslinger.client.symbols import Draft, Inert, Symbol
from p2pslinger.errors import UntrustedValueError

#: Where NumPy keeps its functions: 1.x, and 2.x.
_MODULES = re.compile(r"numpy(?:\._?core)?\.(?:multiarray|numeric)|numpy")

_CALLS = frozenset({"_frombuffer", "_reconstruct", "scalar", "dtype", "ndarray"})

#: Types of items: kind and size. Not objects, and nothing of no size.
_ITEM = re.compile(r"(?:[biufc?mM]\d{0,2}|[SUV][1-9]\d{0,8})")

#: Units of dates and time spans.
_UNITS = frozenset(
    ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
)

#: Dimensions of an array, fields of a record, and records inside of records.
_DIMENSIONS, _FIELDS, _NESTED = 32, 1000, 8


def knows(symbol: Symbol) -> bool:
    """Tell whether a function is one of those that make arrays."""
    return symbol.name in _CALLS and bool(_MODULES.fullmatch(symbol.module))


def call(symbol: Symbol, arguments: tuple[object, ...]) -> object:
    """Return an array, a number of NumPy's, or what becomes one."""
    _numpy()
    if symbol.name in {"dtype", "_reconstruct"}:
        return Draft(symbol, arguments)
    if symbol.name == "_frombuffer":
        buffer, items, shape, order = arguments
        return _array(items, shape, buffer, order)
    if symbol.name == "scalar":
        items, raw = arguments
        found: object = _array(items, (1,), raw, "C")[0]
        return found
    return Inert(symbol)


def build(draft: Draft, state: object) -> object:
    """Return what a draft becomes."""
    if not isinstance(state, tuple):
        raise ValueError("an array with a state that is none")
    if draft.what.name == "dtype":
        return _items(draft, state)
    _, shape, items, is_fortran, raw = state
    return _array(items, shape, raw, "F" if is_fortran else "C").copy()


def _array(items: object, shape: object, buffer: object, order: object) -> Any:
    np = _numpy()
    if not isinstance(items, np.dtype) or items.hasobject or not items.itemsize:
        raise ValueError("an array of objects")
    if not isinstance(shape, tuple) or len(shape) > _DIMENSIONS:
        raise ValueError("an array of no shape")
    if any(type(one) is not int or one < 0 for one in shape) or order not in {"C", "F"}:
        raise ValueError("an array of no shape")
    if not isinstance(buffer, bytes | bytearray | memoryview):
        raise ValueError("an array without bytes")
    size = buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
    if math.prod(shape) * items.itemsize != size:
        raise ValueError(f"an array of shape {shape} in {size} bytes")
    if not size:
        return np.empty(shape, items)
    return np.frombuffer(buffer, items).reshape(shape, order=order)


def _items(draft: Draft, state: tuple[object, ...]) -> Any:
    """Return a type of items."""
    np = _numpy()
    name = draft.arguments[0]
    _, order, inner, names, fields, size, *rest = state
    if not isinstance(name, str) or not _ITEM.fullmatch(name) or inner is not None:
        raise ValueError("an array of objects")
    if order not in {"<", ">", "|", "="}:
        raise ValueError("an array of no byte order")
    if names is not None:
        return _record(names, fields, size)
    if name[0] in "mM":
        name += _unit(rest)
    return np.dtype(name).newbyteorder(str(order))


def _unit(rest: list[object]) -> str:
    """Return the unit of a date or time span."""
    said = rest[-1] if len(rest) > 2 else None
    if not isinstance(said, tuple) or len(said) != 2 or not isinstance(said[1], tuple):
        return ""
    unit, count = said[1][0], said[1][1]
    unit = unit.decode("ascii") if isinstance(unit, bytes) else unit
    if unit == "generic":
        return ""
    if unit not in _UNITS or type(count) is not int or not 1 <= count < 2**31:
        raise ValueError("a date in no unit")
    return f"[{count}{unit}]"


def _record(names: object, fields: object, size: object) -> Any:
    """Return a type of records."""
    np = _numpy()
    if not isinstance(names, tuple) or not isinstance(fields, dict):
        raise ValueError("a record of no fields")
    if len(names) > _FIELDS or type(size) is not int or not 0 < size < 2**31:
        raise ValueError("a record of no size")
    formats, offsets, titles = [], [], []
    for name in names:
        items, offset, *title = fields[name]
        if any(type(one) is not str for one in title):
            raise ValueError("a record with a title that is no text")
        titles.append(title[0] if title else None)
        if not isinstance(items, np.dtype) or type(offset) is not int or offset < 0:
            raise ValueError("a record of no fields")
        formats.append(items)
        offsets.append(offset)
    if max(map(_depth, formats), default=0) >= _NESTED:
        raise ValueError("records nested too deep")
    return np.dtype(
        {
            "names": list(names),
            "formats": formats,
            "offsets": offsets,
            "titles": titles,
            "itemsize": size,
        }
    )


def _depth(items: Any) -> int:
    if items.fields is None:
        return 0
    return 1 + max((_depth(field[0]) for field in items.fields.values()), default=0)


def _numpy() -> ModuleType:
    try:
        import numpy as np
    except ImportError:
        raise UntrustedValueError(
            "a result holds a NumPy array, and NumPy is not installed here"
        ) from None
    return np
