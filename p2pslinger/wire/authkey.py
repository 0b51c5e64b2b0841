"""The authkey: a grid's one secret, its text form, and the keys that follow from it.

The text form is what people copy from machine to machine. Everything else is derived by
HKDF, one key per purpose, so that no two uses share a key. Only the grid id is public.

A human passphrase is possible with a grid name. It is stretched with scrypt, and still
whoever can see the network can guess it offline: 256 random bits are the default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from p2pslinger.errors import AuthkeyError, UsageError
from p2pslinger.ids import GridId, from_text, to_text

#: What a text form starts with, so that nobody pastes a peer id in its place.
PREFIX = "slinger"

#: Bytes of the grid id and of the secret.
GRID_BYTES = 8
SECRET_BYTES = 32

#: Least estimated strength of a passphrase, bits.
PASSPHRASE_BITS = 60

#: Cost of scrypt (RFC 7914): 2^17 blocks of 1 KiB, 128 MiB and about 0.4 s.
SCRYPT_COST = 2**17


@dataclass(frozen=True, slots=True)
class Authkey:
    """A grid's public id and its shared secret (32 bytes)."""

    grid: GridId
    secret: bytes = field(repr=False)

    def key_for(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose."""
        info = f"p2pslinger {purpose} v1".encode()
        return HKDF(SHA256(), 32, salt=self.grid, info=info).derive(self.secret)

    def to_text(self) -> str:
        """Return the text form. It is the secret: show it once, on purpose."""
        return f"{PREFIX}-{to_text(self.grid + self.secret)}"


def from_random(seed: bytes) -> Authkey:
    """Make an authkey from 40 random bytes."""
    if len(seed) != GRID_BYTES + SECRET_BYTES:
        raise UsageError(f"an authkey is made of 40 random bytes, not {len(seed)}")
    return Authkey(GridId(seed[:GRID_BYTES]), seed[GRID_BYTES:])


def read(text: str) -> Authkey:
    """Read a text form.

    Raises:
        AuthkeyError: it is no authkey, or it has a typing error.
    """
    prefix, _, rest = text.strip().partition("-")
    if prefix.strip().lower() != PREFIX:
        raise AuthkeyError(
            f"this is no authkey: one starts with '{PREFIX}-' and is made by "
            "`slinger init`. For a passphrase of your own, use "
            "`slinger init --passphrase`"
        )
    try:
        raw = from_text(rest, GRID_BYTES + SECRET_BYTES)
    except UsageError:
        raise AuthkeyError(
            "the authkey has a typing error or is cut short: copy the whole line "
            "that `slinger init` printed"
        ) from None
    return from_random(raw)


def from_passphrase(name: str, passphrase: str) -> Authkey:
    """Stretch a passphrase of the grid `name` (scrypt, about 0.4 s).

    Raises:
        AuthkeyError: the passphrase has fewer than 60 estimated bits.
    """
    if not name.strip():
        raise AuthkeyError("a passphrase needs a grid name: it is the salt")
    bits = estimated_bits(passphrase)
    if bits < PASSPHRASE_BITS:
        raise AuthkeyError(
            f"this passphrase is too weak (about {bits:.0f} bits, at least "
            f"{PASSPHRASE_BITS}): use six unrelated words, or let `slinger init` "
            "make an authkey"
        )
    kdf = Scrypt(salt=name.strip().encode(), length=40, n=SCRYPT_COST, r=8, p=1)
    return from_random(kdf.derive(passphrase.encode()))


def estimated_bits(passphrase: str) -> float:
    """Estimate a passphrase's strength: a rough upper bound, in bits.

    Different words count 11 bits each (a 2,000-word vocabulary), short ones less. Other
    text counts by the alphabet it draws from, and no character more than twice.
    """
    words = {word.lower() for word in passphrase.split()}
    alphabet = sum(
        size
        for size, found in (
            (26, any(c.islower() for c in passphrase)),
            (26, any(c.isupper() for c in passphrase)),
            (10, any(c.isdigit() for c in passphrase)),
            (33, any(not c.isalnum() for c in passphrase)),
            (100, any(c.isalpha() and c.lower() == c.upper() for c in passphrase)),
        )
        if found
    )
    varied = min(len(passphrase), 2 * len(set(passphrase)))
    by_letters = varied * math.log2(alphabet) if alphabet else 0.0
    if len(passphrase.split()) < 2:
        return by_letters * 0.75
    by_words = sum(min(11.0, len(word) * math.log2(26)) for word in words)
    return min(by_words, by_letters)
