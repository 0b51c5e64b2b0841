"""Messages between two peers, over one connection.

Requests that answer late are ordinary here: a `Want` stays open until there is work for
it. What a message refers to (manifest, shards) is sent along the first time that a
connection needs it, so that a new task starts in one network hop.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.wire.acquainting import AcquaintingMessage
from p2pslinger.wire.decoding import decode
from p2pslinger.wire.glimpse import GlimpseMessage
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import KeepingMessage
from p2pslinger.wire.keyring import Holds
from p2pslinger.wire.needs import Offer
from p2pslinger.wire.records import (
    Count,
    Digest,
    Id,
    Number,
    Seconds,
    Sequence,
    Text,
    Wall,
)
from p2pslinger.wire.transfer import TransferMessage

Text40 = Annotated[str, Meta(max_length=40)]


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """First frame of both ends.

    Attributes:
        protocol: Version of everything that follows.
        software: p2pslinger version, for the message to whoever must update.
        role: "peer", or "program" on the control socket.
        wall: The sender's wall time: how far are our clocks apart?
        card: The sender's signed peer card; none from a program.
        holds: Which authkey it uses; not said by a program.
    """

    protocol: int
    software: Text40
    role: Text40
    wall: Wall
    card: Signed | None = None
    holds: Holds | None = None


# --- work -------------------------------------------------------------------------


class Want(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A volunteer has room for one assignment. Answered by `Work`, when there is some.

    Every want is answered once: taken back by `Unwant`, it is answered without grants.
    So work that crosses the taking back is not lost, but given back. What the slot can
    be was said before, by `Offer`.

    Attributes:
        number: The volunteer's own number for it.
        queued: The room is behind a running range: serve empty slots first.
        mine: For the asker's own jobs only.
    """

    number: Count
    queued: bool
    mine: bool = False


class Unwant(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """Pushed by a volunteer: a want has been served elsewhere."""

    number: Count


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """Permission to compute the tasks [start, stop) of a job.

    Attributes:
        job: Its id.
        grant: Number that names it at its keeper.
        start: Global index of the first task.
        stop: One after the last.
        lease: Seconds it lives without a heartbeat.
        slice: Seconds after which the slot reports what it has and gives back the rest.
        mac: Over job, number, volunteer and tasks, under the keepers' key; comes back
            with the result.
    """

    job: Id
    grant: Number
    start: Count
    stop: Count
    lease: Seconds
    slice: Seconds
    mac: Annotated[bytes, Meta(max_length=32)]


class ShardData(msgspec.Struct, frozen=True, array_like=True):
    """The bytes of one shard that is small enough to be sent along."""

    job: Id
    number: Count
    data: Annotated[bytes, Meta(max_length=limits.INLINE)]


class Work(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The answer to a `Want`: one assignment, for one slot, and what it refers to.

    Attributes:
        grants: All of one job; none if the want was taken back.
        manifests: Signed manifests that this connection has not carried yet.
        batches: Signed shard batches, likewise.
        shards: Small shards, likewise. Larger ones are fetched by their digest.
    """

    grants: Annotated[tuple[Grant, ...], Meta(max_length=limits.SIGNED_RANGES)]
    manifests: tuple[Signed, ...] = ()
    batches: tuple[Signed, ...] = ()
    shards: tuple[ShardData, ...] = ()


class Deliver(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Signed results: pushed; or a request, with values too big for it as its body.

    The values of several results follow each other in the body, in order.
    """

    batch: Signed


class Delivered(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """What became of results that were delivered as a request.

    Attributes:
        kept: How many keepers hold them, durably if the job is durable.
        refused: Grants whose results were not taken (unknown job, wrong MAC).
        enough: The volunteer need not keep a copy of its own.
        until: Wall time after which everyone may forget the job, 0 if it is not said.
    """

    kept: Count
    refused: tuple[Number, ...] = ()
    enough: bool = True
    until: Wall = 0.0


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """One grant that a volunteer still works on, and the task that it is at.

    Attributes:
        suspended: It stands still for now, and may be given back: copy it.
    """

    job: Id
    grant: Number
    index: Count
    suspended: bool = False


class Renew(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Pushed by a volunteer, its heartbeat: all that it holds of this keeper.

    Grants among them that are void are revoked.
    """

    holdings: Annotated[tuple[Holding, ...], Meta(max_length=limits.BATCH)]


class Renewed(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The answer to an adoption: grants that are void, and so need not be finished."""

    void: tuple[Number, ...] = ()


class GiveBack(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Pushed by a volunteer: grants that it will not compute.

    Attributes:
        job: The grants' job.
        grants: Their numbers.
        forgot: It no longer has what it was once sent of this job: send it again.
    """

    job: Id
    grants: Annotated[tuple[Number, ...], Meta(max_length=limits.BATCH)]
    forgot: bool = False


class Revoke(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Pushed by a keeper: stop these grants. No grants: the job is over, forget it."""

    job: Id
    grants: Annotated[tuple[Number, ...], Meta(max_length=limits.BATCH)]


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Ask for a blob of a job. Answered by `Fetched` and a body."""

    job: Id
    digest: Digest


class Fetched(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """A blob's size in bytes; its bytes follow as the answer's body."""

    size: Count


# --- neighbourhood ----------------------------------------------------------------


class Gossip(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Pushed: signed notices that the other end may not have heard."""

    notices: Annotated[tuple[Signed, ...], Meta(max_length=limits.BATCH)]


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """One line of a digest: the newest notice known of a job from a keeper of it."""

    job: Id
    keeper: Id
    sequence: Sequence


class Compare(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """A digest of all open notices. Answered by `Compared`.

    Attributes:
        digest: Hash of the sorted lines; equal digests need no lines.
        lines: The lines, once the hash was found to differ.
    """

    digest: Digest
    lines: Annotated[tuple[Heard, ...], Meta(max_length=limits.NOTICES)] | None = None


class Compared(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """What came of comparing digests.

    Attributes:
        equal: Both ends know the same.
        wanted: Lines whose notice the answerer lacks: push them.
        notices: Notices that the asker lacks.
    """

    equal: bool
    wanted: tuple[Heard, ...] = ()
    notices: tuple[Signed, ...] = ()


class Receipts(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """Pushed by a submitter to a volunteer: signed receipts for what it computed."""

    receipts: Annotated[tuple[Signed, ...], Meta(max_length=limits.BATCH)]


class Fail(msgspec.Struct, frozen=True, array_like=True):
    """Why a request was not served: the payload of a FAIL frame.

    Attributes:
        kind: "usage", "peer" or "unavailable": whose fault.
        text: A sentence for a person.
    """

    kind: Text40
    text: Text


PeerMessage = (
    Want
    | AcquaintingMessage
    | Work
    | Deliver
    | Delivered
    | Renew
    | Renewed
    | GiveBack
    | Revoke
    | Fetch
    | Fetched
    | Gossip
    | Compare
    | Compared
    | Receipts
    | Unwant
    | Offer
    | KeepingMessage
    | TransferMessage
    | GlimpseMessage
)

_encoder = msgspec.msgpack.Encoder()


class Codec:
    """Messages of one conversation (peer to peer, or program to peer) as bytes.

    Args:
        union: The messages that may occur, a union of tagged structs.
    """

    __slots__ = ("_decoder",)

    def __init__(self, union: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[msgspec.Struct] = (
            msgspec.msgpack.Decoder(union)
        )

    def encode(self, message: msgspec.Struct) -> bytes:
        """Return a message's bytes."""
        return _encoder.encode(message)

    def decode(self, payload: bytes) -> msgspec.Struct:
        """Read a message.

        Raises:
            PeerError: the bytes are none of this conversation's messages.
        """
        return decode(self._decoder, payload, "sent a message that can't be read")


PEER_CODEC = Codec(PeerMessage)
_hello = msgspec.msgpack.Decoder(Hello)
_fail = msgspec.msgpack.Decoder(Fail)


def encode(message: msgspec.Struct) -> bytes:
    """Return the bytes of a `Hello` or a `Fail`."""
    return _encoder.encode(message)


def decode_hello(payload: bytes) -> Hello:
    """Read the first frame of a connection.

    Raises:
        PeerError: it is no hello.
    """
    return decode(_hello, payload, "did not say hello")


def decode_fail(payload: bytes) -> Fail:
    """Read the payload of a FAIL frame.

    Raises:
        PeerError: it is none.
    """
    return decode(_fail, payload, "failed without a reason")
