"""How to be a user who owns nothing, with Python at hand, wherever it is installed.

Where Python lies below a folder that only root may enter, as /root, the folder is
covered, in a mount namespace that only these processes see.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from p2pslinger.sandbox.confine import bubblewrap
from p2pslinger.sandbox.confine.readable import python
from tests.sandbox.desk import another

#: A user without an entry in any list.
STRANGER = 4242

ROOT = Path(__file__).parents[2]


def command(*words: str, alone: bool) -> list[str]:
    """Return a command line that runs a module of Python as a stranger.

    Args:
        alone: In new namespaces, in which only its own processes, sockets and
            networks are.
    """
    bwrap = bubblewrap.find()
    assert bwrap is not None
    spaces = ("--unshare-pid", "--unshare-net", "--unshare-ipc") if alone else ()
    root = os.getuid() == 0
    return [
        *(bwrap, *spaces, *(() if root else ("--unshare-user",)), "--die-with-parent"),
        *("--dev-bind", "/", "/", *_uncovered(), *(("--proc", "/proc") * alone)),
        *("--chdir", str(ROOT), "--setenv", "PYTHONPATH", str(ROOT)),
        *("--setenv", "PYTHONDONTWRITEBYTECODE", "1", "--"),
        *(sys.executable, "-m", "tests.attacks.stranger", *words),
    ]


def _uncovered() -> Iterator[str]:
    """Yield what lets strangers reach Python, whoever's home it is in."""
    covered: set[Path] = set()
    other = another()
    places = [*python(), *(other.places if other is not None else ())]
    for place in map(Path, places):
        private = next((f for f in reversed(place.parents) if _is_private(f)), None)
        if private is None or os.getuid():
            continue
        if private not in covered:
            covered.add(private)
            yield from ("--perms", "0755", "--tmpfs", str(private))
        for folder in reversed(place.parents):
            if private in folder.parents:
                yield from ("--perms", "0755", "--dir", str(folder))
        yield from ("--ro-bind", str(place), str(place))


def _is_private(folder: Path) -> bool:
    return not folder.stat().st_mode & stat.S_IXOTH


def main() -> None:
    """Become a stranger, if that is possible, and be the program in the arguments."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(STRANGER, STRANGER, STRANGER)
        os.setresuid(STRANGER, STRANGER, STRANGER)
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])


if __name__ == "__main__":
    main()
