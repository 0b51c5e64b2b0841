"""One interpreter that slots can be of, and how it is asked about itself.

It is asked by running it, without its user's environment and for a few seconds at most:
which version it is takes a bare start, and what is installed for it a start like a
slot's. Nothing of ours is imported there.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.environment import environment

#: Seconds that an interpreter may take to say what it is: a cold disk, and no more.
ANSWER = 10.0

#: Flags of a start like a slot's: no user site, nothing from the current folder, no
#: variables of its user's, nothing written beside the sources.
LIKE_A_SLOT = ("-I", "-B", "-X", "utf8")

_WHICH = """
import json, sys
name = sys.implementation.name
print(json.dumps([name, sys.version_info[:2], sys.base_prefix, sys.executable]))
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


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One CPython.

    Attributes:
        path: What to run.
        python: Its minor version, as "3.12".
    """

    path: str
    python: str


async def ask_version(path: str) -> Interpreter:
    """Run an interpreter to find out what it is.

    Raises:
        UnavailableError: it is no CPython, does not start, or takes too long.
    """
    answer = await _ask(path, ("-I", "-S", "-B"), _WHICH)
    match answer:
        case [str(name), [int(major), int(minor)], str(), str()]:
            if name != "cpython":
                raise UnavailableError(f"{path} is {name}, not CPython")
            return Interpreter(path, f"{major}.{minor}")
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
    answer = await _ask(path, LIKE_A_SLOT, _INSTALLED)
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


async def _ask(path: str, flags: Sequence[str], program: str) -> object:
    """Run a program in an interpreter; return what it prints, read as JSON."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(path, *flags, "-c", program),
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
    try:
        return json.loads(words)
    except ValueError:
        raise UnavailableError(
            f"{path} does not work as an interpreter: it has ended with code "
            f"{process.returncode}"
        ) from None
