"""Durable jobs, as this peer keeps, follows or owns them: manifests, items, contents.

- Items are kept as the exact bytes that were signed, in the order in which they came.
  Whether a signature fits is the caller's question, asked before.
- What can't be what was written is not here (`p2pslinger.store.jobrows`); adding it
  again mends it.
- What a forgotten job leaves is a tombstone, until it expires.
- How many bytes a job takes is kept as a sum: it is asked for often.

Every method may raise `DiskError`. Several calls are one commit inside `State.batch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from p2pslinger.errors import DiskError
from p2pslinger.ids import JobId, PeerId, short
from p2pslinger.store.database import Database
from p2pslinger.store.jobrows import (
    ITEMS,
    JOBS,
    TOMBSTONES,
    StoredJob,
    Tombstone,
    item_row,
    job_row,
    readable_contents,
    readable_items,
    readable_jobs,
    readable_tombstones,
    tombstone_row,
)
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Item, Kind

__all__ = ["JobStore", "NotKeptError", "StoredJob", "Tombstone"]

#: Items read at once: few enough that even the largest fit into memory together.
PAGE = 64

#: Rows of a dropped job that one commit removes: a few milliseconds' work.
SWEEP = 200


class NotKeptError(DiskError):
    """Something is to be added to a job that is not here, or not any more."""


class JobStore:
    """The durable jobs in one database; `State.jobs` is it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- jobs ---------------------------------------------------------------------

    def add(self, stored: StoredJob) -> None:
        """Keep a job; for one that is here, replace `secret`, `key` and `kept`."""
        signed = stored.manifest
        with self._database.batch():
            self._database.execute(
                f"INSERT INTO jobs ({JOBS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (job) DO UPDATE SET"
                " secret = excluded.secret, job_key = excluded.job_key,"
                " kept = excluded.kept, signer = excluded.signer,"
                " signature = excluded.signature, checksum = excluded.checksum,"
                " body = excluded.body",
                job_row(stored),
            )
            self._database.execute(
                "INSERT OR IGNORE INTO sizes SELECT number, ?, ? FROM jobs"
                " WHERE job = ?",
                (signed.signer, len(signed.body) + 96, stored.job),
            )

    def jobs(self) -> list[StoredJob]:
        """Return all jobs, in the order in which they came."""
        rows = self._database.read(f"SELECT {JOBS} FROM jobs ORDER BY number")
        return list(readable_jobs(rows))

    def drop(self, job: JobId) -> None:
        """Remove everything of a job, if there is anything.

        It is gone at once; `sweep` frees its space, so that this is a small commit
        however large the job.
        """
        with self._database.batch():
            for number in self._database.execute(
                "DELETE FROM jobs WHERE job = ? RETURNING number", (job,)
            ):
                self._database.execute("DELETE FROM sizes WHERE job = ?", number)
                self._database.execute("INSERT INTO dropped VALUES (?)", number)

    def sweep(self) -> bool:
        """Free some of the space of dropped jobs; return whether there is more."""
        with self._database.batch():
            for number in self._database.execute("SELECT job FROM dropped LIMIT 1"):
                removed = [
                    self._database.execute(
                        f"DELETE FROM {table} WHERE number IN (SELECT number"
                        f" FROM {table} WHERE job = ? LIMIT {SWEEP}) RETURNING 1",
                        number,
                    )
                    for table in ("items", "contents")
                ]
                if not any(removed):
                    self._database.execute("DELETE FROM dropped WHERE job = ?", number)
            return self.unswept()

    def unswept(self) -> bool:
        """Return whether dropped jobs still take space."""
        return bool(self._database.read("SELECT 1 FROM dropped LIMIT 1"))

    # --- items --------------------------------------------------------------------

    def add_items(
        self, job: JobId, items: Iterable[tuple[bytes, Kind, Signed]]
    ) -> None:
        """Keep items with their ids; those that are here stay as they are.

        Raises:
            NotKeptError: the job is not here.
        """
        with self._database.batch():
            number = self._number(job)
            for item, kind, signed in items:
                row = item_row(item, kind, signed)
                if not self._insert_item(number, row) and self.item(job, item) is None:
                    self.remove_items(job, [item])  # damaged
                    self._insert_item(number, row)

    def remove_items(self, job: JobId, ids: Iterable[bytes]) -> None:
        """Remove items that later ones have replaced; those not here are none."""
        with self._database.batch():
            for item in ids:
                self._database.execute(
                    "DELETE FROM items WHERE id = ?"
                    " AND job = (SELECT number FROM jobs WHERE job = ?)",
                    (item, job),
                )

    def item(self, job: JobId, item: bytes) -> tuple[Kind, Signed] | None:
        """Return an item by its id, or None if it is not here."""
        rows = self._database.read(
            f"SELECT {ITEMS} FROM items WHERE id = ?"
            " AND job = (SELECT number FROM jobs WHERE job = ?)",
            (item, job),
        )
        found = next(readable_items(rows), None)
        return None if found is None else found[1:]

    def items(
        self, job: JobId, kind: Kind | None = None
    ) -> Iterator[tuple[bytes, Kind, Signed]]:
        """Yield a job's items, or those of one kind, in the order in which they came.

        Reads on while it is asked: what is added meanwhile may be among them.
        """
        last: object = 0
        while rows := self._database.read(
            f"SELECT {ITEMS}, number FROM items WHERE number > ?"
            " AND job = (SELECT number FROM jobs WHERE job = ?)"
            f" AND (? IS NULL OR kind = ?) ORDER BY number LIMIT {PAGE}",
            (last, job, kind, kind),
        ):
            last = rows[-1][-1]
            yield from readable_items(row[:-1] for row in rows)

    def _insert_item(self, number: int, row: Sequence[object]) -> bool:
        """Insert an item; return False if one of its id is there."""
        return bool(
            self._database.execute(
                f"INSERT INTO items (job, {ITEMS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (job, id) DO NOTHING RETURNING 1",
                (number, *row),
            )
        )

    # --- contents -----------------------------------------------------------------

    def add_content(self, job: JobId, digest: bytes, data: bytes) -> None:
        """Keep bytes that an item names by digest, 64 KiB at most: others are blobs.

        Raises:
            NotKeptError: the job is not here.
        """
        with self._database.batch():
            number = self._number(job)
            if self.content(job, digest) is None:  # not here, or damaged
                self._database.execute(
                    "DELETE FROM contents WHERE job = ? AND digest = ?",
                    (number, digest),
                )
                self._database.execute(
                    "INSERT INTO contents (job, digest, data) VALUES (?, ?, ?)",
                    (number, digest, data),
                )

    def content(self, job: JobId, digest: bytes) -> bytes | None:
        """Return the bytes of a digest, or None if they are not here."""
        rows = self._database.read(
            "SELECT digest, data FROM contents WHERE digest = ?"
            " AND job = (SELECT number FROM jobs WHERE job = ?)",
            (digest, job),
        )
        return next((data for _, data in readable_contents(rows)), None)

    def contents(self, job: JobId) -> list[bytes]:
        """Return the digests of a job's contents."""
        rows = self._database.read(
            "SELECT digest FROM contents"
            " WHERE job = (SELECT number FROM jobs WHERE job = ?)",
            (job,),
        )
        return [cast("bytes", digest) for (digest,) in rows]

    # --- sizes --------------------------------------------------------------------

    def size(self, job: JobId) -> int:
        """Return the bytes that a job takes here, its blobs not counted."""
        rows = self._database.read(
            "SELECT size FROM sizes"
            " WHERE job = (SELECT number FROM jobs WHERE job = ?)",
            (job,),
        )
        return cast("int", rows[0][0]) if rows else 0

    def sizes(self) -> dict[PeerId, int]:
        """Return by submitter the bytes that all jobs take."""
        sums = "SELECT submitter, SUM(size) FROM sizes GROUP BY submitter"
        rows = cast("list[tuple[PeerId, int]]", self._database.read(sums))
        return dict(rows)

    def _number(self, job: JobId) -> int:
        rows = self._database.read("SELECT number FROM jobs WHERE job = ?", (job,))
        if not rows:
            raise NotKeptError(
                f"job {short(job)} is not kept on this peer, or not any more: nothing "
                "was added to it"
            )
        return cast("int", rows[0][0])

    # --- tombstones ---------------------------------------------------------------

    def bury(self, job: JobId, until: float, proof: Item | None = None) -> None:
        """Remove everything of a job, and remember that.

        Args:
            job: Which; it need not be here.
            until: Wall time until which it is remembered, at least.
            proof: What says that it is forgotten, to show to others; None if its time
                was over.
        """
        with self._database.batch():
            self.drop(job)
            before = self._tombstones(" WHERE job = ?", job).get(job)
            if before is not None:
                until, proof = max(until, before[0]), proof or before[1]
            self._database.execute(
                f"INSERT OR REPLACE INTO tombstones ({TOMBSTONES})"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                tombstone_row(job, until, proof),
            )

    def buried(self) -> dict[JobId, Tombstone]:
        """Return the forgotten jobs: until when that is remembered, and its proof."""
        return self._tombstones("")

    def _tombstones(self, where: str, *values: bytes) -> dict[JobId, Tombstone]:
        rows = self._database.read(
            f"SELECT {TOMBSTONES} FROM tombstones{where} ORDER BY job", values
        )
        return dict(readable_tombstones(rows))

    def prune_tombstones(self, now: float) -> None:
        """Forget the tombstones that have expired at wall time `now`."""
        self._database.execute("DELETE FROM tombstones WHERE until <= ?", (now,))
