"""Where the owner's preferences are written down."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from p2pslinger.rules.preferences import DEFAULTS, Preferences
from p2pslinger.store import prefsfile


class Wishes(Protocol):
    """Where the preferences are written down."""

    def stamp(self) -> object:
        """Return something that is another after each change."""

    def read(self) -> Preferences:
        """Return them.

        Raises:
            UsageError: they can't be understood.
        """


class WrittenWishes:
    """Preferences in a file.

    Args:
        file: Its path, whether or not it exists.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def stamp(self) -> object:
        """See `Wishes.stamp`."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> Preferences:
        """See `Wishes.read`."""
        return prefsfile.load(self.file)


class SpokenWishes:
    """Preferences in memory: for simulations, and where there is no file."""

    def __init__(self) -> None:
        self.preferences = DEFAULTS

    def stamp(self) -> object:
        """See `Wishes.stamp`."""
        return self.preferences

    def read(self) -> Preferences:
        """See `Wishes.read`."""
        return self.preferences
