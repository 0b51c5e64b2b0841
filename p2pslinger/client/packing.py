"""Functions into bytes: what a slot needs in order to call them.

    u32 little-endian header length | header, JSON | payload

- kind `pickle`: the payload is the function's pickle. What a slot could not import
  (`__main__`, lambdas, closures) goes by value; everything else by name, and the local
  modules among those names go along as source. Needs the same Python minor version.
- kind `source`: the payload is source text and the header says which function to call.
  Runs on any Python version.

The same function is pickled once, for as long as what it uses stays the same: see
`p2pslinger.client.snapshot` for how that is found out, and what it costs. What is not
remembered (say, a function with a lambda in a global dict) is pickled at each call.
"""

from __future__ import annotations

import ast
import json
import struct
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import NamedTuple

from p2pslinger import limits
from p2pslinger.client.blame import blame, type_name
from p2pslinger.client.modules import LocalModule, local_modules
from p2pslinger.client.pickling import dump
from p2pslinger.client.sharing import Shared, check_few, noting
from p2pslinger.client.snapshot import Snapshot, take_snapshot
from p2pslinger.client.source import Source, read_source
from p2pslinger.errors import PackingError
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.manifest import Function

#: What calling such a function gives, by its code's flag (inspect.CO_*): nothing that
#: could be sent back.
_UNFIT = {
    0x20: "is a generator function; return a list instead",
    0x80: "is a coroutine function (async def); call asyncio.run inside a plain one",
    0x200: "is an asynchronous generator function; return a list instead",
}


@dataclass(frozen=True, slots=True)
class FunctionPackage:
    """A function, ready to travel.

    Attributes:
        code: The bytes, as described above.
        name: Its qualified name, for people.
        python: The (major, minor) version that can load it; None: any.
        modules: Names of the local modules inside; see `shards_of`.
        shared: The handles of shared values that it holds.
    """

    code: bytes
    name: str
    python: tuple[int, int] | None
    modules: frozenset[str]
    shared: frozenset[Shared[object]] = frozenset()

    def describe(self, name: str) -> Function:
        """Describe it to a peer; with its code, unless that is too big for that."""
        return Function(
            name[: limits.NAME],
            self.code if len(self.code) <= limits.INLINE else b"",
            blob_digest(self.code),
            len(self.code),
            None if self.python is None else "{}.{}".format(*self.python),
        )


class _Remembered(NamedTuple):
    owner: weakref.ref[object]
    snapshot: Snapshot
    package: FunctionPackage


#: Packages by the identity of their function (of object and function, for a method).
#: Not by equality: equal callables need not do the same. Entries die with their owner.
_remembered: dict[tuple[int, int], _Remembered] = {}


def pack_function(function: Callable[..., object]) -> FunctionPackage:
    """Pack anything callable; the same package again while nothing in it changed.

    Raises:
        PackingError: It can't be sent. The text names the object in it that is why.
    """
    if isinstance(function, Source):
        return pack_source(function.text, function.name)
    if isinstance(function, MethodType):
        owner, key = function.__self__, (id(function.__self__), id(function.__func__))
    else:
        owner, key = function, (id(function), 0)
    known = _remembered.get(key)
    if known and known.owner() is owner and known.snapshot.is_current():
        return known.package
    package, snapshot = _pack(function, owner)
    if snapshot is not None:
        reference = weakref.ref(owner, partial(_forget, key))
        _remembered[key] = _Remembered(reference, snapshot, package)
    return package


def pack_source(source: str | Path, name: str) -> FunctionPackage:
    """Pack source text, or a file of it, and the name of the function to call in it.

    Args:
        source: The text; or a path: a `Path`, or a string like "folder/file.py".
        name: A function at the top level of `source`.

    Raises:
        PackingError: The file can't be read, the text is not Python, or there is no
            such function in it.
    """
    text, path = read_source(source)
    shown = "<source>" if path is None else str(path)
    try:
        tree = ast.parse(text, shown)
    except (SyntaxError, ValueError) as error:
        raise PackingError(f"{shown} is not Python source: {error}") from error
    _check_defined(tree, name, shown)
    folder = [] if path is None else [str(path.resolve().parent)]
    names = (n for node in ast.walk(tree) for n in _imports(node))
    modules = local_modules(names, search=folder)
    return _package("source", name, None, modules, text.encode())


def _forget(key: tuple[int, int], _owner: weakref.ref[object]) -> None:
    _remembered.pop(key, None)


def _pack(
    function: Callable[..., object], owner: object
) -> tuple[FunctionPackage, Snapshot | None]:
    name = _name(function)
    _check_fit(function, name)
    try:
        (payload, notes), met = noting(dump, function)
    except Exception as error:  # pickling runs the objects' own code
        subject = f"the function `{name}`"
        remedy = "create it inside the function"
        raise PackingError(blame(subject, function, error, remedy=remedy)) from error
    check_few(f"the function `{name}`", met)
    try:
        modules = local_modules(notes.modules)
    except PackingError as error:
        raise PackingError(f"can't send `{name}`: {error}") from error
    python = (sys.version_info.major, sys.version_info.minor)
    package = _package("pickle", name, python, modules, payload, met=met)
    try:
        return package, take_snapshot(owner, notes)
    except TypeError:
        return package, None  # it can't be referred to weakly


def _package(
    kind: str,
    name: str,
    python: tuple[int, int] | None,
    modules: Iterable[LocalModule],
    payload: bytes,
    *,
    met: Iterable[Shared[object]] = (),
) -> FunctionPackage:
    shipped = [
        {"name": m.name, "file": m.file, "package": m.package, "source": m.source}
        for m in modules
    ]
    fields = {"kind": kind, "name": name, "python": python, "modules": shipped}
    header = json.dumps(fields, separators=(",", ":")).encode()
    code = b"".join((struct.pack("<I", len(header)), header, payload))
    names = frozenset(module.name for module in modules)
    return FunctionPackage(code, name, python, names, frozenset(met))


def _name(function: object) -> str:
    if isinstance(function, partial):
        return f"partial({_name(function.func)})"
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", "")
    if not isinstance(name, str) or not name:
        return type_name(type(function))
    module = getattr(function, "__module__", None)
    if module in {None, "__main__", "builtins"}:
        return name
    return f"{module}.{name}"


def _check_fit(function: object, name: str) -> None:
    if not callable(function):
        raise PackingError(
            f"{function!r:.60} is not a function: it can't be called on other machines"
        )
    inner = function.func if isinstance(function, partial) else function
    plain = getattr(inner, "__func__", inner)
    if isinstance(plain, FunctionType):
        for flag, problem in _UNFIT.items():
            if plain.__code__.co_flags & flag:
                raise PackingError(f"the function `{name}` {problem}")


# --- source -------------------------------------------------------------------------


def _check_defined(tree: ast.Module, name: str, shown: str) -> None:
    defined: set[str] = set()
    for node in _top_level(tree):
        match node:
            case ast.FunctionDef(name=found) | ast.ClassDef(name=found):
                defined.add(found)
            case ast.Name(id=found, ctx=ast.Store()):
                defined.add(found)
            case ast.alias(name=found, asname=other):
                defined.add(other or found)
    if name not in defined and "*" not in defined:
        functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
        there = ", ".join(f"`{found}`" for found in functions) or "no function"
        raise PackingError(f"{shown} does not define `{name}`; it defines {there}")


def _top_level(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when the module is loaded, `if` and `try` included."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            yield from _top_level(child)


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return []
