"""Signed records: what outlives the connection that brought it.

Each is encoded once, signed under its own purpose, and kept, forwarded and verified as
those exact bytes (`p2pslinger.wire.identity.Signed`). Wall times are seconds since the
epoch. Fields are checked for size when they are decoded, here and nowhere later.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.ids import BlobId, GridId
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.decoding import decode
from p2pslinger.wire.identity import Identity, Purpose, Signed, verify
from p2pslinger.wire.needs import NOTHING, Needs

Id = Annotated[bytes, Meta(min_length=20, max_length=20)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Nonce = Annotated[bytes, Meta(min_length=16, max_length=16)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Name = Annotated[str, Meta(max_length=limits.NAME)]
Text = Annotated[str, Meta(max_length=limits.TRACEBACK_TEXT)]
Count = Annotated[int, Meta(ge=0, le=limits.JOB_TASKS)]
#: A span of time, seconds. Without a bound it could be infinite, and means with it.
Seconds = Annotated[float, Meta(ge=0, le=limits.SECONDS)]
#: A wall time, seconds since the epoch, up to the year 10,000.
Wall = Annotated[float, Meta(ge=0, le=253_402_300_800)]
Sequence = Annotated[int, Meta(ge=0, le=1 << 62)]
#: Names a grant at its keeper. Keepers begin at a number chosen by chance, so that two
#: of them, or one before and after a restart, hardly ever use the same.
Number = Annotated[int, Meta(ge=0, le=1 << 62)]
#: What a record is called where many are compared: 16 bytes of the BLAKE3 of its body.
ItemId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Address(msgspec.Struct, frozen=True, array_like=True):
    """Where a peer can be dialled, TCP and UDP alike."""

    host: Annotated[str, Meta(max_length=255)]
    port: Port


class PeerCard(msgspec.Struct, frozen=True, array_like=True):
    """What a peer says about itself.

    Attributes:
        name: The machine's name, as its owner would say it.
        addresses: Where it can be dialled; empty for a peer that no one can dial.
        software: Its p2pslinger version.
        pythons: Minor versions that its slots offer, as "3.12".
        slots: How many slots; 0 for a bootstrap node.
        sandbox: The level that it really found: strong, good, weak or none.
        sequence: Newest card wins.
        expires: Wall time.
        started: When its process has started, by its own clock, in microseconds: two
            processes with one identity differ in it.
        why: What keeps it from computing for others: the code of a reason, or "".
    """

    name: Name
    addresses: Annotated[tuple[Address, ...], Meta(max_length=limits.ADDRESSES)]
    software: Annotated[str, Meta(max_length=40)]
    pythons: Annotated[tuple[str, ...], Meta(max_length=8)]
    slots: Count
    sandbox: Annotated[str, Meta(max_length=10)]
    sequence: Sequence
    expires: Wall
    started: Sequence = 0
    why: Annotated[str, Meta(max_length=40)] = ""


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """That a job is open or closed at one of its keepers, signed by that keeper.

    A peer can announce under its own id only, so a forged notice stands beside the true
    ones and never in their place. All keepers of a job together are its notices.

    Attributes:
        job: Its id.
        keeper: The peer that hands out its work.
        python: The minor version that its function needs, or None for any.
        open: False once nothing is left to compute; it may still keep the results.
        sequence: The highest wins.
        expires: Wall time after which everyone forgets it.
        needs: What the job needs besides that Python.
    """

    job: Id
    keeper: Id
    python: Annotated[str, Meta(max_length=8)] | None
    open: bool
    sequence: Sequence
    expires: Wall
    needs: Needs = NOTHING


class SharedBlob(msgspec.Struct, frozen=True, array_like=True):
    """A value that tasks share: a blob whose handle is in their arguments.

    Attributes:
        digest: The blob.
        size: Its bytes.
    """

    digest: Digest
    size: Annotated[int, Meta(ge=1, le=limits.BLOB)]


#: What the tasks of one shard refer to.
SharedBlobs = Annotated[tuple[SharedBlob, ...], Meta(max_length=2 * limits.SHARED)]


class ShardHead(msgspec.Struct, frozen=True, array_like=True):
    """One shard of published arguments, by content.

    Attributes:
        count: Tasks in it.
        form: How its bytes hold the arguments (`p2pslinger.wire.packed`).
        digest: BLAKE3 of its bytes.
        size: How many bytes.
        shared: The shared values that they refer to.
    """

    count: Annotated[int, Meta(ge=1, le=limits.SHARD_TASKS)]
    form: Annotated[int, Meta(ge=0, le=3)]
    digest: Digest
    size: Annotated[int, Meta(ge=0, le=limits.BLOB)]
    shared: SharedBlobs = ()


class ShardBatch(msgspec.Struct, frozen=True, array_like=True):
    """Shards appended to a job, signed by its job key.

    Attributes:
        job: Its id.
        first: Number of the first shard of this batch.
        base: Global index of that shard's first task.
        chain: Running hash of everything appended before.
        heads: The shards, in order.
    """

    job: Id
    first: Count
    base: Count
    chain: Digest
    heads: Annotated[tuple[ShardHead, ...], Meta(min_length=1, max_length=limits.BATCH)]


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """One task that failed, and all that its submitter can know about it.

    Attributes:
        index: Global index of the task.
        kind: "raised", "timeout", "killed", "unpicklable" or "load".
        type: Name of the exception's class.
        message: Its text.
        traceback: Of the task's own frames.
        arguments: A short form of the call's arguments.
        host: Name of the machine.
        pickled: The exception, if it can be rebuilt from bytes.
    """

    index: Count
    kind: Annotated[str, Meta(max_length=20)]
    type: Annotated[str, Meta(max_length=200)]
    message: Text
    traceback: Text
    arguments: Text
    host: Name
    pickled: Annotated[bytes, Meta(max_length=limits.INLINE)]


class RangeResult(msgspec.Struct, frozen=True, array_like=True):
    """The outcome of the tasks [start, stop) of one grant.

    Attributes:
        job: Its id.
        grant: The grant under which they were computed.
        granted: The grant's own first task and one after its last.
        mac: The grant's MAC.
        start: Global index of the first task: the grant's own, unless `lost`.
        stop: One after the last that was computed; the rest of the grant goes back.
        form: How `values` holds the values (`p2pslinger.wire.packed`).
        values: The values' bytes, or empty if they travel as a body.
        digest: The values' name when they travel as a body, else empty: the blob's, or
            of a throw-away job the range's (`range_name`).
        size: Bytes of the values.
        failures: Tasks among them that failed.
        lost: The slot died at task `start`: this range holds that task alone, and its
            failure says how. What the slot had computed before is given back.
        wall: Seconds that the range took.
        cpu: CPU seconds that it took.
        output: The end of what it printed.
    """

    job: Id
    grant: Number
    granted: tuple[Count, Count]
    mac: Annotated[bytes, Meta(max_length=32)]
    start: Count
    stop: Count
    form: Annotated[int, Meta(ge=0, le=1)]
    values: bytes
    digest: Annotated[bytes, Meta(max_length=32)]
    size: Annotated[int, Meta(ge=0, le=limits.BLOB)]
    failures: Annotated[tuple[Failure, ...], Meta(max_length=limits.SHARD_TASKS)]
    lost: bool
    wall: Seconds
    cpu: Seconds
    output: Annotated[bytes, Meta(max_length=limits.OUTPUT)]


def range_name(job: bytes, grant: int, start: int, stop: int) -> BlobId:
    """Name the values of a range by where they belong.

    Nobody else can use that name: the grant's MAC says whose the grant is. So it does
    where nobody has to tell by the name that the values are the right ones.
    """
    return blob_digest(b"%b %d %d %d" % (job, grant, start, stop))


class ResultBatch(msgspec.Struct, frozen=True, array_like=True):
    """Results of one volunteer under one signature."""

    results: Annotated[
        tuple[RangeResult, ...], Meta(min_length=1, max_length=limits.SIGNED_RANGES)
    ]


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """Credit that a job gives a volunteer: cumulative, the newest replaces the others.

    Signed by the submitter, who vouches for it; it is not a proof of work.

    Attributes:
        job: Its id.
        submitter: The peer that submitted it.
        volunteer: Who computed.
        tasks: Tasks accepted from it.
        cpu: CPU seconds that it says they took.
        failures: Tasks among them that raised.
        sequence: The highest wins.
        wall: When, seconds since the epoch.
        checks: Tasks of others that it has computed as well, and agreed with what was
            accepted; their CPU seconds are among the above.
    """

    job: Id
    submitter: Id
    volunteer: Id
    tasks: Count
    cpu: Seconds
    failures: Count
    sequence: Sequence
    wall: Wall
    checks: Count = 0


class Control(msgspec.Struct, frozen=True, array_like=True):
    """Everything about a job that can change, signed by its job key.

    Attributes:
        job: Its id.
        sequence: The highest wins; `cancelled` and `forgotten` absorb, whatever the
            sequence.
        cancelled: Nothing of it is computed any more.
        sealed: How many tasks it has in all, once nothing more is appended.
        priority: Higher first among one submitter's jobs.
        paused: Nothing of it is handed out for now.
        forgotten: Everything of it is deleted; a tombstone stays.
        keep_until: Wall time, instead of the manifest's.
        keepers: Who keeps it, the submitter's peer first.
        wanted: How many keepers it should have besides the submitter's peer.
        excluded: Volunteers that get none of it, and whose results do not count unless
            they were accepted before. Nobody is ever taken off this list.
    """

    job: Id
    sequence: Sequence
    cancelled: bool = False
    sealed: Count | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    paused: bool = False
    forgotten: bool = False
    keep_until: Wall | None = None
    keepers: Annotated[tuple[Id, ...], Meta(max_length=limits.KEEPERS)] = ()
    wanted: Annotated[int, Meta(ge=0, le=limits.KEEPERS - 1)] = 0
    excluded: Annotated[tuple[Id, ...], Meta(max_length=limits.EXCLUDED)] = ()


class Appointment(msgspec.Struct, frozen=True, array_like=True):
    """That a keeper takes another's place, signed by a keeper while no owner is there.

    Attributes:
        job: Its id.
        sequence: Of the control record whose keepers it mends; void with the next one.
        keeper: Who keeps the job from now on.
        instead_of: Whose place it takes: a keeper that has been silent.
        depth: How many appointments lead to it, this one included: 3 at most.
        wall: When, seconds since the epoch.
    """

    job: Id
    sequence: Sequence
    keeper: Id
    instead_of: Id
    depth: Annotated[int, Meta(ge=1, le=3)]
    wall: Wall


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """That the tasks [start, stop) have the outcome that one signed batch holds."""

    start: Count
    stop: Count
    batch: ItemId


class Acceptance(msgspec.Struct, frozen=True, array_like=True):
    """Which results count, signed by the job key. What was accepted once is final.

    Attributes:
        job: Its id.
        ranges: Which tasks, and the batch of results that they are taken from.
    """

    job: Id
    ranges: Annotated[
        tuple[Accepted, ...], Meta(min_length=1, max_length=limits.ACCEPTED_RANGES)
    ]


Record = (
    PeerCard
    | Notice
    | ShardBatch
    | ResultBatch
    | Receipt
    | Control
    | Appointment
    | Acceptance
)
R = TypeVar("R", bound=msgspec.Struct)

_PURPOSES: dict[type[msgspec.Struct], Purpose] = {
    PeerCard: Purpose.CARD,
    Notice: Purpose.NOTICE,
    ShardBatch: Purpose.SHARDS,
    ResultBatch: Purpose.RESULTS,
    Receipt: Purpose.RECEIPT,
    Control: Purpose.CONTROL,
    Appointment: Purpose.APPOINTMENT,
    Acceptance: Purpose.ACCEPTANCE,
}
_encoder = msgspec.msgpack.Encoder()
_decoders = {kind: msgspec.msgpack.Decoder(kind) for kind in _PURPOSES}


def encode(record: Record) -> bytes:
    """Return a record's bytes: what is signed."""
    return _encoder.encode(record)


def seal(record: Record, signer: Identity, grid: GridId) -> Signed:
    """Encode a record and sign it under its own purpose."""
    return signer.sign(_PURPOSES[type(record)], grid, _encoder.encode(record))


def read(kind: type[R], signed: Signed) -> R:
    """Decode a record without checking its signature: for one's own.

    Raises:
        PeerError: the bytes are no such record.
    """
    record = decode(_decoders[kind], signed.body, f"sent a broken {kind.__name__}")
    assert isinstance(record, kind)
    return record


def open_signed(kind: type[R], signed: Signed, grid: GridId) -> R:
    """Check a record's signature and decode it.

    Raises:
        BadSignatureError: the signature does not fit purpose, grid and key.
        PeerError: the bytes are no such record.
    """
    verify(signed, _PURPOSES[kind], grid)
    return read(kind, signed)
