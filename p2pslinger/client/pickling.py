"""The pickler for what leaves this program: cloudpickle's, taking notes.

It pickles what other machines can't import by value (`__main__`, lambdas, closures) and
the rest by name, as cloudpickle does, and writes down what went in, so that others can
tell which local modules have to travel along (`p2pslinger.client.modules`) and whether
the same bytes would come out now (`p2pslinger.client.snapshot`).

Two things it does that cloudpickle does not. A function under `functools.cache` that
has to go by value goes, with an empty cache: its own pickle would be a name in
`__main__`. And a class with `__slots__` has them on the other side, too, or what its
instances hold there could not be put into instances here.
"""

from __future__ import annotations

import dis
import functools
import io
import pickle
import sys
from collections.abc import Callable, Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Protocol, TypeVar

import cloudpickle
from cloudpickle.cloudpickle import _make_skeleton_class

from p2pslinger.client.modules import resolve

#: The protocol of everything that is pickled: the newest that Python 3.11 reads.
PROTOCOL = 5

#: Flag of classes that a class statement made (Py_TPFLAGS_HEAPTYPE). The others are
#: built in, even those without a name to import, such as the type of code objects.
_MADE_IN_PYTHON = 1 << 9

_Cached = type(functools.lru_cache(lambda: None))


class Writable(Protocol):
    """What can be pickled into."""

    def write(self, data: bytes, /) -> object:
        """Add bytes."""


class NotingPickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Pickles one object and remembers what it met.

    Args:
        file: Where the pickle goes.
        buffers: Called with each buffer; returns whether it is to go in.

    Attributes:
        functions: Functions that went in by value.
        classes: Classes that went in by value.
        modules: Names of the modules that loading the bytes or calling what comes out
            of them will import.
    """

    def __init__(
        self,
        file: Writable,
        buffers: Callable[[pickle.PickleBuffer], bool] | None = None,
    ) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffers)
        self.functions: list[FunctionType] = []
        self.classes: list[type] = []
        self.modules: set[str] = set()

    def reducer_override(self, obj: object) -> object:
        """Note `obj` on its way; called once for each object that isn't plain data."""
        if isinstance(obj, ModuleType):
            self.modules.add(obj.__name__)
        elif isinstance(obj, FunctionType | BuiltinFunctionType | _Cached | TypeVar):
            self._note_named(obj)
        elif isinstance(obj, type):
            if is_by_name(obj):
                self.modules.add(obj.__module__)
            elif obj.__flags__ & _MADE_IN_PYTHON:
                self.classes.append(obj)
        if isinstance(obj, _Cached) and not is_by_name(obj):
            return _new_cache(obj)
        made = super().reducer_override(obj)
        if isinstance(obj, type) and "__slots__" in vars(obj):
            return _with_slots(obj, made)
        return made

    def _note_named(self, obj: object) -> None:
        if is_by_name(obj):
            self.modules.add(str(obj.__module__))
        elif isinstance(obj, FunctionType):
            self.functions.append(obj)
            package = obj.__globals__.get("__package__") or ""
            self.modules.update(_imported_by(obj.__code__, package))


def dump(value: object) -> tuple[bytes, NotingPickler]:
    """Pickle `value`; return the bytes and the notes.

    Raises:
        Exception: whatever the objects in it raise when pickled.
    """
    file = io.BytesIO()
    pickler = NotingPickler(file)
    pickler.dump(value)
    return file.getvalue(), pickler


def failure_of(value: object) -> Exception | None:
    """Pickle `value` for the sake of the error; None if there is none."""
    try:
        dump(value)
    except Exception as error:  # noqa: BLE001  # pickling runs the objects' own code
        return error
    return None


def is_by_name(obj: object) -> bool:
    """Whether `obj` can be had on another machine by importing it."""
    name = getattr(obj, "__module__", None)
    found: object = None if name == "__main__" else sys.modules.get(name or "")
    for part in getattr(obj, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is obj


def globals_of(code: CodeType) -> dict[str, None]:
    """List the globals that `code` and the functions inside it use, in order."""
    names = {
        step.argval: None
        for step in dis.get_instructions(code)
        if step.opname.endswith("_GLOBAL")
    }
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= globals_of(inner)
    return names


def _new_cache(obj: object) -> tuple[object, ...]:
    # The state keeps the name and __wrapped__; the C type is its own constructor.
    parameters = vars(obj)["cache_parameters"]()
    size, typed = parameters["maxsize"], parameters["typed"]
    state = {key: value for key, value in vars(obj).items() if key[0] == "_"}
    wrapped = state["__wrapped__"]
    return _Cached, (wrapped, size, typed, functools._CacheInfo), state


def _with_slots(kind: type, made: object) -> object:
    """Have a class that goes by value made with its slots, not given them later."""
    if not isinstance(made, tuple) or made[0] is not _make_skeleton_class:
        return made
    constructor, arguments, (state, more), *rest = made
    metaclass, name, bases, keywords, *others = arguments
    slots = vars(kind)["__slots__"]
    keywords = {**keywords, "__slots__": slots}
    state = {
        key: value
        for key, value in state.items()
        if not isinstance(value, MemberDescriptorType)  # one that is made anew
    }
    return (
        constructor,
        (metaclass, name, bases, keywords, *others),
        (state, more),
        *rest,
    )


def _imported_by(code: CodeType, package: str) -> Iterator[str]:
    """Name the modules that the function with this code imports when it is called."""
    steps = [s for s in dis.get_instructions(code) if s.opname != "EXTENDED_ARG"]
    for level, names, step in zip(steps, steps[1:], steps[2:], strict=False):
        if step.opname != "IMPORT_NAME":
            continue
        base = resolve(step.argval, level.argval, package)
        if base:
            yield base
            yield from (f"{base}.{name}" for name in names.argval or ())
    if {"import_module", "__import__"} & {*code.co_names}:
        yield from (text for text in code.co_consts if isinstance(text, str) and text)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imported_by(inner, package)
