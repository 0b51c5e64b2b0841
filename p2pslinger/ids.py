"""Ids, and their text forms that people can type.

Every id is raw bytes inside and base32 outside: lower case, in groups, with three
check characters at the end, so that a typing error is caught before anything is
looked up. The first group is the short form that tables show.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import NewType, TypeVar

from p2pslinger.errors import UsageError

#: 8 random bytes, public: which grid.
GridId = NewType("GridId", bytes)

#: First 20 bytes of the SHA-256 of a peer's Ed25519 public key; its Kademlia node id.
PeerId = NewType("PeerId", bytes)

#: First 20 bytes of the SHA-256 of a job's signed manifest; a Kademlia key too.
JobId = NewType("JobId", bytes)

#: Names a blob by its content, 32 bytes: see `p2pslinger.wire.blobs`.
BlobId = NewType("BlobId", bytes)

T = TypeVar("T", bound=bytes)

#: Bytes of a peer or job id: the size of a Kademlia key.
ID_BYTES = 20

#: Characters of a group of the text form, and so of the short form.
GROUP = 7

#: Letters above which a text is meant to be a whole id.
FULL = 30

#: Check characters: a random typing error goes unnoticed once in 32,768 times.
CHECK = 3


def peer_id(public_key: bytes) -> PeerId:
    """Return the id of the peer that holds `public_key` (32 raw bytes)."""
    return PeerId(hashlib.sha256(public_key).digest()[:ID_BYTES])


def to_text(raw: bytes) -> str:
    """Return the text form: base32 in groups, check characters last."""
    letters = base64.b32encode(raw).decode().rstrip("=").lower()
    letters += _check(raw)
    return "-".join(letters[i : i + GROUP] for i in range(0, len(letters), GROUP))


def short(raw: bytes) -> str:
    """Return the first group of the text form: enough to tell a few dozen apart."""
    return base64.b32encode(raw[:5]).decode().lower()[:GROUP]


def from_text(text: str, size: int = ID_BYTES) -> bytes:
    """Read a text form back into its `size` bytes.

    Raises:
        UsageError: a wrong length or character, or check characters that do not fit.
    """
    letters = "".join(text.split()).replace("-", "").lower()
    wanted = (size * 8 + 4) // 5 + CHECK
    if len(letters) != wanted:
        raise UsageError(
            f"{text!r} has {len(letters)} letters and digits, not {wanted}: "
            "copy the whole id"
        )
    body = letters[:-CHECK].upper()
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        raise UsageError(f"{text!r} is no id: only a-z and 2-7 occur in one") from None
    if to_text(raw).replace("-", "") != letters:  # padding and spare bits as well
        raise UsageError(f"{text!r} has a typing error: its last letters do not fit")
    return raw


def starting_with(text: str, ids: Iterable[T], what: str = "jobs") -> T | None:
    """Return the id that `text` is, or is the start of; None if there is none.

    Args:
        text: What somebody has typed.
        ids: Those that there are.
        what: They are.

    Raises:
        UsageError: several start with it, or it is as long as an id and mistyped.
    """
    wanted = text.strip().lower().replace("-", "")
    found = [one for one in ids if to_text(one).replace("-", "").startswith(wanted)]
    if not wanted or not found:
        if len(wanted) > FULL:
            from_text(text)  # says what is wrong with it, if something is
        return None
    if len(found) > 1:
        raise UsageError(f"{len(found)} {what} start with {text!r}: give more of it")
    return found[0]


def _check(raw: bytes) -> str:
    digest = hashlib.sha256(b"p2pslinger check" + raw).digest()
    return base64.b32encode(digest[:5]).decode().lower()[:CHECK]
