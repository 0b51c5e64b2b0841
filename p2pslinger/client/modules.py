"""The local modules that a function needs, as source text.

A *local module* is one that no other machine has: its file lies neither in the
standard library nor among installed packages, and it is not part of p2pslinger. It
travels as source, with every local module that it imports in turn and with the
packages it lies in, so that a slot can import it by name and its classes stay the
same classes on the way there and back.

Rules:

1. Nothing is imported in order to look: what is not loaded yet is only located.
2. Imports are read from the source, wherever they stand, functions included; those
   under `if TYPE_CHECKING:` never run and do not count.
3. What can't be found is left out: the import may be one that is allowed to fail. What
   is found and can't be sent is an error, except inside `try: ... except ImportError`.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from p2pslinger.errors import PackingError

#: Folders that hold installed packages, whatever they lie in.
_INSTALLED = frozenset({"site-packages", "dist-packages"})

#: Exceptions whose handler makes an import optional.
_TOLERANT = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


@dataclass(frozen=True, slots=True)
class LocalModule:
    """A module on its way to a slot.

    Attributes:
        name: Its full name, `package.module`.
        file: The path that tracebacks show.
        package: Whether it may have submodules.
        source: Its text; empty for a package without `__init__.py`.
    """

    name: str
    file: str
    package: bool
    source: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a module comes from: its file, and the folders of a package."""

    file: str | None
    folders: tuple[str, ...] | None
    loader: object


def local_modules(
    names: Iterable[str], *, search: Sequence[str] = ()
) -> tuple[LocalModule, ...]:
    """Collect the local modules among `names` and all that they import.

    Args:
        names: Modules that are surely needed.
        search: Folders to look in before `sys.path`.

    Raises:
        PackingError: A local module has no source to send.
    """
    found: dict[str, LocalModule] = {}
    waiting = [(name, True) for name in names]
    seen: set[tuple[str, bool]] = set()
    while waiting:
        name, needed = wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        module = found.get(name) or _take(name, needed, search)
        if module is None:
            continue
        found[name] = module
        waiting += ((parent, needed) for parent in _parents(name))
        package = name if module.package else name.rpartition(".")[0]
        imports = _imports_of(module.source, package)
        waiting += ((other, needed and always) for other, always in imports)
    return tuple(found[name] for name in sorted(found))


def loaded_local_modules() -> frozenset[str]:
    """Name the local modules that this program has imported so far."""
    return _loaded_local_modules(len(sys.modules))


@lru_cache(maxsize=1)
def _loaded_local_modules(_count: int) -> frozenset[str]:
    return frozenset(
        name
        for name in tuple(sys.modules)
        if name != "__main__" and _is_local(name, _locate(name, ()))
    )


def resolve(name: str, level: int, package: str) -> str | None:
    """Make a relative import absolute; None if it leaves the package."""
    if level == 0:
        return name
    try:
        return importlib.util.resolve_name("." * level + name, package)
    except ImportError:
        return None


def _take(name: str, needed: bool, search: Sequence[str]) -> LocalModule | None:
    place = _locate(name, search)
    if place is None or not _is_local(name, place):
        return None
    file = place.file or ""
    if place.file is None:
        source: str | None = ""  # a package without __init__.py
    else:
        source = _source(name, place.file, place.loader)
    if source is not None:
        return LocalModule(name, file, place.folders is not None, source)
    if not needed:
        return None
    what = "is a compiled extension" if _is_compiled(file) else "has no source"
    raise PackingError(
        f"the function needs the local module `{name}`, which {what} ({file}) and "
        "can't be sent to other machines; install it as a package on every peer, or "
        "do without it inside the function"
    )


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


# --- where a module lies ------------------------------------------------------------


def _locate(name: str, search: Sequence[str]) -> _Place | None:
    """Find a module, loaded or not; None when there is no such module."""
    module = sys.modules.get(name)
    if module is None:
        spec = _find_spec(name, search)
    else:
        spec = getattr(module, "__spec__", None)
    if spec is not None:
        folders = spec.submodule_search_locations
        return _Place(
            spec.origin if spec.has_location else None,
            None if folders is None else tuple(folders),
            spec.loader,
        )
    file = getattr(module, "__file__", None)
    return _Place(file, None, None) if isinstance(file, str) else None


def _find_spec(
    name: str, search: Sequence[str]
) -> importlib.machinery.ModuleSpec | None:
    """Do what an import would do to find `name`, without importing its parents."""
    parent = name.rpartition(".")[0]
    folders: Sequence[str] | None = None
    if parent:
        place = _locate(parent, search)
        if place is None or place.folders is None:
            return None
        folders = place.folders
    elif name in sys.stdlib_module_names:
        return None
    elif search:
        spec = importlib.machinery.PathFinder.find_spec(name, list(search))
        if spec is not None:
            return spec
    return _ask_finders(name, folders)


def _ask_finders(
    name: str, folders: Sequence[str] | None
) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = None if find is None else find(name, folders)
        if isinstance(spec, importlib.machinery.ModuleSpec):
            return spec
    return None


def _is_local(name: str, place: _Place | None) -> bool:
    if place is None or name.partition(".")[0] == "p2pslinger":
        return False
    if place.file is not None:
        return _is_local_path(place.file)
    # A package without __init__.py has no file; builtin modules have no folder.
    return bool(place.folders) and all(map(_is_local_path, place.folders or ()))


@lru_cache(maxsize=4096)
def _is_local_path(path: str) -> bool:
    # Both as written and as it is: installers link files into site-packages from
    # elsewhere, and a virtual environment is itself reached by links.
    return not _is_installed(path) and not _is_installed(os.path.realpath(path))


def _is_installed(path: str) -> bool:
    if path.startswith(_library()):
        return True
    return not _INSTALLED.isdisjoint(path.replace(os.sep, "/").split("/"))


@cache
def _library() -> tuple[str, ...]:
    """Where the standard library lies; each path ends with a separator."""
    import sysconfig

    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    paths |= {str(Path(os.__file__).parent), str(Path(sys.base_prefix, "DLLs"))}
    paths |= {os.path.realpath(path) for path in paths}
    return tuple(str(Path(path)) + os.sep for path in paths)


# --- what a module says -------------------------------------------------------------


def _is_compiled(file: str) -> bool:
    return file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def _source(name: str, file: str, loader: object) -> str | None:
    """Read a module's text, from its file or out of a zip; None if it has none."""
    if file.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        try:
            status = Path(file).stat()
        except OSError:
            pass  # no such file, yet loaded: it came out of a zip
        else:
            return _read(file, status.st_mtime_ns, status.st_size)
    get_source = getattr(loader, "get_source", None)
    if get_source is None or _is_compiled(file):
        return None
    text = get_source(name)
    return text if isinstance(text, str) else None


@lru_cache(maxsize=512)
def _read(file: str, _changed: int, _size: int) -> str:
    try:
        return importlib.util.decode_source(Path(file).read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise PackingError(f"can't read the local module {file}: {error}") from error


@lru_cache(maxsize=512)
def _imports_of(source: str, package: str) -> tuple[tuple[str, bool], ...]:
    """List the modules that `source` may import, each with whether it must."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()  # it fails to import here as well, and that is the message to show
    return tuple(dict.fromkeys(_imports_in(tree, package, True)))


def _imports_in(
    node: ast.AST, package: str, needed: bool
) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
        yield from ((name, needed) for name in _named_by(node, package))
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        below: Iterable[ast.AST] = node.orelse
    else:
        below = ast.iter_child_nodes(node)
    tolerant = isinstance(node, ast.Try) and any(map(_forgives, node.handlers))
    for child in below:
        yield from _imports_in(child, package, needed and not tolerant)


def _named_by(node: ast.AST, package: str) -> Iterator[str]:
    match node:
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=module, names=aliases, level=level):
            base = resolve(module or "", level, package)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in aliases)
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__")
            | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            level = len(name) - len(name.lstrip("."))
            yield resolve(name.lstrip("."), level, package) or ""
        case _:
            pass


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _forgives(handler: ast.ExceptHandler) -> bool:
    """Whether an except clause catches a failed import."""
    if handler.type is None:
        return True
    names = {getattr(part, "id", "") for part in ast.walk(handler.type)}
    return bool(names & _TOLERANT)
