"""One SQLite file: migrated when older, refused when newer, blamed when broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pslinger.errors import DiskError
from p2pslinger.store.database import Database

ONE = "CREATE TABLE things (name TEXT PRIMARY KEY, data BLOB)"
TWO = "ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 7"


def test_an_older_file_is_migrated_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    old = Database(path, [ONE])
    old.execute("INSERT INTO things VALUES ('kept', x'00')")
    old.close()

    new = Database(path, [ONE, TWO])
    assert new.execute("SELECT name, size FROM things") == [("kept", 7)]
    new.close()
    again = Database(path, [ONE, TWO])
    assert again.execute("PRAGMA user_version") == [(2,)]
    again.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database(path, [ONE]).close()

    with pytest.raises(DiskError):
        Database(path, [ONE, f"{TWO}; CREATE TABLE things (clash)"])

    database = Database(path, [ONE])
    assert database.execute("PRAGMA user_version") == [(1,)]
    database.close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database(path, [ONE, TWO]).close()

    with pytest.raises(DiskError, match="update p2pslinger"):
        Database(path, [ONE])

    assert [p.name for p in tmp_path.iterdir()] == ["a.db"]


def test_damage_found_at_work_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(path, [ONE])
    for n in range(600):  # more than SQLite's cache of 2 MiB
        database.execute("INSERT INTO things VALUES (?, zeroblob(8000))", (str(n),))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))

    with pytest.raises(DiskError, match="start the peer again"):
        database.execute("SELECT data FROM things")
    database.close()


def test_a_mistake_in_our_sql_is_not_called_damage() -> None:
    database = Database(None, [ONE])
    with pytest.raises(DiskError, match="no such table"):
        database.execute("SELECT * FROM nowhere")
    database.close()


FILLING = """
import sys
from pathlib import Path
from p2pslinger.errors import DiskError
from p2pslinger.store.database import Database
database = Database(Path(sys.argv[1]) / "a.db", [sys.argv[2]])
database.execute("INSERT INTO things VALUES ('first', x'00')")
try:
    with database.batch():
        for n in range(1000):
            database.execute("INSERT INTO things VALUES (?, zeroblob(8000))", (str(n),))
except DiskError as error:
    print(error)
print(database.execute("SELECT name FROM things"))
"""


def test_a_full_disk_is_named_and_the_batch_undone(small_disk: list[str]) -> None:
    command = [*small_disk, sys.executable, "-c", FILLING, "DISK", ONE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    message, left = done.stdout.splitlines()
    assert "a.db can't be written: the disk is full" in message
    assert left == "[('first',)]"
