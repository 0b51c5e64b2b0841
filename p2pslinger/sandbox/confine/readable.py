"""What a slot of others may read: Python, what is installed for it, system libraries.

Nothing of it belongs to the peer or to the machine's owner. Of the folders that Python
is installed in, only those that are Python's are meant: whoever has built it into
~/.local keeps other things beside it.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from collections.abc import Iterable

#: Of the system: libraries, where the loader finds them, what time it is here.
SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/alternatives",  # where distributions choose among numeric libraries
)

#: The only devices.
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


#: Of a folder that Python, or a virtual environment, is installed in.
PARTS = ("lib", "lib64", "bin", "pyvenv.cfg", "share/zoneinfo")


def python() -> list[str]:
    """Return this interpreter's folders and files, none inside another."""
    prefixes = {sys.base_prefix, sys.prefix, sys.base_exec_prefix, sys.exec_prefix}
    places = {
        *(f"{prefix}/{part}" for prefix in prefixes for part in PARTS),
        os.path.dirname(os.path.realpath(sys.executable)),
        os.path.dirname(os.path.abspath(sys.executable)),
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
        *filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")),
    }
    library = sysconfig.get_config_var("LIBDIR")
    if isinstance(library, str) and os.path.isdir(library):
        places.add(library)
    there = filter(os.path.lexists, map(os.path.abspath, places))
    return outermost(there)


def outermost(paths: Iterable[str]) -> list[str]:
    """Return paths without those that lie in another."""
    kept: list[str] = []
    for path in sorted(set(paths), key=len):
        if not within(path, kept):
            kept.append(path)
    return kept


def within(path: str, folders: Iterable[str]) -> str:
    """Return the folder that a path lies in, or ""."""
    inside = (f for f in folders if path == f or path.startswith(f.rstrip("/") + "/"))
    return next(inside, "")


def behind_a_door() -> bool:
    """Tell whether only this user may enter where Python lies, as below /root."""
    for place in python():
        folder = os.path.realpath(place)
        while folder != "/":
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return True
            folder = os.path.dirname(folder)
    return False
