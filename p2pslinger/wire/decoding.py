"""Bytes of strangers become a checked value, or a `PeerError`: nothing in between."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from p2pslinger.errors import PeerError

T = TypeVar("T")

#: What msgspec raises on bytes that are none of ours. Text that is not UTF-8, and
#: unknown fields nested too deep, come out as Python's own errors.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode(decoder: msgspec.msgpack.Decoder[T], data: bytes, did: str) -> T:
    """Decode bytes that came from elsewhere.

    Args:
        decoder: Knows the type and its bounds.
        data: The bytes.
        did: What the peer did if they are broken: "sent a broken manifest".

    Raises:
        PeerError: they are no such value.
    """
    try:
        return decoder.decode(data)
    except UNREADABLE as error:
        raise PeerError(f"{did}: {error}") from None
