"""Blobs as files: their names, how they get them, and what a crash leaves behind.

- A file called by a digest in hex is complete. It was written as `incoming-...` and
  renamed; whatever still has such a name at the next start is removed.
- What is fetched from other peers is written as `partial-` and its digest, and stays:
  the next start goes on with it. Which chunks of it are right, their digests tell.
- A file that turns out to be damaged is renamed to `damaged-...`, out of the way of a
  good copy, and removed at the next start.
- Other names are not ours and are left alone.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from p2pslinger.ids import BlobId
from p2pslinger.store.folder import disk_error, make_private

INCOMING = "incoming-"
PARTIAL = "partial-"
DAMAGED = "damaged-"

_COMPLETE = re.compile(r"[0-9a-f]{64}")


class BlobFolder:
    """A folder of blobs, mode 0700, with files of mode 0600."""

    def __init__(self, path: Path) -> None:
        make_private(path)
        self.path = path

    def scan(self) -> list[tuple[BlobId, int]]:
        """Remove leftovers; return blobs and their sizes, least recently used first.

        Raises:
            DiskError: the folder can't be read.
        """
        found: list[tuple[float, str, int]] = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.name.startswith((INCOMING, DAMAGED)):
                        Path(entry.path).unlink()
                    elif _COMPLETE.fullmatch(entry.name):
                        stat = entry.stat(follow_symlinks=False)
                        found.append((stat.st_mtime, entry.name, stat.st_size))
        except OSError as error:
            raise disk_error(self.path, "read", error) from None
        return [(BlobId(bytes.fromhex(name)), size) for _, name, size in sorted(found)]

    def leftovers(self) -> dict[BlobId, int]:
        """Return the unfinished blobs of earlier starts, and their files' sizes.

        Raises:
            DiskError: the folder can't be read.
        """
        found: dict[BlobId, int] = {}
        try:
            for path in self.path.glob(f"{PARTIAL}*"):
                name = path.name.removeprefix(PARTIAL)
                if _COMPLETE.fullmatch(name):
                    found[BlobId(bytes.fromhex(name))] = path.stat().st_size
        except OSError as error:
            raise disk_error(self.path, "read", error) from None
        return found

    def partial(self, blob: BlobId) -> Path:
        """Return the path of an unfinished blob."""
        return self.path / (PARTIAL + blob.hex())

    def file(self, blob: BlobId) -> Path:
        """Return the path of a complete blob."""
        return self.path / blob.hex()

    def incoming(self) -> tuple[int, Path]:
        """Make a file to write to; return its descriptor and its temporary path."""
        path = self.path / (INCOMING + secrets.token_hex(8))
        binary: int = getattr(os, "O_BINARY", 0)  # Windows would translate newlines
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary
        try:
            return os.open(path, flags, 0o600), path
        except OSError as error:
            raise disk_error(self.path, "written", error) from None

    def name(self, incoming: Path, blob: BlobId) -> None:
        """Give a finished file its name.

        Raises:
            OSError: as the system says it.
        """
        incoming.replace(self.file(blob))

    def touch(self, blob: BlobId) -> None:
        """Remember across restarts that a blob was used now."""
        try:
            os.utime(self.file(blob))
        except OSError:
            pass  # only the order of eviction suffers

    def remove(self, blob: BlobId) -> bool:
        """Remove a blob; return whether it is gone."""
        try:
            self.file(blob).unlink(missing_ok=True)
        except OSError:
            return False  # Windows does not remove what somebody reads
        return True

    def set_aside(self, blob: BlobId) -> None:
        """Move a damaged blob out of the way."""
        aside = self.path / f"{DAMAGED}{blob.hex()}-{secrets.token_hex(4)}"
        try:
            self.file(blob).rename(aside)
        except OSError:
            pass  # gone, or held open: a good copy replaces it anyway
