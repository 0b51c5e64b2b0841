"""A signature holds for one body, purpose, grid and key, and for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.errors import BadSignatureError
from p2pslinger.ids import GridId, peer_id
from p2pslinger.wire.identity import Identity, Purpose, Signed, verify

ANN, BOB = Identity(b"a" * 32), Identity(b"b" * 32)
HOME, AWAY = GridId(b"home-123"), GridId(b"away-456")


def test_a_signature_holds_for_what_was_signed() -> None:
    verify(ANN.sign(Purpose.CARD, HOME, b"body"), Purpose.CARD, HOME)


def test_a_signature_names_its_signer() -> None:
    signed = ANN.sign(Purpose.CARD, HOME, b"body")

    assert signed.signer == ANN.id == peer_id(ANN.public)
    assert signed.body == b"body"


@pytest.mark.parametrize(("made", "read"), list(product(Purpose, Purpose)))
def test_a_signature_for_one_thing_never_passes_for_another(
    made: Purpose, read: Purpose
) -> None:
    signed = ANN.sign(made, HOME, b"body")
    if made is read:
        verify(signed, read, HOME)
    else:
        with pytest.raises(BadSignatureError, match=read.value):
            verify(signed, read, HOME)


def test_a_signature_of_one_grid_means_nothing_in_the_next() -> None:
    with pytest.raises(BadSignatureError):
        verify(ANN.sign(Purpose.CARD, HOME, b""), Purpose.CARD, AWAY)


@dataclass
class Forgery:
    body: bytes = b"body"
    key: bytes = ANN.public
    signature: bytes = ANN.sign(Purpose.CARD, HOME, b"body").signature


@pytest.mark.parametrize(
    "forgery",
    [
        Forgery(body=b"Body"),
        Forgery(body=b""),
        Forgery(key=BOB.public),
        Forgery(key=b""),
        Forgery(key=b"\xff" * 32),
        Forgery(signature=b""),
        Forgery(signature=bytes(64)),
        Forgery(signature=Forgery().signature + b"\x00"),
    ],
    ids=repr,
)
def test_a_forgery_is_recognised(forgery: Forgery) -> None:
    signed = Signed(forgery.body, forgery.key, forgery.signature)
    with pytest.raises(BadSignatureError):
        verify(signed, Purpose.CARD, HOME)


@given(st.binary(max_size=50), st.integers(0, 63), st.integers(0, 7))
def test_no_bit_of_a_signature_may_differ(body: bytes, byte: int, bit: int) -> None:
    signed = ANN.sign(Purpose.RESULTS, HOME, body)
    broken = bytearray(signed.signature)
    broken[byte] ^= 1 << bit
    with pytest.raises(BadSignatureError):
        verify(Signed(body, signed.key, bytes(broken)), Purpose.RESULTS, HOME)


def test_signed_bytes_are_forwarded_as_they_came() -> None:
    signed = ANN.sign(Purpose.CARD, HOME, b"body")
    there = msgspec.msgpack.decode(msgspec.msgpack.encode(signed), type=Signed)

    assert there == signed
    verify(there, Purpose.CARD, HOME)


def test_keys_and_signatures_of_a_wrong_size_are_not_even_read() -> None:
    for wrong in (Signed(b"", b"k" * 31, b"s" * 64), Signed(b"", b"k" * 32, b"s" * 65)):
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(msgspec.msgpack.encode(wrong), type=Signed)


def test_an_identity_does_not_print_its_secret() -> None:
    assert ANN.secret.hex() not in repr(ANN)
    assert repr(ANN) == f"Identity({ANN.id.hex()[:8]})"


def test_the_same_secret_is_the_same_peer() -> None:
    assert Identity(ANN.secret).id == ANN.id != BOB.id
