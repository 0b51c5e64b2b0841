"""Items of one durable job, in the words of tests: signed by whoever may, or not."""

from __future__ import annotations

from p2pslinger.ids import GridId, PeerId
from p2pslinger.rules.grants import grant_mac
from p2pslinger.rules.replica import Replica, item_id
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.manifest import Function, Manifest, Policy, job_id, seal_manifest
from p2pslinger.wire.records import (
    Acceptance,
    Accepted,
    Appointment,
    Control,
    Failure,
    RangeResult,
    Receipt,
    Record,
    ResultBatch,
    ShardBatch,
    ShardHead,
    seal,
)

GRID = GridId(b"g" * 8)
OWNER, SUBMITTER = Identity(b"o" * 32), Identity(b"s" * 32)
PEERS = tuple(Identity(bytes([i]) * 32) for i in range(1, 6))
SECRET = b"k" * 32
KEEP_UNTIL = 1e9

MANIFEST = Manifest(
    b"n" * 16,
    "test",
    SUBMITTER.public,
    OWNER.public,
    Function("f", b"code", b"d" * 32, 4, None),
    Policy(durable=True),
    0.0,
    KEEP_UNTIL,
)
JOB = job_id(seal_manifest(MANIFEST, SUBMITTER, GRID))


def replica(secret: bytes | None = SECRET) -> Replica:
    return Replica(JOB, MANIFEST, GRID, secret)


def control(sequence: int, by: Identity = OWNER, **said: object) -> Item:
    record = Control(JOB, sequence, **said)  # type: ignore[arg-type]
    return _item(Kind.CONTROL, record, by)


def shards(first: int, base: int, *counts: int) -> Item:
    heads = tuple(ShardHead(count, 0, b"d" * 32, 9) for count in counts)
    record = ShardBatch(JOB, first, base, bytes(32), heads)
    return _item(Kind.SHARDS, record, OWNER)


def appointment(
    by: Identity,
    new: PeerId,
    instead_of: PeerId,
    *,
    sequence: int = 1,
    depth: int = 1,
    wall: float = 0.0,
) -> Item:
    made = Appointment(JOB, sequence, new, instead_of, depth, wall)
    return _item(Kind.APPOINTMENT, made, by)


def ranged(
    by: Identity,
    start: int,
    stop: int,
    *,
    grant: int = 1,
    granted: tuple[int, int] | None = None,
    lost: bool = False,
    kind: str = "killed",
    wall: float = 1.0,
) -> RangeResult:
    granted = granted or (start, stop)
    mac = grant_mac(SECRET, JOB, grant, by.id, granted)
    failure = Failure(start, kind, "", "", "", "", "host", b"")
    return RangeResult(
        JOB,
        grant,
        granted,
        mac,
        start,
        stop,
        0,
        b"",
        b"",
        0,
        (failure,) if lost else (),
        lost,
        wall,
        0.5,
        b"",
    )


def results(by: Identity, *ranges: RangeResult) -> Item:
    return _item(Kind.RESULTS, ResultBatch(ranges), by)


def result(by: Identity, start: int, stop: int, *, wall: float = 1.0) -> Item:
    return results(by, ranged(by, start, stop, wall=wall))


def acceptance(batch: Item, start: int, stop: int, by: Identity = OWNER) -> Item:
    what = Accepted(start, stop, item_id(batch.signed))
    return _item(Kind.ACCEPTANCE, Acceptance(JOB, (what,)), by)


def receipt(
    volunteer: PeerId, sequence: int, tasks: int = 1, *, by: Identity = OWNER
) -> Item:
    made = Receipt(JOB, SUBMITTER.id, volunteer, tasks, 1.0, 0, sequence, 0.0)
    return _item(Kind.RECEIPT, made, by)


def _item(kind: Kind, record: Record, by: Identity) -> Item:
    return Item(kind, seal(record, by, GRID))
