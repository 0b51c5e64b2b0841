"""Strategies that build any message within the bounds that its type declares."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

#: Items that a strategy makes where a message may hold thousands.
FEW = 3


def built(kind: object) -> st.SearchStrategy[Any]:
    """Return a strategy for a message type, or a union of them."""
    return _strategy(inspect.type_info(kind))


def _strategy(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.UnionType(types):
            return st.one_of([_strategy(one) for one in types])
        case inspect.StructType():
            return st.builds(
                info.cls, **{f.name: _strategy(f.type) for f in info.fields}
            )
        case inspect.VarTupleType(item):
            least = info.min_length or 0
            most = min(info.max_length or least + FEW, least + FEW)
            items = st.lists(_strategy(item), min_size=least, max_size=most)
            return items.map(tuple)
        case inspect.TupleType(items):
            return st.tuples(*(_strategy(one) for one in items))
        case inspect.DictType(key, value):
            return st.dictionaries(_strategy(key), _strategy(value), max_size=FEW)
        case _:
            return _plain(info)


def _plain(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.IntType():
            least = -(2**63) if info.ge is None else info.ge
            least = least if info.gt is None else info.gt + 1
            most = 2**63 - 1 if info.le is None else info.le
            most = most if info.lt is None else info.lt - 1
            return st.integers(least, most)
        case inspect.FloatType():
            low = info.ge if info.gt is None else info.gt
            return st.floats(
                low, info.le, exclude_min=info.gt is not None, allow_nan=False
            )
        case inspect.StrType():
            return st.text(max_size=min(info.max_length or 9, 9))
        case inspect.BytesType():
            least = info.min_length or 0
            most = info.max_length or 9
            return st.binary(min_size=least, max_size=min(most, least + 9))
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.EnumType(cls):
            return st.sampled_from(list(cls))
    raise AssertionError(f"no strategy for {info}")


def structs(union: object) -> list[type[msgspec.Struct]]:
    """Return the structs of a union."""
    info = inspect.type_info(union)
    assert isinstance(info, inspect.UnionType)
    return [one.cls for one in info.types if isinstance(one, inspect.StructType)]
