"""Messages about durable jobs, between their keepers, owners and readers.

A durable job is a set of *items*: signed records that are only ever added, each its own
proof. So it does not matter who brings one, or in which order: replicas that have the
same items agree. What items refer to by digest (arguments) travels beside them as
*contents*, or is fetched if it is big.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Count, Digest, Id, ItemId, Key, Number

#: Parts by which two replicas compare their items: enough that a few new results mean
#: few ids, and a comparison of equals stays well under a kilobyte.
BUCKETS = 64

#: Ids in one answer; what does not fit follows with the next comparison.
IDS = 100_000


class Kind(IntEnum):
    """What an item is."""

    SHARDS = 1
    CONTROL = 2
    APPOINTMENT = 3
    RESULTS = 4
    ACCEPTANCE = 5
    RECEIPT = 6


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One signed record of a job."""

    kind: Kind
    signed: Signed


class Content(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that an item names by their digest: small ones."""

    digest: Digest
    data: Annotated[bytes, Meta(max_length=limits.INLINE)]


Items = Annotated[tuple[Item, ...], Meta(max_length=limits.BATCH)]
Contents = Annotated[tuple[Content, ...], Meta(max_length=4 * limits.BATCH)]


class Keep(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """Ask a peer to keep a job. Answered by `Keeping`, or fails: no room, no wish.

    What the job holds so far is told or asked for afterwards.

    Attributes:
        manifest: The job's.
        secret: Its keepers' key for the MACs of grants.
        items: Control records and appointments that say who its keepers are.
    """

    manifest: Signed
    secret: Key
    items: Items


class Keeping(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """Yes, it is kept here from now on."""


class Tell(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Items that the other end may lack. Answered by `Told` once they are durable."""

    job: Id
    items: Items
    contents: Contents = ()


class Told(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """They are on disk, with everything that they refer to.

    Attributes:
        refused: Items that were not taken: their signature or content is wrong.
    """

    refused: Annotated[tuple[ItemId, ...], Meta(max_length=limits.BATCH)] = ()


class CompareJob(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """Compare what two replicas hold. Answered by `JobCompared`.

    Attributes:
        job: The job.
        sums: For each bucket (an id's first byte modulo `BUCKETS`) the exclusive or of
            its items' ids.
    """

    job: Id
    sums: Annotated[tuple[ItemId, ...], Meta(min_length=BUCKETS, max_length=BUCKETS)]


class JobCompared(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """The answerer's ids in every bucket that differs.

    Attributes:
        buckets: Which differ; none if both hold the same.
        ids: The answerer's items in them.
        manifest: The job's manifest, for whoever does not know it yet.
    """

    buckets: Annotated[tuple[int, ...], Meta(max_length=BUCKETS)]
    ids: Annotated[tuple[ItemId, ...], Meta(max_length=IDS)]
    manifest: Signed | None = None


class GetItems(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """Ask for items by id. Answered by `GotItems`, perhaps with fewer: ask again."""

    job: Id
    ids: Annotated[tuple[ItemId, ...], Meta(min_length=1, max_length=limits.BATCH)]


class GotItems(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """Items, and their contents as far as these are small."""

    items: Items
    contents: Contents = ()


class SharedGrant(msgspec.Struct, frozen=True, array_like=True):
    """A grant that another keeper has made: these tasks are being computed."""

    number: Number
    volunteer: Id
    start: Count
    stop: Count


class ShareGrants(msgspec.Struct, frozen=True, array_like=True, tag=26):
    """Pushed between keepers: what has changed among the sender's live grants.

    Sent within 200 ms of a change, and every second while there are any; a keeper that
    has been silent for 5 s has its part handed out by the others.

    Attributes:
        job: The job.
        whole: `made` holds all live grants; what was shared before is void.
        made: New ones.
        ended: Numbers of those that are over.
        idle: Slots at the sender that have nothing to do: it asks for open tasks.
        given: Open tasks, [start, stop), that the receiver hands out from now on.
        leaves: The sender stops: who computes for it turns to the others.
        still: Tasks of its live grants whose slots stand still: for people to see.
    """

    job: Id
    whole: bool
    made: Annotated[tuple[SharedGrant, ...], Meta(max_length=4 * limits.BATCH)]
    ended: Annotated[tuple[Number, ...], Meta(max_length=4 * limits.BATCH)]
    idle: Annotated[int, Meta(ge=0, le=limits.OPEN_REQUESTS)] = 0
    given: Annotated[
        tuple[tuple[Count, Count], ...], Meta(max_length=limits.SIGNED_RANGES)
    ] = ()
    leaves: bool = False
    still: Count = 0


class HeldGrant(msgspec.Struct, frozen=True, array_like=True):
    """A grant as its volunteer proves it: with the MAC that came with it."""

    number: Number
    start: Count
    stop: Count
    mac: Annotated[bytes, Meta(max_length=32)]


class Adopt(msgspec.Struct, frozen=True, array_like=True, tag=27):
    """A volunteer whose keeper is gone asks another one to take over its grants.

    Answered by `Renewed` with those that are void.
    """

    job: Id
    grants: Annotated[tuple[HeldGrant, ...], Meta(max_length=limits.SIGNED_RANGES)]


class Keeps(msgspec.Struct, frozen=True, array_like=True, tag=28):
    """Pushed on connecting: durable jobs that the sender keeps, or was told to forget.

    So the halves of a grid that was split find out what each has not heard of a job,
    even where they have come to other keepers.
    """

    jobs: Annotated[tuple[Id, ...], Meta(max_length=limits.BATCH)]


KeepingMessage = (
    Keep
    | Keeping
    | Tell
    | Told
    | CompareJob
    | JobCompared
    | GetItems
    | GotItems
    | ShareGrants
    | Adopt
    | Keeps
)
