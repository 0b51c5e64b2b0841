"""The manifest: what a job is, fixed for good when it is submitted.

Signed by the submitting peer; the job id is the hash of the signed bytes, which hold 16
random bytes, so that nobody can choose an id. Arguments are not in it: they follow as
shards, signed by the job key that the manifest names.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.errors import PeerError
from p2pslinger.ids import ID_BYTES, GridId, JobId
from p2pslinger.wire.decoding import decode
from p2pslinger.wire.identity import Identity, Purpose, Signed, verify
from p2pslinger.wire.needs import NOTHING, Needs
from p2pslinger.wire.records import Digest, Key, Name, Nonce, Wall

#: No task is computed again to compare: what the first peer says is taken.
NEVER = 0

#: A peer's first results are computed again by another, later ones ever more rarely.
ADAPTIVE = 1


class Function(msgspec.Struct, frozen=True, array_like=True):
    """The function, by content.

    Attributes:
        name: What to call it in messages.
        code: Its package, or empty if it is a blob.
        digest: BLAKE3 of the package.
        size: Its bytes.
        python: The minor version that it needs ("3.12"), or None for any.
    """

    name: Name
    code: Annotated[bytes, Meta(max_length=limits.INLINE)]
    digest: Digest
    size: Annotated[int, Meta(ge=0, le=limits.BLOB)]
    python: Annotated[str, Meta(max_length=8)] | None


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """How a job wants to be run.

    Attributes:
        timeout: Seconds a task may take, or None for as long as it likes.
        seeded: Whether chance is the same in every run of a task.
        durable: Whether it outlives the program that submitted it.
        trusted: Whether only slots may compute it that its submitter trusts like those
            of its own machine.
        replicate: How many peers compute each task, to compare: 0 for one, whoever it
            is (`NEVER`); 1 for as many as their results' record asks for (`ADAPTIVE`).
        relative: How far two floating-point numbers may be apart and still agree, as a
            part of the larger.
        absolute: The same, as a difference.
    """

    timeout: Annotated[float, Meta(gt=0)] | None = None
    seeded: bool = True
    durable: bool = False
    trusted: bool = False
    replicate: Annotated[int, Meta(ge=0, le=limits.REPLICATE)] = NEVER
    relative: Annotated[float, Meta(ge=0, le=1)] = 0.0
    absolute: Annotated[float, Meta(ge=0, le=1e300)] = 0.0

    @property
    def votes(self) -> int:
        """How many peers a task is computed by, where it is checked."""
        return 2 if self.replicate == ADAPTIVE else max(1, self.replicate)

    @property
    def most_answers(self) -> int:
        """How many answers are kept of a task: with one to decide where they differ."""
        return self.votes + 1


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """A job's description.

    Attributes:
        nonce: 16 random bytes.
        name: What people call the job.
        submitter: Public key of the submitting peer, 32 bytes.
        job_key: Public key that decides for the job, 32 bytes.
        function: What each task calls.
        policy: How.
        created: Wall time.
        keep_until: Wall time after which everyone may forget it.
        needs: What it needs besides the function's Python.
    """

    nonce: Nonce
    name: Name
    submitter: Key
    job_key: Key
    function: Function
    policy: Policy
    created: Wall
    keep_until: Wall
    needs: Needs = NOTHING


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Manifest)


def job_id(signed: Signed) -> JobId:
    """Return the id of the job that a signed manifest describes."""
    return JobId(hashlib.sha256(signed.body).digest()[:ID_BYTES])


def seal_manifest(manifest: Manifest, submitter: Identity, grid: GridId) -> Signed:
    """Sign a manifest as its submitter."""
    return submitter.sign(Purpose.MANIFEST, grid, _encoder.encode(manifest))


def open_manifest(signed: Signed, grid: GridId) -> Manifest:
    """Check and decode a manifest.

    Raises:
        BadSignatureError: it is not signed by the submitter that it names.
        PeerError: the bytes are no manifest.
    """
    verify(signed, Purpose.MANIFEST, grid)
    manifest = decode(_decoder, signed.body, "sent a broken manifest")
    if manifest.submitter != signed.key:
        raise PeerError("sent a manifest signed by another than its submitter")
    return manifest
