"""Signatures that are checked once: right ones stay right, and wrong ones wrong."""

from __future__ import annotations

import msgspec
import pytest

from p2pslinger.errors import BadSignatureError
from p2pslinger.ids import GridId
from p2pslinger.testing.signatures import checked_once
from p2pslinger.wire.identity import Identity, Purpose, verify

GRID = GridId(bytes(8))


def test_a_wrong_signature_is_wrong_each_time_also_of_what_was_signed_rightly() -> None:
    signed = Identity(bytes(32)).sign(Purpose.CARD, GRID, b"who")
    other = msgspec.structs.replace(signed, body=b"who else")
    stranger = msgspec.structs.replace(signed, key=Identity(bytes([1] * 32)).public)

    with checked_once():
        for _ in range(2):
            verify(signed, Purpose.CARD, GRID)
            for wrong in (other, stranger):
                with pytest.raises(BadSignatureError):
                    verify(wrong, Purpose.CARD, GRID)
            with pytest.raises(BadSignatureError):
                verify(signed, Purpose.NOTICE, GRID)
    verify(signed, Purpose.CARD, GRID)
