"""Where a peer's log goes: to stderr, or to a file that stays small."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from p2pslinger.cli.words import printable
from p2pslinger.errors import DiskError

#: Bytes of the log file before it makes place for a new one; one old one is kept. A few
#: weeks of a busy peer.
LARGEST = 2_000_000

FORMAT = "%(asctime)s %(levelname)s %(message)s"


class OneLine(logging.Formatter):
    """A formatter that lets no stranger's bytes reach the terminal as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - stdlib's
        """Return the line of a record."""
        return printable(super().formatMessage(record))


@contextmanager
def log_to(file: Path | None, level: str) -> Iterator[None]:
    """Write our log of `level` and up, and everybody else's errors, while it lasts.

    Raises:
        DiskError: the file can't be opened.
    """
    handler = _handler(file)
    handler.setFormatter(OneLine(FORMAT))
    root, ours = logging.getLogger(), logging.getLogger("p2pslinger")
    before = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.ERROR)
    ours.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        root.setLevel(before[0])
        ours.setLevel(before[1])


def _handler(file: Path | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler()
    try:
        return RotatingFileHandler(file, maxBytes=LARGEST, backupCount=1)
    except OSError as error:
        raise DiskError(f"{file} can't be written: {error.strerror}") from None
