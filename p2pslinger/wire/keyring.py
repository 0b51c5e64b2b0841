"""A grid's authkeys while it goes over from one to the next.

    newest       what this peer shows, and what others should have
    older        what others may still have, each until its end

All carry the same grid id: what was signed for the grid stays signed for it. The next
authkey is made of chance alone, whatever the one before was made of, and nothing of it
follows from that one.

Who holds an authkey can *prove* it to who holds it too, without showing it: the proof
names its maker, so that nobody else can show it as his own.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger.errors import UsageError
from p2pslinger.ids import GridId, PeerId, short
from p2pslinger.wire.authkey import SECRET_BYTES, Authkey, from_random

#: Older authkeys that count beside the newest, at most: each costs every stranger's
#: datagram another try. More are a sign that `--expel` was meant.
OLDER = 2

#: Bytes of a proof.
PROOF = 32


@dataclass(frozen=True, slots=True)
class Older:
    """An authkey that counts for a while yet.

    Attributes:
        key: It.
        until: Wall time at which it ends.
    """

    key: Authkey
    until: float


@dataclass(frozen=True, slots=True)
class Keyring:
    """The authkeys that count, the newest of them apart."""

    newest: Authkey
    older: tuple[Older, ...] = field(default=())

    @property
    def grid(self) -> GridId:
        """The grid that all of them are of."""
        return self.newest.grid

    def __iter__(self) -> Iterator[Authkey]:
        """Yield them, the newest first."""
        yield self.newest
        yield from (one.key for one in self.older)

    @property
    def ends(self) -> float:
        """When the last older one ends, or 0."""
        return max((one.until for one in self.older), default=0.0)

    def at(self, now: float) -> Keyring:
        """Return what is left of it at a wall time."""
        left = tuple(one for one in self.older if one.until > now)
        return self if len(left) == len(self.older) else replace(self, older=left)

    def follow(self, secret: bytes, until: float) -> Keyring:
        """Make the next authkey of 32 random bytes; the others count until then.

        Raises:
            UsageError: there are as many as there may be.
        """
        if len(secret) != SECRET_BYTES:
            raise UsageError(f"an authkey's secret has 32 bytes, not {len(secret)}")
        return self.join(from_random(self.grid + secret), until)

    def join(self, key: Authkey, until: float) -> Keyring:
        """Put another authkey of the grid first; the others count until then.

        Raises:
            UsageError: it is of another grid, or there are as many as there may be.
        """
        if key.grid != self.grid:
            raise UsageError(
                f"that is the authkey of another grid ({short(key.grid)}), and this "
                f"machine is in {short(self.grid)}: `slinger init --join --force` "
                "leaves this one"
            )
        if key == self.newest:
            return self
        before = [Older(self.newest, until), *self.older]
        older = tuple(
            Older(one.key, min(one.until, until)) for one in before if one.key != key
        )
        if len(older) > OLDER:
            raise UsageError(
                f"{len(older)} older authkeys would count: wait until one of them "
                "ends (`slinger status`), or use --expel"
            )
        return Keyring(key, older)

    def alone(self) -> Keyring:
        """Return the newest without the older ones."""
        return Keyring(self.newest)

    # --- proofs -------------------------------------------------------------------

    def proof(self, me: PeerId) -> bytes:
        """Prove to who holds the newest authkey that this peer does, too."""
        return _proof(self.newest, me)

    def age(self, peer: PeerId, proof: bytes) -> int | None:
        """Return which authkey a peer has proved to use: 0 is the newest.

        None is for one that is not held here: it may be newer, or have ended.
        """
        for age, key in enumerate(self):
            if hmac.compare_digest(_proof(key, peer), proof):
                return age
        return None


def _proof(key: Authkey, peer: PeerId) -> bytes:
    return hmac.digest(key.key_for("proof of holding"), peer, "sha256")


class Holds(msgspec.Struct, frozen=True, array_like=True, tag=43):
    """Which authkey the sender uses: in its hello, and pushed when it changes.

    Attributes:
        proof: Of the newest that it holds (see `Keyring.proof`).
        ends: Wall time until which it takes an older one as well, or 0.
    """

    proof: Annotated[bytes, Meta(min_length=PROOF, max_length=PROOF)]
    ends: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
