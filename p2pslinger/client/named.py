"""The types that a program names, so that strangers may send instances of them.

Dataclasses, named tuples and enums. An instance is made without calling anything of
its class: no constructor, no `__post_init__`, no `__setattr__`. Its fields are put
where Python would have put them. What is in them is plain data too, but of which kind
nobody has checked: a field that should hold a number may hold a text.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable
from types import MemberDescriptorType

from p2pslinger.client.symbols import Symbol
from p2pslinger.errors import UsageError


class Named:
    """Types by their names."""

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._types: dict[tuple[str, str], type] = {}
        self.add(types)

    def add(self, types: Iterable[type]) -> None:
        """Take instances of these as well.

        Raises:
            UsageError: one is none of the three kinds.
        """
        for kind in types:
            if not (_is_dataclass(kind) or _is_named_tuple(kind) or _is_enum(kind)):
                raise UsageError(
                    f"types= takes dataclasses, named tuples and enums, and "
                    f"{kind!r:.80} is none of them"
                )
            for name in (kind.__qualname__, kind.__name__):
                self._types[kind.__module__, name] = kind

    def find(self, symbol: Symbol) -> type | None:
        """Return the type that is meant, if it is one of them."""
        return self._types.get((symbol.module, symbol.name))

    def call(self, kind: type, arguments: tuple[object, ...]) -> object:
        """Return what calling a type gives: one of an enum's members."""
        if not _is_enum(kind) or len(arguments) != 1:
            raise ValueError(f"{kind.__name__} is called")
        members: dict[object, object] = kind._value2member_map_  # type: ignore[attr-defined]
        return members[arguments[0]]

    def new(self, kind: type, arguments: tuple[object, ...]) -> object:
        """Return an instance; a dataclass's is empty."""
        if _is_named_tuple(kind):
            if len(arguments) != len(kind._fields):  # type: ignore[attr-defined]
                raise ValueError(f"a {kind.__name__} of {len(arguments)} fields")
            return tuple.__new__(kind, arguments)
        if not _is_dataclass(kind) or arguments:
            raise ValueError(f"a {kind.__name__} is made of arguments")
        return object.__new__(kind)

    def needs_state(self, made: object) -> bool:
        """Tell whether an instance's fields are still to come."""
        kind = type(made)
        return _is_dataclass(kind) and bool(_required(kind))

    def fill(self, made: object, state: object) -> None:
        """Put an instance's fields where Python would have put them."""
        kind = type(made)
        values = _by_name(kind, state)
        allowed = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        unknown = sorted(values.keys() - allowed)
        if unknown:
            raise ValueError(f"{kind.__name__} has no field {unknown[0]!r:.80}")
        missing = sorted(_required(kind) - values.keys())
        if missing:
            raise ValueError(f"a {kind.__name__} without its field {missing[0]!r}")
        for name, value in values.items():
            slot = _slot(kind, name)
            if slot is not None:
                slot.__set__(made, value)
            else:
                object.__getattribute__(made, "__dict__")[name] = value


def _by_name(kind: type, state: object) -> dict[str, object]:
    """Return a state's fields, in whichever form Python has written it."""
    if isinstance(state, list):  # of frozen dataclasses with slots
        fields = dataclasses.fields(kind)
        names = [field.name for field in fields]
        return dict(zip(names, state, strict=True))
    parts = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    values: dict[str, object] = {}
    for part in parts:
        if part is None:
            continue
        if not isinstance(part, dict) or not all(type(name) is str for name in part):
            raise ValueError(f"a {kind.__name__} with a state of its own kind")
        values |= part
    return values


def _required(kind: type) -> set[str]:
    """Return the fields without which an instance is none."""
    fields = dataclasses.fields(kind)
    return {field.name for field in fields if field.init}


def _slot(kind: type, name: str) -> MemberDescriptorType | None:
    for base in kind.__mro__:
        found = base.__dict__.get(name)
        if isinstance(found, MemberDescriptorType):
            return found
    return None


def _is_dataclass(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _is_named_tuple(kind: object) -> bool:
    return (
        isinstance(kind, type)
        and issubclass(kind, tuple)
        and isinstance(getattr(kind, "_fields", None), tuple)
    )


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)
