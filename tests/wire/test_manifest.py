"""A manifest is fixed for good: its submitter signs it; its hash is the job's id."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given

from p2pslinger.errors import BadSignatureError, PeerError
from p2pslinger.ids import GridId
from p2pslinger.wire.identity import Identity, Purpose
from p2pslinger.wire.manifest import (
    Function,
    Manifest,
    Policy,
    job_id,
    open_manifest,
    seal_manifest,
)
from p2pslinger.wire.needs import Needs
from tests.wire.structs import built

ANN, BOB = Identity(b"a" * 32), Identity(b"b" * 32)
HOME, AWAY = GridId(b"home-123"), GridId(b"away-456")

MANIFEST = Manifest(
    nonce=b"n" * 16,
    name="squares",
    submitter=ANN.public,
    job_key=b"k" * 32,
    function=Function("square", b"code", b"d" * 32, 4, "3.12"),
    policy=Policy(timeout=5.0),
    created=1.7e9,
    keep_until=1.8e9,
)


@given(built(Manifest))
def test_a_manifest_opens_as_it_was_sealed(manifest: Manifest) -> None:
    mine = msgspec.structs.replace(manifest, submitter=ANN.public)

    assert open_manifest(seal_manifest(mine, ANN, HOME), HOME) == mine


def test_a_job_is_named_after_every_byte_of_its_manifest() -> None:
    signed = seal_manifest(MANIFEST, ANN, HOME)
    other = msgspec.structs.replace(MANIFEST, nonce=b"m" * 16)

    assert len(job_id(signed)) == 20
    assert job_id(signed) == job_id(seal_manifest(MANIFEST, ANN, HOME))
    assert job_id(signed) != job_id(seal_manifest(other, ANN, HOME))


def test_nobody_submits_in_anothers_name() -> None:
    with pytest.raises(PeerError, match="another than its submitter"):
        open_manifest(seal_manifest(MANIFEST, BOB, HOME), HOME)


def test_a_manifest_of_one_grid_is_none_in_the_next() -> None:
    with pytest.raises(BadSignatureError):
        open_manifest(seal_manifest(MANIFEST, ANN, HOME), AWAY)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91" * 100_000], ids=len)
def test_bytes_that_are_no_manifest_are_refused_though_they_are_signed(
    body: bytes,
) -> None:
    with pytest.raises(PeerError, match="broken manifest"):
        open_manifest(ANN.sign(Purpose.MANIFEST, HOME, body), HOME)


@pytest.mark.parametrize(
    "broken",
    [
        msgspec.structs.replace(MANIFEST, nonce=b""),
        msgspec.structs.replace(MANIFEST, job_key=b"k" * 31),
        msgspec.structs.replace(MANIFEST, keep_until=math.inf),
        msgspec.structs.replace(MANIFEST, created=math.nan),
        msgspec.structs.replace(MANIFEST, policy=Policy(timeout=0.0)),
        msgspec.structs.replace(MANIFEST, policy=Policy(timeout=math.nan)),
        msgspec.structs.replace(MANIFEST, needs=Needs(memory=-1)),
        msgspec.structs.replace(MANIFEST, needs=Needs(memory=1 << 60)),
    ],
)
def test_a_manifest_out_of_bounds_is_refused(broken: Manifest) -> None:
    with pytest.raises(PeerError, match="broken manifest"):
        open_manifest(seal_manifest(broken, ANN, HOME), HOME)
