"""Signatures that are checked once in a process, and not by each of its many peers.

What dozens of simulated peers have in common is a processor: each of them checks what
all the others have checked, and that is a good part of a simulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from p2pslinger.wire import identity

#: Signatures that fit: key, signature, what was signed.
Right = set[tuple[bytes, bytes, bytes]]


@contextmanager
def checked_once() -> Iterator[None]:
    """Check no signature a second time, as long as the context lasts."""
    right: Right = set()

    class Key:
        """A public key that remembers the signatures that fit."""

        def __init__(self, key: bytes) -> None:
            self._key = key

        @classmethod
        def from_public_bytes(cls, key: bytes) -> Key:
            """Return a key."""
            return cls(key)

        def verify(self, signature: bytes, data: bytes) -> None:
            """Check a signature; raises what the real key does."""
            what = (self._key, signature, data)
            if what not in right:
                Ed25519PublicKey.from_public_bytes(self._key).verify(signature, data)
                right.add(what)

    identity.Ed25519PublicKey = Key  # type: ignore[assignment, attr-defined]
    try:
        yield
    finally:
        identity.Ed25519PublicKey = Ed25519PublicKey  # type: ignore[attr-defined]
