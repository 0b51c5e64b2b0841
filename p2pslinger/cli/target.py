"""What `slinger submit` is to run: SCRIPT.py:FUNCTION, or MODULE:FUNCTION.

A script's functions travel by value, as those of a program's own file do. So the script
is loaded without a name that others could import, and not as `__main__`: what it guards
by that name does not run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click

from p2pslinger.client.packing import pack_function
from p2pslinger.client.source import Source
from p2pslinger.errors import PackingError

#: What a script is called while it is loaded.
NAME = "slinger_script"


def load_target(text: str) -> Callable[..., object]:
    """Load the function that the command line names.

    Raises:
        BadParameter: there is none such, or loading it fails.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise click.BadParameter(
            f"{text!r} names no function: write SCRIPT.py:FUNCTION or MODULE:FUNCTION"
        )
    module = _load(place)
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise click.BadParameter(f"{place} has no function {name!r}{_others(module)}")
    return found


def load_source(text: str) -> Source:
    """Find the function that the command line names, without loading it.

    Raises:
        BadParameter: there is none such.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise click.BadParameter(
            f"{text!r} names no function: write SCRIPT.py:FUNCTION or MODULE:FUNCTION"
        )
    file = Path(place)
    if not place.endswith(".py") and not file.is_file():
        sys.path.insert(0, str(Path.cwd()))
        try:
            spec = importlib.util.find_spec(place)
        except (ImportError, ValueError):
            spec = None
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            raise click.BadParameter(
                f"there is no module {place!r} here that has source text, and no "
                "script of that name"
            )
        file = Path(spec.origin)
    found = Source(file, name)
    try:
        pack_function(found)
    except PackingError as error:
        raise click.BadParameter(str(error)) from None
    return found


def _load(place: str) -> ModuleType:
    """Load a script or a module; say in a sentence what goes wrong in it."""
    script = Path(place)
    try:
        if place.endswith(".py") or script.is_file():
            return _load_script(script)
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    except click.BadParameter:
        raise
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise click.BadParameter(
                f"there is no module {place!r} here, and no script of that name"
            ) from None
        raise _failed(place, error) from error
    except (Exception, SystemExit) as error:  # it runs the script's own code
        raise _failed(place, error) from error


def _load_script(script: Path) -> ModuleType:
    if not script.is_file():
        raise click.BadParameter(f"there is no file {str(script)!r}")
    spec = importlib.util.spec_from_file_location(NAME, script.resolve())
    if spec is None or spec.loader is None:
        raise click.BadParameter(f"{str(script)!r} is no Python file: its name ends so")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(script.resolve().parent))
    sys.modules[NAME] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[NAME]  # and pickle must not
    return module


def _failed(place: str, error: BaseException) -> click.BadParameter:
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(Path(place).name):
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{place}, line {line}," if line else place
    return click.BadParameter(
        f"{where} fails as it is loaded: {type(error).__name__}: {error}".replace(
            "\n", " "
        )
    )


def _others(module: ModuleType) -> str:
    """Return which functions there are, if they are few."""
    names = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and callable(value)
    ]
    return f": it has {', '.join(names)}" if 0 < len(names) <= 8 else ""
