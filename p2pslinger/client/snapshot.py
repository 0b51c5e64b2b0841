"""Whether a function still is what it was when it was packed.

A function that goes by value takes along the globals, cells and defaults that it uses,
as they are at that moment. A program that submits one function 5,000 times must not
pay for that 5,000 times; nor may it get answers computed with yesterday's globals. So
a snapshot remembers everything that went in and compares:

- what can't change in place (numbers, strings, modules, code): by identity;
- functions and classes: by identity, and by what they use in turn;
- everything else (lists, dicts, objects): by its pickle, which is made again each time.

The last is the price of never being stale: ~1 µs for a short list, but as long as
pickling takes for a large one, at each submit. Large data belongs into arguments. What
modules hold is not looked at: a module is imported anew by each slot.
"""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)

from p2pslinger.client.pickling import PROTOCOL, NotingPickler, globals_of

#: Types whose values never change, so that the same object means the same value. The
#: last ones hold functions, which the pickler met and which are compared themselves.
_STEADY = frozenset(
    {
        int, float, complex, bool, str, bytes, type(None), type(...), range,
        ModuleType, CodeType,
        GetSetDescriptorType, MemberDescriptorType,
        property, staticmethod, classmethod,
    }
)  # fmt: skip


class _Mark(Enum):
    MISSING = auto()  # no such global now, or an empty cell
    CHANGEABLE = auto()  # compared by its pickle


@dataclass(frozen=True, slots=True)
class _Part:
    """A function or class that went in by value, and the globals that it uses."""

    owner: weakref.ref[FunctionType | type]
    names: tuple[str, ...]

    def values(self) -> list[object] | None:
        """List what it uses now, always in the same order; None if it is gone."""
        owner = self.owner()
        if isinstance(owner, FunctionType):
            return list(_used_by(owner, self.names))
        if owner is None:
            return None
        return [*vars(owner), *vars(owner).values()]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one package was made from. Holds no function or class alive.

    Attributes:
        parts: The functions and classes in it.
        tokens: For each value that they use: itself, a reference, or CHANGEABLE.
        top: What was packed, if it is neither function nor class.
        contents: The pickle of `top` and of all that is changeable.
    """

    parts: tuple[_Part, ...]
    tokens: tuple[tuple[object, ...], ...]
    top: weakref.ref[object] | None
    contents: bytes | None

    def is_current(self) -> bool:
        """Whether packing now would pack the same."""
        changeable: list[object] = [] if self.top is None else [self.top()]
        for part, tokens in zip(self.parts, self.tokens, strict=True):
            values = part.values()
            if values is None or not _match(tokens, values, changeable):
                return False
        return not changeable or _pickle(changeable) == self.contents


def take_snapshot(packed: object, notes: NotingPickler) -> Snapshot | None:
    """Remember what `packed` was made from; None if that can't be compared later."""
    parts: list[_Part] = []
    tokens: list[tuple[object, ...]] = []
    plain = isinstance(packed, FunctionType | type)
    changeable: list[object] = [] if plain else [packed]
    for owner in chain[FunctionType | type](notes.functions, notes.classes):
        names = globals_of(owner.__code__) if isinstance(owner, FunctionType) else ()
        part = _Part(weakref.ref(owner), tuple(names))
        values = part.values() or []
        marks = _mark_class(values) if isinstance(owner, type) else _mark_all(values)
        changeable += _changeable(marks, values)
        parts.append(part)
        tokens.append(marks)
    contents = _pickle(changeable) if changeable else b""
    if contents is None:
        return None
    top = None if plain else weakref.ref(packed)
    return Snapshot(tuple(parts), tuple(tokens), top, contents)


def _used_by(function: FunctionType, names: tuple[str, ...]) -> Iterator[object]:
    yield function.__code__
    yield from function.__defaults__ or ()
    for named in (function.__kwdefaults__ or {}, function.__dict__):
        yield from named
        yield from named.values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            yield _Mark.MISSING
    look_up = function.__globals__.get
    for name in names:
        yield look_up(name, _Mark.MISSING)


def _mark(value: object) -> object:
    if isinstance(value, FunctionType | type):
        return weakref.ref(value)
    if type(value) in _STEADY or isinstance(value, _Mark):
        return value
    return _Mark.CHANGEABLE


def _mark_all(values: list[object]) -> tuple[object, ...]:
    return tuple(map(_mark, values))


def _mark_class(values: list[object]) -> tuple[object, ...]:
    half = len(values) // 2
    names, held = values[:half], values[half:]
    marks = [
        value if _is_machinery(str(name), value) else _mark(value)
        for name, value in zip(names, held, strict=True)
    ]
    return (*names, *marks)


def _is_machinery(name: str, value: object) -> bool:
    """Whether a class attribute was made once, with the class: a dataclass's fields."""
    if isinstance(value, FunctionType | type):
        return False
    return name == "_abc_impl" or (name.startswith("_") and name.endswith("_"))


def _changeable(marks: tuple[object, ...], values: list[object]) -> list[object]:
    pairs = zip(marks, values, strict=True)
    return [value for mark, value in pairs if mark is _Mark.CHANGEABLE]


def _match(
    tokens: tuple[object, ...], values: list[object], changeable: list[object]
) -> bool:
    """Compare by identity; leave what needs more in `changeable`."""
    if len(tokens) != len(values):
        return False
    for token, value in zip(tokens, values, strict=True):
        if token is value:
            continue
        if token is _Mark.CHANGEABLE:
            changeable.append(value)
        elif not isinstance(token, weakref.ref) or token() is not value:
            return False
    return True


def _pickle(values: list[object]) -> bytes | None:
    try:
        return pickle.dumps(values, PROTOCOL)
    except Exception:  # noqa: BLE001  # pickling runs the objects' own code
        return None  # a lambda in a dict, say: then nothing is remembered
