"""The data folder: what lies where, and that only one peer runs on it.

    identity.key    who this peer is, 0600
    authkey         which grid it belongs to, 0600
    state.db        receipts, neighbours, counters (SQLite)
    blobs/          content-addressed, named by their digest
    lock            held by the running peer; says its process id

- The folder has mode 0700. One that others may enter is used only if it is empty, and
  is then closed to them: changing the mode of a folder that holds something else
  (a home, /tmp) could break it.
- The lock is the system's and ends with its process, however that ends. The file is
  never removed: two peers could then hold locks on two files of the same name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from p2pslinger.errors import DiskError, UnavailableError

#: Errors that say that the disk, a quota or a size limit is exhausted.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

#: Errors of file systems that know no locks.
NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})

#: Errors that say that somebody holds the lock.
HELD = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})

#: Where Windows locks one byte: beyond the process id, which others must read.
LOCKED_BYTE = 1024


class FolderBusyError(UnavailableError):
    """Another peer runs on the data folder.

    Attributes:
        pid: Its process id, if the lock file says it.
    """

    def __init__(self, text: str, pid: int | None) -> None:
        super().__init__(text, pid)
        self.text = text
        self.pid = pid

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths inside a data folder."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> DataFolder:
        """Return the data folder at `path`, made and closed to others.

        Raises:
            DiskError: it can't be made, or others may enter it and it is not empty.
        """
        path = path.expanduser().absolute()
        make_private(path)
        return cls(path)

    @property
    def state(self) -> Path:
        """The database."""
        return self.path / "state.db"

    @property
    def blobs(self) -> Path:
        """The folder of blobs."""
        return self.path / "blobs"

    def lock(self) -> FolderLock:
        """Take the folder for this process.

        Raises:
            FolderBusyError: a peer runs on it.
            DiskError: the lock file can't be opened, or its disk knows no locks.
        """
        return FolderLock(self.path / "lock")


class FolderLock:
    """A held lock; released by `release`, by leaving its block, or with the process."""

    def __init__(self, file: Path) -> None:
        try:
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise disk_error(file, "opened", error) from None
        try:
            _lock(self._fd, file)
        except BaseException:
            os.close(self._fd)
            raise
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, b"%d\n" % os.getpid())

    def release(self) -> None:
        """Let others have the folder. Does nothing the second time."""
        if self._fd >= 0:
            os.close(self._fd)  # which unlocks
            self._fd = -1

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def make_private(folder: Path) -> None:
    """Make a folder of mode 0700, with its parents.

    Raises:
        DiskError: it can't be made, or others may enter it and it is not empty.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
        if sys.platform == "win32" or not mode & 0o077:
            return
        if not mode & stat.S_ISVTX and next(folder.iterdir(), None) is None:
            folder.chmod(0o700)
            return
    except OSError as error:
        raise disk_error(folder, "used as a folder", error) from None
    raise DiskError(
        f"others may read {folder}, which is to hold keys: run `chmod 700 {folder}` "
        "if it is this peer's alone, or choose another folder (SLINGER_DATA)"
    )


def disk_error(path: Path, done: str, error: OSError, need: int = 0) -> DiskError:
    """Put into words that `path` can't be `done` ("written"); `need` is in bytes."""
    if error.errno in FULL:
        more = f"; {need:,} bytes more are needed" if need else ""
        return DiskError(
            f"{path} can't be {done}: the disk or its quota is full{more}. "
            "Free some space, or choose another data folder (SLINGER_DATA)"
        )
    why = (error.strerror or str(error)).lower()
    return DiskError(f"{path} can't be {done}: {why}")


def sync_folder(folder: Path) -> None:
    """Put on disk which names `folder` holds (Windows does it by itself)."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(fd: int, file: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise DiskError(
                f"{file} can't be locked: its disk knows no locks. Choose a data "
                "folder on a local disk (SLINGER_DATA)"
            ) from None
        if error.errno in HELD:
            raise _busy(fd, file) from None
        raise disk_error(file, "locked", error) from None


def _busy(fd: int, file: Path) -> FolderBusyError:
    os.lseek(fd, 0, os.SEEK_SET)
    said = os.read(fd, 20)
    pid = int(said) if said.strip().isdigit() else None
    who = f" (process {pid})" if pid else ""
    return FolderBusyError(
        f"a peer{who} runs on {file.parent}: use it (`slinger status`), end it "
        "(`slinger down`), or choose another data folder (SLINGER_DATA)",
        pid,
    )
