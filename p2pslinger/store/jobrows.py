"""The tables of durable jobs, their rows, and whether a row is what was written.

SQLite does not notice when a disk changes the bytes of a row. So every row proves
itself: by the id of its job, item or content, which is a hash, and a checksum for the
rest. A row that does not is left out, with a warning.

Triggers keep the bytes that each job takes. Items and contents refer to their job by a
number, because 20 bytes in every row and index would be most of a small one. Numbers
are not used again: rows of a dropped job are removed some time after it.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from blake3 import blake3

from p2pslinger.ids import JobId, short
from p2pslinger.rules.replica import item_id
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.manifest import job_id

log = logging.getLogger(__name__)

#: A script of `State`'s migrations. 96 bytes are a public key and a signature, 32 are a
#: digest; SQLite's own overhead is not counted.
SCHEMA = """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job BLOB NOT NULL UNIQUE,
        secret BLOB NOT NULL,
        job_key BLOB NOT NULL,
        kept INTEGER NOT NULL,
        signer BLOB NOT NULL,
        signature BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        job INTEGER NOT NULL,
        id BLOB NOT NULL,
        kind INTEGER NOT NULL,
        signer BLOB NOT NULL,
        signature BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (job, id)
    );
    CREATE INDEX items_in_order ON items (job);
    CREATE TABLE contents (
        number INTEGER PRIMARY KEY,
        job INTEGER NOT NULL,
        digest BLOB NOT NULL,
        data BLOB NOT NULL,
        UNIQUE (job, digest)
    );
    CREATE TABLE sizes (
        job INTEGER PRIMARY KEY,
        submitter BLOB NOT NULL,
        size INTEGER NOT NULL
    );
    CREATE TABLE dropped (
        job INTEGER PRIMARY KEY
    );
    CREATE TABLE tombstones (
        job BLOB PRIMARY KEY,
        until REAL NOT NULL,
        kind INTEGER,
        signer BLOB,
        signature BLOB,
        checksum INTEGER NOT NULL,
        body BLOB
    ) WITHOUT ROWID;
    CREATE TRIGGER item_added AFTER INSERT ON items BEGIN
        UPDATE sizes SET size = size + length(NEW.body) + 96 WHERE job = NEW.job;
    END;
    CREATE TRIGGER item_removed AFTER DELETE ON items BEGIN
        UPDATE sizes SET size = size - length(OLD.body) - 96 WHERE job = OLD.job;
    END;
    CREATE TRIGGER content_added AFTER INSERT ON contents BEGIN
        UPDATE sizes SET size = size + length(NEW.data) + 32 WHERE job = NEW.job;
    END;
    CREATE TRIGGER content_removed AFTER DELETE ON contents BEGIN
        UPDATE sizes SET size = size - length(OLD.data) - 32 WHERE job = OLD.job;
    END;
    """

#: The columns of a job's row, in the order in which they are read and written.
JOBS = "job, secret, job_key, kept, signer, signature, checksum, body"
#: The same of an item's row.
ITEMS = "id, kind, signer, signature, checksum, body"

#: The same of a tombstone's row.
TOMBSTONES = "job, until, kind, signer, signature, checksum, body"

#: Until when it is remembered that a job is forgotten, wall time, and what proves it.
Tombstone = tuple[float, Item | None]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A durable job that this peer has to do with.

    Attributes:
        job: Its id.
        manifest: As its submitter signed it.
        secret: The key for the MACs of its grants, 32 bytes.
        key: The secret half of the job key, 32 bytes; empty if this is no owner.
        kept: This peer is a keeper of it; otherwise it only follows or owns it.
    """

    job: JobId
    manifest: Signed
    secret: bytes
    key: bytes
    kept: bool

    def __repr__(self) -> str:
        return f"StoredJob({short(self.job)}, kept={self.kept})"  # never the secrets


def job_row(stored: StoredJob) -> tuple[object, ...]:
    """Return a job as the columns `JOBS`."""
    signed = stored.manifest
    return (
        stored.job,
        stored.secret,
        stored.key,
        int(stored.kept),
        signed.key,
        signed.signature,
        _checksum(
            stored.job,
            stored.secret,
            stored.key,
            bytes([stored.kept]),
            signed.key,
            signed.signature,
        ),
        signed.body,
    )


def item_row(item: bytes, kind: Kind, signed: Signed) -> tuple[object, ...]:
    """Return an item as the columns `ITEMS`."""
    checksum = _checksum(item, bytes([kind]), signed.key, signed.signature)
    return (item, int(kind), signed.key, signed.signature, checksum, signed.body)


def tombstone_row(job: JobId, until: float, proof: Item | None) -> tuple[object, ...]:
    """Return a tombstone as the columns `TOMBSTONES`."""
    when = struct.pack(">d", until)
    if proof is None:
        return (job, until, None, None, None, _checksum(job, when), None)
    kind, signed = int(proof.kind), proof.signed
    said = (signed.key, signed.signature, signed.body)
    checksum = _checksum(job, when, bytes([kind]), *said)
    return (job, until, kind, signed.key, signed.signature, checksum, signed.body)


def readable_jobs(rows: Iterable[Sequence[object]]) -> Iterator[StoredJob]:
    """Yield the jobs among rows of `JOBS` that are what was written."""
    for row in rows:
        job, secret, key, kept, signer, signature, _, body = cast(
            "tuple[JobId, bytes, bytes, int, bytes, bytes, int, bytes]", row
        )
        try:
            signed = Signed(body, signer, signature)
            stored = StoredJob(job, signed, secret, key, bool(kept))
            whole = job_row(stored) == tuple(row) and job_id(signed) == job
        except TypeError:  # damage can turn bytes into anything
            whole = False
        if whole:
            yield stored
        else:
            log.warning("a job's row is damaged and was left out")


def readable_tombstones(
    rows: Iterable[Sequence[object]],
) -> Iterator[tuple[JobId, Tombstone]]:
    """Yield the tombstones among rows of `TOMBSTONES` that are what was written."""
    for row in rows:
        job, until, kind, signer, signature, _, body = cast(
            "tuple[JobId, float, int | None, bytes, bytes, int, bytes]", row
        )
        try:
            proof = None
            if kind is not None:
                proof = Item(Kind(kind), Signed(body, signer, signature))
            whole = tombstone_row(job, until, proof) == tuple(row)
        except (TypeError, ValueError, struct.error):
            whole = False
        if whole:
            yield job, (until, proof)
        else:
            log.warning("a tombstone's row is damaged and was left out")


def readable_items(
    rows: Iterable[Sequence[object]],
) -> Iterator[tuple[bytes, Kind, Signed]]:
    """Yield the items among rows of `ITEMS` that are what was written."""
    for row in rows:
        item, kind, signer, signature, _, body = cast(
            "tuple[bytes, int, bytes, bytes, int, bytes]", row
        )
        try:
            found = (item, Kind(kind), Signed(body, signer, signature))
            whole = item_row(*found) == tuple(row)
            whole = whole and item_id(found[2]) == item
        except (TypeError, ValueError):
            whole = False
        if whole:
            yield found
        else:
            log.warning("an item's row is damaged and was left out")


def readable_contents(
    rows: Iterable[Sequence[object]],
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the digests and data among rows that are what was written."""
    for row in rows:
        digest, data = cast("tuple[bytes, bytes]", row)
        if isinstance(data, bytes) and blake3(data).digest() == digest:
            yield digest, data
        else:
            log.warning("a content's row is damaged and was left out")


def _checksum(*parts: bytes) -> int:
    """Return a checksum against a disk that errs, not against people."""
    return zlib.crc32(b"".join(parts))
