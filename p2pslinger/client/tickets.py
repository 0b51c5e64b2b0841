"""Tickets in files: written so that only their owner can read them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from p2pslinger.errors import DiskError, UsageError
from p2pslinger.wire.owning import Ticket
from p2pslinger.wire.ticket import looks_like_ticket, read_ticket, ticket_text

#: Largest file that is read as a ticket, bytes.
LARGEST = 4096

_COMMENT = "# A ticket for a job of a slinger grid: see `slinger ticket --help`."
_SECRET = "# A secret: whoever has this may cancel, extend and forget the job."


def save_ticket(path: Path, ticket: Ticket) -> None:
    """Write a ticket into a new file of mode 0600.

    Raises:
        UsageError: there is such a file already.
        DiskError: it can't be written.
    """
    lines = [_COMMENT, *([_SECRET] if ticket.key else []), ticket_text(ticket)]
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write("\n".join([*lines, ""]))
    except FileExistsError:
        raise UsageError(f"{path} exists: choose another name") from None
    except OSError as error:
        raise _disk_error(path, "written", error) from None


def load_ticket(place: str | Path) -> Ticket:
    """Read a ticket: its text, or the path of a file that has it.

    Raises:
        UsageError: there is none, or it is mistyped or cut short.
        DiskError: the file can't be read, or others may read the secret in it.
    """
    if isinstance(place, str) and looks_like_ticket(place) and not _exists(place):
        return read_ticket(place)
    path = Path(place)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        raise UsageError(
            f"{str(place)[:80]!r} is neither a ticket nor the file of one"
        ) from None
    except OSError as error:
        raise _disk_error(path, "read", error) from None
    ticket = read_ticket(_line(text))
    if ticket.key and mode & 0o077 and sys.platform != "win32":
        raise DiskError(
            f"others may read {path}, and with it decide for the job: run "
            f"`chmod 600 {path}`"
        )
    return ticket


def _line(text: str) -> str:
    """Return the first line that is no comment."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and line[0] != "#"), "")


def _exists(place: str) -> bool:
    try:
        return Path(place).is_file()
    except OSError:
        return False  # it is too long for a name


def _disk_error(path: Path, done: str, error: OSError) -> DiskError:
    why = (error.strerror or str(error)).lower()
    return DiskError(f"{path} can't be {done}: {why}")
