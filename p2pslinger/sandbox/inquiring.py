"""Asking an interpreter about itself.

It is run like a slot's, without its user's environment and for a few
seconds at most: what it is, where its files lie, what is installed for it. Nothing of
ours is imported there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.environment import environment
from p2pslinger.sandbox.interpreter import Interpreter

#: Seconds that an interpreter may take to say what it is: a cold disk, and no more.
ANSWER = 10.0

#: Flags of a start like a slot's: no user site, nothing from the current folder, no
#: variables of its user's, nothing written beside the sources.
LIKE_A_SLOT = ("-I", "-B", "-X", "utf8")

#: Says where an interpreter's files lie; needs the standard library alone.
_READABLE = os.path.join(os.path.dirname(__file__), "confine", "readable.py")

_WHICH = f"""
import json, runpy, sys
places = runpy.run_path({_READABLE!r})["python"]()
print(json.dumps([sys.implementation.name, sys.version_info[:2], places]))
"""

_INSTALLED = """
import json, sys
from importlib import metadata
found = {}
for one in metadata.distributions():
    try:
        found.setdefault(one.metadata["Name"], one.version)
    except Exception:
        pass  # a folder that a broken installation has left
names = {str(k): str(v) for k, v in found.items() if k and v}
print(json.dumps([names, [p for p in sys.path if p]]))
"""


async def ask_version(path: str) -> Interpreter:
    """Run an interpreter to find out what it is.

    Raises:
        UnavailableError: it is no CPython, does not start, or takes too long.
    """
    answer = await _ask(path, _WHICH)
    match answer:
        case [str(name), [int(major), int(minor)], list(places)]:
            if name != "cpython":
                raise UnavailableError(f"{path} is {name}, not CPython")
            return Interpreter(path, f"{major}.{minor}", tuple(map(str, places)))
    raise UnavailableError(f"{path} is no Python: it answers {answer!r:.80}")


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed for an interpreter.

    Attributes:
        versions: Of packages, by name.
        stamp: Changes when something is installed or removed.
        folders: Where packages may be.
    """

    versions: dict[str, str]
    stamp: tuple[int, ...]
    folders: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether nothing was installed or removed since."""
        return stamp(self.folders) == self.stamp


async def ask_installed(path: str) -> Installed:
    """Run an interpreter to find out which packages it has.

    Raises:
        UnavailableError: it does not start, or takes too long.
    """
    answer = await _ask(path, _INSTALLED)
    match answer:
        case [dict(versions), list(folders)]:
            places = tuple(str(folder) for folder in folders)
            return Installed(versions, stamp(places), places)
    raise UnavailableError(f"{path} does not say what is installed for it")


def stamp(folders: Sequence[str]) -> tuple[int, ...]:
    """Return when something was last added to or removed from each folder."""
    return tuple(_changed(folder) for folder in folders)


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


async def _ask(path: str, program: str) -> object:
    """Run a program in an interpreter; return what it prints, read as JSON."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(path, *LIKE_A_SLOT, "-c", program),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(Confinement.OWN),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"{path} can't be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(ANSWER):
            words, _ = await process.communicate()
    except TimeoutError:
        raise UnavailableError(f"{path} does not answer within {ANSWER:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    import json  # a peer need not ask anybody before its first task

    try:
        return json.loads(words)
    except ValueError:
        raise UnavailableError(
            f"{path} does not work as an interpreter: it has ended with code "
            f"{process.returncode}"
        ) from None
