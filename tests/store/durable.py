"""A small durable job, as tests of the store want it."""

from __future__ import annotations

from p2pslinger.ids import GridId, JobId
from p2pslinger.rules.replica import item_id
from p2pslinger.store.jobs import StoredJob
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keeping import Kind
from p2pslinger.wire.manifest import (
    Function,
    Manifest,
    Policy,
    job_id,
    seal_manifest,
)
from p2pslinger.wire.records import Receipt, seal

GRID = GridId(b"the grid")
SUBMITTER, OTHER = Identity(b"s" * 32), Identity(b"o" * 32)
JOB_KEY = Identity(b"k" * 32)
Item = tuple[bytes, Kind, Signed]


def stored(
    number: int, submitter: Identity = SUBMITTER, *, owned: bool = False
) -> StoredJob:
    """Return the job of one number: always the same."""
    manifest = Manifest(
        nonce=number.to_bytes(16, "big"),
        name=f"job {number}",
        submitter=submitter.public,
        job_key=JOB_KEY.public,
        function=Function("f", b"code", bytes(32), 4, None),
        policy=Policy(durable=True),
        created=1e9,
        keep_until=2e9,
    )
    signed = seal_manifest(manifest, submitter, GRID)
    key = JOB_KEY.secret if owned else b""
    return StoredJob(job_id(signed), signed, b"m" * 32, key, True)


def item(job: JobId, sequence: int) -> Item:
    """Return a receipt as an item; each sequence is another."""
    record = Receipt(job, SUBMITTER.id, OTHER.id, sequence, 1.0, 0, sequence, 1e9)
    signed = seal(record, JOB_KEY, GRID)
    return item_id(signed), Kind.RECEIPT, signed


def large(sequence: int, size: int) -> Item:
    """Return an item of some size, which only has the form of one."""
    signed = Signed(sequence.to_bytes(8, "big") + bytes(size), b"k" * 32, b"s" * 64)
    return item_id(signed), Kind.RESULTS, signed
