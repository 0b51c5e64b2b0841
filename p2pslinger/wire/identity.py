"""Who signs: a peer's or a job's Ed25519 key, and signatures with a purpose.

A signature is made under a label of purpose and grid id, so that one made for one thing
can never pass for another, in this grid or the next (design.md, "Signed bytes are kept
as received").
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from msgspec import Meta

from p2pslinger.errors import BadSignatureError
from p2pslinger.ids import GridId, PeerId, peer_id


class Purpose(StrEnum):
    """What a signature is for."""

    CARD = "card"
    MANIFEST = "manifest"
    NOTICE = "notice"
    SHARDS = "shards"
    RESULTS = "results"
    CONTROL = "control"
    RECEIPT = "receipt"
    ACCEPTANCE = "acceptance"
    APPOINTMENT = "appointment"


class Signed(msgspec.Struct, frozen=True, array_like=True):
    """The exact bytes that were signed, by whom, and the signature.

    Attributes:
        body: An encoded record; decoded only after `verify`.
        key: The signer's raw public key, 32 bytes.
        signature: 64 bytes over the label of the purpose and `body`.
    """

    body: bytes
    key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    @property
    def signer(self) -> PeerId:
        """The id that belongs to the signer's key."""
        return peer_id(self.key)


class Identity:
    """A private key and what follows from it.

    Args:
        secret: 32 raw bytes of an Ed25519 private key.
    """

    __slots__ = ("_key", "id", "public", "secret")

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.secret = secret
        self.public = self._key.public_key().public_bytes_raw()
        self.id = peer_id(self.public)

    def sign(self, purpose: Purpose, grid: GridId, body: bytes) -> Signed:
        """Sign `body` for one purpose in one grid."""
        signature = self._key.sign(_label(purpose, grid) + body)
        return Signed(body, self.public, signature)

    def __repr__(self) -> str:
        return f"Identity({self.id.hex()[:8]})"  # never the secret


def unsigned(body: bytes, key: bytes) -> Signed:
    """Return what a connection proves to be `key`'s own, with zeros for a signature."""
    return Signed(body, key, bytes(64))


def verify(signed: Signed, purpose: Purpose, grid: GridId) -> None:
    """Check a signature.

    Raises:
        BadSignatureError: it was not made by `signed.key`, for this purpose and grid.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(signed.key)
        key.verify(signed.signature, _label(purpose, grid) + signed.body)
    except (InvalidSignature, ValueError):
        raise BadSignatureError(
            f"sent a {purpose} whose signature does not fit"
        ) from None


def _label(purpose: Purpose, grid: GridId) -> bytes:
    return b"p2pslinger %s v1\x00%b" % (purpose.encode(), grid)
