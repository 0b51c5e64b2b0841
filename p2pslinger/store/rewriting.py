"""Files of settings that are changed by commands, and may be edited by people.

Each is private (mode 0600) and replaced in one step, under a lock: two commands at once
lose nothing, and a reader never sees half of it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pslinger.store.folder import disk_error, sync_folder


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keep other commands from changing a file meanwhile; its folder is made.

    Raises:
        DiskError: it can't be written, here or inside.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = file.with_name(f".{file.name}.lock")
        fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise disk_error(file, "written", error) from None
    try:
        _wait_for(fd)
        yield
    except OSError as error:
        raise disk_error(file, "written", error) from None
    finally:
        os.close(fd)


def replace_text(file: Path, text: str) -> None:
    """Put a file on disk under another name, then give it its own.

    Raises:
        OSError: it can't be written.
    """
    fresh = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as out:
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
        sync_folder(file.parent)
    finally:
        fresh.unlink(missing_ok=True)


def _wait_for(fd: int) -> None:
    """Wait until no other command is changing the file; that takes milliseconds."""
    try:
        import fcntl
    except ImportError:  # Windows: the last of two commands at once wins
        return
    fcntl.flock(fd, fcntl.LOCK_EX)
