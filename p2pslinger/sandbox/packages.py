"""Functions, as they arrive: a header, modules as source, and the function itself.

    header length (32 bits, little-endian) | header (JSON) | payload

A function comes as a pickle or as source text. Local modules of its author's come along
as source and are imported from memory, before anything installed here. Two jobs may
bring different modules of one name: each has its own, swapped when the job changes.
"""

from __future__ import annotations

import json
import linecache
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from importlib.machinery import ModuleSpec
from struct import Struct
from struct import error as struct_error
from types import CodeType, ModuleType

import cloudpickle

#: The module that a function given as source lives in, with a hash behind it.
SOURCE_MODULE = "slinger_source_"

_LENGTH = Struct("<I")


@dataclass
class Module:
    """A module that came as source."""

    name: str
    file: str
    package: bool
    source: str

    def show_lines(self) -> None:
        """Let tracebacks show this module's lines, whatever lies in its file here."""
        lines = self.source.splitlines(keepends=True)
        linecache.cache[self.file] = (len(self.source), None, lines, self.file)


@dataclass
class Package:
    """A function package, taken apart but not yet loaded."""

    kind: str
    name: str
    python: list[int] | None
    payload: bytes
    modules: dict[str, Module]
    #: The module objects of this package while another one's are in `sys.modules`.
    shelf: dict[str, ModuleType] = field(default_factory=dict)

    def load(self) -> Callable[..., object]:
        """Return the function; its modules must be in place.

        Raises:
            Exception: whatever the function's unpickling or its modules raise.
        """
        here = list(sys.version_info[:2])
        if self.python is not None and self.python != here:
            theirs = ".".join(map(str, self.python))
            ours = ".".join(map(str, here))
            raise RuntimeError(
                f"{self.name} was packed by Python {theirs}, this host has {ours}; "
                "send it as source, or from the same Python"
            )
        function = self._from_source() if self.kind == "source" else self._unpickled()
        if not callable(function):
            raise TypeError(f"{self.name} is not a function but {type(function)}")
        return function

    def _unpickled(self) -> object:
        function: object = pickle.loads(self.payload)
        return function

    def _from_source(self) -> object:
        from hashlib import sha256  # costs the start of every slot 4 ms

        module = ModuleType(SOURCE_MODULE + sha256(self.payload).hexdigest()[:16])
        module.__file__ = f"<source of {self.name}>"
        source = self.payload.decode()
        text = Module(module.__name__, module.__file__, False, source)
        text.show_lines()
        self.modules[module.__name__] = text
        sys.modules[module.__name__] = module
        exec(compile(source, module.__file__, "exec"), module.__dict__)
        # Its classes exist nowhere else: what refers to them goes back by value.
        cloudpickle.register_pickle_by_value(module)
        return reduce(getattr, self.name.split("."), module)


def unpack(code: bytes) -> Package:
    """Take a function package apart.

    Raises:
        ValueError: This is not a function package.
    """
    try:
        (length,) = _LENGTH.unpack_from(code)
        end = _LENGTH.size + length
        header = json.loads(code[_LENGTH.size : end])
        modules = [
            Module(m["name"], m["file"], m["package"], m["source"])
            for m in header["modules"]
        ]
        named = {module.name: module for module in modules}
        return Package(
            header["kind"], header["name"], header["python"], code[end:], named
        )
    except (struct_error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a function package: {error!r}") from error


class Shelves:
    """Has the modules of one package at a time in place. A hook in `sys.meta_path`."""

    def __init__(self) -> None:
        self._current: Package | None = None
        self._covered: dict[str, ModuleType] = {}  # the host's own, of the same names

    def place(self, package: Package) -> None:
        """Put a package's modules in place of those of the one before."""
        if package is self._current:
            return
        if self._current is not None:
            for name in self._names(self._current):
                _move(name, sys.modules, self._current.shelf)
            sys.modules.update(self._covered)
            self._covered = {}
        self._current = package
        for name in self._names(package):
            _move(name, sys.modules, self._covered)
        sys.modules.update(package.shelf)
        for module in package.modules.values():
            module.show_lines()

    def drop(self, package: Package) -> None:
        """Let go of a package that is not needed any more."""
        if package is self._current:
            self.place(_NOTHING)
        package.shelf.clear()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module that came with the current package."""
        if self._current is None:
            return None
        module = self._current.modules.get(name)
        if module is None:
            if name not in self._names(self._current):
                return None
            module = Module(name, f"<{name}>", True, "")  # a folder without __init__
        loader = _FromMemory(module)
        spec = ModuleSpec(
            name,
            loader,  # type: ignore[arg-type]  # its base class is slow to import
            origin=module.file,
            is_package=module.package,
        )
        spec.has_location = True
        return spec

    @staticmethod
    def _names(package: Package) -> set[str]:
        """Return the names of a package's modules and of the folders they lie in."""
        names = set(package.modules)
        for name in package.modules:
            while "." in name:
                name = name.rpartition(".")[0]  # noqa: PLW2901 - climbing
                names.add(name)
        return names


class _FromMemory:
    """Loads a module from its source. `linecache` asks it too."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(), module.__dict__)

    def get_code(self, name: str = "") -> CodeType:
        source, file = self._module.source, self._module.file
        return compile(source, file, "exec", dont_inherit=True)

    def get_source(self, name: str = "") -> str:
        return self._module.source


def _move(
    name: str, source: dict[str, ModuleType], target: dict[str, ModuleType]
) -> None:
    if name in source:
        target[name] = source.pop(name)


_NOTHING = Package("", "", None, b"", {})
