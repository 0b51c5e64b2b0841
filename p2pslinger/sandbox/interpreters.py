"""Which interpreters slots can be of: the daemon's own, and others of this machine.

Others are those that the owner lists, and those that lie where Pythons are installed:
on the path, below /usr/local, in the folders of pyenv and uv. Of those, one of each
minor version is enough. A found one is run only if nobody but the owner and root could
have put it there; a listed one, if nobody else can replace it.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.inquiring import Installed, ask_installed, ask_version
from p2pslinger.sandbox.interpreter import Interpreter

#: The oldest that slots can be of, and the newest that is looked for.
OLDEST, NEWEST = 11, 20

#: The first bytes of a script: pyenv's and asdf's shims, which are no interpreters.
_SCRIPT = b"#!"


class Interpreters:
    """This machine's interpreters.

    Args:
        listed: Paths that the owner names.
        search: Look for others as well.

    Attributes:
        own: The daemon's.
        system, machine: What this machine is, in Python's words.
        notes: What is wrong with those that the owner names.
    """

    def __init__(self, listed: Sequence[str] = (), *, search: bool = False) -> None:
        self._listed = listed
        self._search = search
        self.own = Interpreter(sys.executable, "{}.{}".format(*sys.version_info))
        self.system, self.machine = platform.system(), platform.machine()
        self.notes: list[str] = []
        self._installed: dict[str, Installed] = {}

    async def find(self) -> tuple[Interpreter, ...]:
        """Return the own one, those listed, and one of each other minor version."""
        found = [self.own]
        self.notes = []
        for path in self._listed:
            await self._try(path, found, listed=True)
        known = {one.python for one in found}
        for path in candidates(known) if self._search else ():
            await self._try(path, found, listed=False)
        return tuple(found)

    async def versions(self, interpreter: Interpreter) -> Mapping[str, str]:
        """Return the versions of an interpreter's packages, by name.

        Raises:
            UnavailableError: it does not say.
        """
        known = self._installed.get(interpreter.path)
        if known is None or not known.is_current:
            known = await ask_installed(interpreter.path)
            self._installed[interpreter.path] = known
        return known.versions

    async def _try(self, path: str, found: list[Interpreter], *, listed: bool) -> None:
        """Add an interpreter to those found, if it is one."""
        try:
            _check(path, listed=listed)
            one = await ask_version(path)
            major, minor = map(int, one.python.split("."))
            if (major, minor) < (3, OLDEST):
                raise UnavailableError(f"{path} is Python {one.python}: 3.11 or newer")
        except UnavailableError as error:
            if listed:
                self.notes.append(f"no slots of a listed Python: {error}")
            return
        if one not in found:
            found.append(one)


async def interpreter_of(python: str | None) -> Interpreter | None:
    """Return an interpreter of a minor version; None if this one will do.

    Args:
        python: As "3.12", or None for any.

    Raises:
        UnavailableError: none is installed; the text says what to do.
    """
    if python in {None, "{}.{}".format(*sys.version_info)}:
        return None
    major, _, minor = str(python).partition(".")
    for path in _places(int(minor)) if major == "3" and minor.isdecimal() else ():
        if not is_safe(path, listed=False):
            continue
        try:
            found = await ask_version(path)
        except UnavailableError:
            continue
        if found.python == python:
            return found
    raise UnavailableError(
        f"it needs Python {python}, which is not installed here, on the path or by "
        f"pyenv or uv: install it (`uv python install {python}`, `pyenv install "
        f"{python}`, or your system's package), and what the task imports; p2pslinger "
        "itself need not be installed for it"
    )


def candidates(known: set[str]) -> Iterator[str]:
    """Yield where interpreters lie, at most one for each version that is not known."""
    for minor in range(OLDEST, NEWEST):
        if f"3.{minor}" in known:
            continue
        for path in _places(minor):
            if is_safe(path, listed=False):
                yield path
                break


def _places(minor: int) -> Iterator[str]:
    """Yield where a minor version may be installed."""
    home = os.path.expanduser("~")
    pyenv = os.environ.get("PYENV_ROOT") or f"{home}/.pyenv"
    uv = os.environ.get("UV_PYTHON_INSTALL_DIR") or f"{home}/.local/share/uv/python"
    for folder in (*os.environ.get("PATH", "").split(":"), "/usr/local/bin"):
        if folder.startswith("/"):
            yield f"{folder}/python3.{minor}"
    for root, prefix in ((f"{pyenv}/versions", "3."), (uv, "cpython-3.")):
        for name in sorted(_listing(root), key=_newest, reverse=True):
            if name == f"{prefix}{minor}" or name.startswith(f"{prefix}{minor}."):
                yield f"{root}/{name}/bin/python3.{minor}"


def _newest(name: str) -> list[int]:
    """Return what orders "3.12.10" after "3.12.9"."""
    parts = name.removeprefix("cpython-").split("-")[0].split(".")
    return [int(part) for part in parts if part.isdigit()]


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _check(path: str, *, listed: bool) -> None:
    """Check that an interpreter is there, and can be trusted.

    Raises:
        UnavailableError: it is not, or can't.
    """
    if not os.path.exists(path):
        raise UnavailableError(f"there is no {path}")
    if not is_safe(path, listed=listed):
        raise UnavailableError(f"others can replace {path}, so it is not run")


def is_safe(path: str, *, listed: bool) -> bool:
    """Tell whether only the owner and root can have put a program here.

    A listed one may be in a folder like /tmp, where others can add files but not
    replace this one.
    """
    real = os.path.realpath(path)
    try:
        with open(real, "rb") as file:
            script = file.read(2) == _SCRIPT
        ours = all(_is_ours(place, listed) for place in _above(path, real))
    except OSError:
        return False
    return ours and os.access(real, os.X_OK) and (listed or not script)


def _above(path: str, real: str) -> Iterator[str]:
    """Yield a program, and every folder above it, by both of its names."""
    for one in {os.path.abspath(path), real}:
        place = one
        while place != "/":
            yield place
            place = os.path.dirname(place)


def _is_ours(place: str, listed: bool) -> bool:
    about = os.lstat(place)
    if about.st_uid not in (0, os.getuid()):
        return False
    if stat.S_ISLNK(about.st_mode):
        return True
    mode = about.st_mode
    return not mode & stat.S_IWOTH or (listed and bool(mode & stat.S_ISVTX))
