"""Signatures that are checked once in a process, and not by each of its many peers.

What dozens of simulated peers have in common is a processor: each of them checks what
all the others have checked, and that is a good part of a simulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from p2pslinger.wire import identity

#: Signatures that fit: key, signature, what was signed.
Right = set[tuple[bytes, bytes, bytes]]


class Checked:
    """A public key that remembers the signatures that fit.

    Args:
        key: Its 32 bytes.
        right: What fits.
    """

    def __init__(self, key: bytes, right: Right) -> None:
        self._key = key
        self._right = right

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check a signature; raises what the real key does."""
        what = (self._key, signature, data)
        if what not in self._right:
            Ed25519PublicKey.from_public_bytes(self._key).verify(signature, data)
            self._right.add(what)


class Signing:
    """A secret key: what it has signed needs no check.

    Args:
        secret: Its 32 bytes.
        right: What fits.
    """

    def __init__(self, secret: bytes, right: Right) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._public = self._key.public_key().public_bytes_raw()
        self._right = right

    def public_key(self) -> Ed25519PublicKey:
        """Return the public half."""
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        """Sign."""
        signature = self._key.sign(data)
        self._right.add((self._public, signature, data))
        return signature


@contextmanager
def checked_once() -> Iterator[None]:
    """Check no signature a second time, as long as the context lasts."""
    right: Right = set()

    class Public:
        from_public_bytes = partial(Checked, right=right)

    class Secret:
        from_private_bytes = partial(Signing, right=right)

    identity.Ed25519PublicKey = Public  # type: ignore[assignment, attr-defined]
    identity.Ed25519PrivateKey = Secret  # type: ignore[assignment, attr-defined]
    try:
        yield
    finally:
        identity.Ed25519PublicKey = Ed25519PublicKey  # type: ignore[attr-defined]
        identity.Ed25519PrivateKey = Ed25519PrivateKey  # type: ignore[attr-defined]
