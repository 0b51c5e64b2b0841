"""One SQLite file: opened, checked, brought to our schema, and its errors put in words.

- Commits survive a power cut: WAL and synchronous=FULL, about 0.2 ms each.
- The schema has a version. Older files are migrated, one script after the other, each
  in one transaction; a newer one is refused.
- A damaged file is set aside under another name, with its log, and a new one started:
  what it holds can be had again, a peer that does not start can't be explained away.
- Readers never wait for a commit: outside of a batch they have a connection of their
  own, and see what has been committed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from p2pslinger.errors import DiskError
from p2pslinger.store.folder import disk_error, make_private

log = logging.getLogger(__name__)

#: Seconds to wait for a lock. Only a copying tool can hold one: one peer, one file.
PATIENCE = 5.0

#: What SQLite keeps beside a database.
BESIDE = ("-wal", "-shm")

#: What is between the names of a file and of its damaged predecessors, and a number.
ASIDE = ".damaged-"

#: A damaged file that was set aside has an empty one of its name and this beside it
#: until somebody has read from it what can still be read.
UNREAD = ".unread"

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """One file, and the two connections to it: one writes, the other reads.

    It may be used from any thread; a batch keeps other writers waiting.

    Args:
        path: The file; None for memory.
        migrations: Scripts that lead from an empty file to our schema.

    Attributes:
        notes: What the owner should know about how it was opened.
    """

    def __init__(self, path: Path | None, migrations: Sequence[str]) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._writer: int | None = None
        self.notes: tuple[str, ...] = ()
        self._connection = self._open(migrations)
        self._reading = threading.Lock()
        self._reader = self._open_reader()

    @property
    def changes(self) -> int:
        """Rows written since it was opened; grows with every change."""
        return self._connection.total_changes

    def read(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a query; return its rows.

        It sees what has been committed; inside of a batch, what this has written too.

        Raises:
            DiskError: the file can't be read.
        """
        if self._reader is None or self._writer == threading.get_ident():
            return self.execute(sql, values)
        with self._reading:
            return self._run(self._reader, sql, values)

    def execute(
        self, sql: str, values: Sequence[object] = ()
    ) -> list[tuple[object, ...]]:
        """Run one statement; return its rows.

        Raises:
            DiskError: the file can't be read or written.
        """
        with self._lock:
            return self._run(self._connection, sql, values)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make one commit of what happens inside; nothing of it if that raises.

        A batch inside a batch belongs to it.
        """
        with self._lock:
            if self._depth == 0:
                self.execute("BEGIN IMMEDIATE")
            self._depth += 1
            self._writer = threading.get_ident()
            try:
                yield
                if self._depth == 1:
                    self.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already.
                if self._depth == 1 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._writer = None

    def close(self) -> None:
        """Close the file. Does nothing the second time."""
        if self._reader is not None:
            with self._reading:
                self._reader.close()
        with self._lock:
            self._connection.close()

    def _run(
        self, connection: sqlite3.Connection, sql: str, values: Sequence[object]
    ) -> list[tuple[object, ...]]:
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._in_words(error) from error

    def _open_reader(self) -> sqlite3.Connection | None:
        """Connect for reading; None in memory, where there is but one connection."""
        if self._path is None:
            return None
        with self._told():
            reader = _connect(str(self._path))
            reader.execute("PRAGMA query_only=ON")
            return reader

    def _open(self, migrations: Sequence[str]) -> sqlite3.Connection:
        if self._path is None:
            return _prepared(":memory:", migrations)
        make_private(self._path.parent)
        with self._told():
            try:
                _touch(self._path)
                return _prepared(str(self._path), migrations)
            except sqlite3.DatabaseError as error:
                if _code(error) not in DAMAGED:
                    raise
                self._set_aside(self._path)
            _touch(self._path)
            return _prepared(str(self._path), migrations)

    def _set_aside(self, path: Path) -> None:
        numbers = range(1, 1_000_000)
        aside = next(
            name
            for name in (path.with_name(f"{path.name}{ASIDE}{n}") for n in numbers)
            if not name.exists()
        )
        aside.with_name(aside.name + UNREAD).touch()
        # The file itself last: a log left behind would be taken for that of a new one.
        for suffix in BESIDE:
            log_file = path.with_name(path.name + suffix)
            if log_file.exists():
                log_file.rename(aside.with_name(aside.name + suffix))
        path.rename(aside)
        note = f"{path} was damaged: it is now {aside.name}, and a new one was started"
        self.notes += (note,)
        log.warning("a damaged database was set aside: %s", aside)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Translate SQLite's errors and the system's when a file is opened."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._in_words(error) from error
        except OSError as error:
            assert self._path is not None
            raise disk_error(self._path, "opened", error) from error

    def _in_words(self, error: sqlite3.Error) -> DiskError:
        where = self._path or "the database in memory"
        if _code(error) == sqlite3.SQLITE_FULL:
            return DiskError(
                f"{where} can't be written: the disk is full. Free some space, or "
                "choose another data folder (SLINGER_DATA)"
            )
        if _code(error) in DAMAGED:
            return DiskError(
                f"{where} is damaged: start the peer again, and it sets the file "
                "aside and begins a new one"
            )
        return DiskError(f"{where} can't be used: {error}")


def _connect(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name,
        timeout=PATIENCE,
        isolation_level=None,  # we say BEGIN and COMMIT ourselves
        check_same_thread=False,  # `Database` has locks of its own
    )
    # Damage can turn bytes into text that is none; who reads a row checks what it is.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection


def _prepared(name: str, migrations: Sequence[str]) -> sqlite3.Connection:
    connection = _connect(name)
    try:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=FULL")
        # Zeroing what is deleted would write it once more, where there may be no room.
        connection.execute("PRAGMA secure_delete=FAST").fetchall()
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            damaged = sqlite3.DatabaseError("quick_check found damage")
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged
        _migrate(connection, name, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(
    connection: sqlite3.Connection, name: str, migrations: Sequence[str]
) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise DiskError(
            f"{name} was written by a newer p2pslinger (schema {version}, this one "
            f"knows {len(migrations)}): update p2pslinger on this machine, or choose "
            "another data folder (SLINGER_DATA)"
        )
    for number, script in enumerate(migrations[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;"
        )


def _touch(path: Path) -> None:
    """Make the file, 0600, before SQLite would make it readable to others."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code, or 0 if it is an error of the module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
