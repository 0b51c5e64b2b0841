"""What can still be read from a damaged database that was set aside.

SQLite reads a table in order until it meets damage. So each is read from its start, and
then from its end until the same damage: what is lost is what lies between. Every row
that is found must prove itself, as far as it can: what damage has changed is left out.

A wreck is only read. What it holds may be older than what was there last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from p2pslinger.errors import PeerError
from p2pslinger.ids import JobId
from p2pslinger.store.jobrows import (
    ITEMS,
    JOBS,
    TOMBSTONES,
    StoredJob,
    Tombstone,
    readable_contents,
    readable_items,
    readable_jobs,
    readable_tombstones,
)
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Kind
from p2pslinger.wire.records import Receipt, read

Row = tuple[object, ...]


@dataclass
class Wreck:
    """A damaged database.

    Args:
        path: Its file.
    """

    path: Path
    _numbers: dict[object, JobId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True)
        # A damaged text is no reason to stop reading.
        self._connection.text_factory = lambda raw: raw.decode(errors="replace")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def tombstones(self) -> Iterator[tuple[JobId, Tombstone]]:
        """Yield the jobs that were forgotten, and what is remembered of that."""
        yield from readable_tombstones(self._rows("tombstones", TOMBSTONES, "job"))

    def jobs(self) -> Iterator[StoredJob]:
        """Yield the jobs; to be read before what belongs to them."""
        for row in self._rows("jobs", f"{JOBS}, number", "number"):
            for stored in readable_jobs([row[:-1]]):
                self._numbers[row[-1]] = stored.job
                yield stored

    def items(self) -> Iterator[tuple[JobId, bytes, Kind, Signed]]:
        """Yield the items of the jobs that could be read."""
        for row in self._rows("items", f"{ITEMS}, job", "number"):
            for item, kind, signed in readable_items([row[:-1]]):
                if row[-1] in self._numbers:
                    yield self._numbers[row[-1]], item, kind, signed

    def contents(self) -> Iterator[tuple[JobId, bytes, bytes]]:
        """Yield the contents of the jobs that could be read: digest and data."""
        for row in self._rows("contents", "digest, data, job", "number"):
            for digest, data in readable_contents([row[:-1]]):
                if row[-1] in self._numbers:
                    yield self._numbers[row[-1]], digest, data

    def receipts(self) -> Iterator[Signed]:
        """Yield the receipts whose columns still say what their bodies say."""
        columns = "job, volunteer, submitter"
        said = f"{columns}, tasks, failures, cpu, sequence, wall"
        for row in self._rows("receipts", f"{said}, body, key, signature", columns):
            try:
                signed = Signed(*cast("tuple[bytes, bytes, bytes]", row[8:]))
                one = read(Receipt, signed)
            except (PeerError, TypeError):
                continue
            whole = (one.job, one.volunteer, one.submitter) == row[:3]
            what = (one.tasks, one.failures, one.cpu, one.sequence, one.wall)
            if whole and what == row[3:8]:
                yield signed

    def starts(self) -> int:
        """Return how often the peer had been started; 0 if that is lost."""
        for name, value in self._rows("meta", "name, value", "name"):
            if name == "starts" and isinstance(value, int):
                return value
        return 0

    def _rows(self, table: str, columns: str, order: str) -> Iterator[Row]:
        """Yield the rows of a table before the first damage and after the last."""
        query = f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY "
        whole = yield from self._until_damage(query + order)
        if not whole:
            back = ", ".join(f"{column} DESC" for column in order.split(", "))
            yield from self._until_damage(query + back)

    def _until_damage(self, query: str) -> Generator[Row, None, bool]:
        """Yield rows; return whether these were all."""
        try:
            cursor = self._connection.execute(query)
            while (row := cursor.fetchone()) is not None:
                yield row
        except sqlite3.DatabaseError:
            return False
        return True
