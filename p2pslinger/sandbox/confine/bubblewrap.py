"""The command line of bubblewrap: namespaces around a zygote.

Inside there are system libraries, Python and this package, read-only; no network, no
processes of others, no /dev but four devices, no home. The zygote gets the right to
mount its scratch folder, and drops it before it forks.

A daemon of an ordinary user gets a user namespace with nobody else in it. One of root
gets none: there its user would still be root to every file of the machine's (bubblewrap
keeps the number), so the zygote becomes a user of its own instead, and until then has
the right to. /proc/sys is read-only in any case, since root could write it.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterable, Iterator

from p2pslinger.sandbox.confine.readable import DEVICES, SYSTEM, outermost
from p2pslinger.sandbox.confine.scratch import SCRATCH

_NAMESPACES = (
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
    "--unshare-cgroup-try",
)


def find() -> str | None:
    """Return where bubblewrap is installed, or None."""
    return shutil.which("bwrap") if sys.platform == "linux" else None


def command(package: str, *, root: bool, shown: Iterable[str]) -> list[str]:
    """Return the command line, to which what to run is added.

    Args:
        package: Folder of this package, of which only the sandbox is shown.
        root: The daemon is root's.
        shown: What the interpreter needs to read besides.

    Raises:
        FileNotFoundError: Bubblewrap is not installed.
    """
    bwrap = find()
    if bwrap is None:
        raise FileNotFoundError(errno.ENOENT, "bubblewrap (bwrap) is not installed")
    if root:
        capabilities = ["CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID"]
    else:
        capabilities = ["CAP_SYS_ADMIN"]
    return [
        *(bwrap, *_NAMESPACES, *(() if root else ("--unshare-user",))),
        *("--die-with-parent", "--new-session", "--hostname", "slot"),
        *("--cap-drop", "ALL"),
        *(word for name in capabilities for word in ("--cap-add", name)),
        *_files([*shown, *SYSTEM, *_of_package(package)]),
        *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
        *("--perms", "0755", "--dir", "/dev"),
        *(word for path in DEVICES for word in ("--dev-bind", path, path)),
        *("--dir", SCRATCH, "--chdir", "/", "--remount-ro", "/", "--"),
    ]


def _of_package(package: str) -> list[str]:
    return [f"{package}/__init__.py", f"{package}/version.py", f"{package}/sandbox"]


def _files(paths: Iterable[str]) -> Iterator[str]:
    """Yield what makes the sandbox's files: folders first, so that all may enter."""
    known: set[str] = set()
    for path in outermost(paths):
        if not os.path.lexists(path):
            continue
        for folder in _above(path):
            if folder not in known:
                known.add(folder)
                yield from ("--perms", "0755", "--dir", folder)
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        else:
            yield from ("--ro-bind", path, path)


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")[1:-1]
    for count in range(len(parts)):
        yield "/" + "/".join(parts[: count + 1])
