"""Records are signed once and believed only within their bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import BadSignatureError, PeerError
from p2pslinger.ids import GridId
from p2pslinger.wire.identity import Identity, Purpose, Signed
from p2pslinger.wire.records import (
    Address,
    Control,
    Failure,
    Notice,
    PeerCard,
    RangeResult,
    Receipt,
    Record,
    ResultBatch,
    ShardBatch,
    open_signed,
    read,
    seal,
)
from tests.wire.structs import built

ANN, BOB = Identity(b"a" * 32), Identity(b"b" * 32)
HOME, AWAY = GridId(b"home-123"), GridId(b"away-456")
JOB = b"j" * 20

CARD = PeerCard(
    name="ann",
    addresses=(Address("192.168.1.2", 8468),) * limits.ADDRESSES,
    software="1.0",
    pythons=("3.12",),
    slots=4,
    sandbox="good",
    sequence=7,
    expires=2e9,
)
RESULT = RangeResult(
    job=JOB,
    grant=1,
    granted=(0, 4),
    mac=b"m" * 16,
    start=0,
    stop=4,
    form=0,
    values=b"values",
    digest=b"",
    size=6,
    failures=(),
    lost=False,
    wall=0.5,
    cpu=0.25,
    output=b"",
)
RECEIPT = Receipt(JOB, ANN.id, BOB.id, 4, 1.0, 0, 1, 1.7e9)
NOTICE = Notice(JOB, ANN.id, "3.12", True, 1, 2e9)


KINDS = (PeerCard, Notice, ShardBatch, ResultBatch, Receipt, Control)
RECORD = st.one_of([built(kind) for kind in KINDS])


@given(RECORD)
def test_a_sealed_record_opens_as_it_was(record: Record) -> None:
    signed = seal(record, ANN, HOME)

    assert open_signed(type(record), signed, HOME) == record
    assert read(type(record), signed) == record
    assert signed.signer == ANN.id


@given(RECORD)
def test_a_record_of_one_grid_is_none_in_the_next(record: Record) -> None:
    with pytest.raises(BadSignatureError):
        open_signed(type(record), seal(record, ANN, HOME), AWAY)


@given(RECORD, st.sampled_from(KINDS))
def test_a_record_never_opens_as_another_kind(
    record: Record, kind: type[msgspec.Struct]
) -> None:
    if not isinstance(record, kind):
        with pytest.raises(BadSignatureError):
            open_signed(kind, seal(record, ANN, HOME), HOME)


def test_a_signature_is_checked_before_the_bytes_are_looked_at() -> None:
    with pytest.raises(BadSignatureError):
        open_signed(Control, Signed(b"\xc1", ANN.public, bytes(64)), HOME)


@given(st.binary(max_size=100), st.sampled_from(KINDS))
def test_any_signed_bytes_are_a_record_or_a_broken_protocol(
    body: bytes, kind: type[msgspec.Struct]
) -> None:
    try:
        read(kind, ANN.sign(Purpose.CARD, HOME, body))
    except PeerError:
        pass


@pytest.mark.parametrize(
    "body", [b"\x91" * 100_000, b"\x98\xa1\xff"], ids=["deep", "not utf-8"]
)
def test_hostile_bytes_are_refused_though_they_are_signed(body: bytes) -> None:
    signed = ANN.sign(Purpose.CARD, HOME, body)
    with pytest.raises(PeerError, match="broken PeerCard"):
        open_signed(PeerCard, signed, HOME)


@dataclass
class Broken:
    """A record with one field that is out of bounds."""

    record: Record
    field: str
    value: object


FAILURE = Failure(0, "raised", "ValueError", "", "", "", "ann", b"")

BROKEN = [
    *(
        Broken(record, field, seconds)
        for record, field in (
            (CARD, "expires"),
            (NOTICE, "expires"),
            (RECEIPT, "cpu"),
            (RECEIPT, "wall"),
        )
        for seconds in (math.nan, math.inf, -1.0)
    ),
    Broken(CARD, "name", "x" * (limits.NAME + 1)),
    Broken(CARD, "addresses", CARD.addresses * 2),
    Broken(CARD, "addresses", (Address("h", 65536),)),
    Broken(CARD, "slots", -1),
    Broken(NOTICE, "keeper", bytes(19)),
    Broken(NOTICE, "job", b"j" * 19),
    Broken(NOTICE, "sequence", (1 << 62) + 1),
    Broken(RECEIPT, "tasks", -1),
    Broken(Control(JOB, 0), "sealed", limits.JOB_TASKS + 1),
    Broken(ResultBatch((RESULT,)), "results", ()),
    Broken(ResultBatch((RESULT,)), "results", (RESULT,) * 65),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: f"{b.field}")
def test_a_field_out_of_bounds_is_refused(broken: Broken) -> None:
    kind = type(broken.record)
    record = msgspec.structs.replace(broken.record, **{broken.field: broken.value})

    assert open_signed(kind, seal(broken.record, ANN, HOME), HOME) == broken.record
    with pytest.raises(PeerError, match=f"broken {kind.__name__}"):
        open_signed(kind, seal(record, ANN, HOME), HOME)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wall", math.inf),
        ("wall", math.nan),
        ("cpu", -1.0),
        ("cpu", math.inf),
        ("form", 2),
        ("mac", b"m" * 33),
        ("digest", b"d" * 33),
        ("start", -1),
        ("size", limits.BLOB + 1),
        ("output", b"x" * (limits.OUTPUT + 1)),
        ("failures", (msgspec.structs.replace(FAILURE, index=-1),)),
        ("failures", (msgspec.structs.replace(FAILURE, kind="x" * 21),)),
    ],
)
def test_a_range_out_of_bounds_is_refused(field: str, value: object) -> None:
    result = msgspec.structs.replace(RESULT, **{field: value})
    with pytest.raises(PeerError, match="broken ResultBatch"):
        open_signed(ResultBatch, seal(ResultBatch((result,)), ANN, HOME), HOME)


def test_an_ordinary_card_and_notice_fit_into_the_directory() -> None:
    names = msgspec.structs.replace(CARD, name="x" * 60, pythons=("3.11", "3.12"))

    for record in (names, NOTICE):
        signed = seal(record, ANN, HOME)
        assert len(msgspec.msgpack.encode(signed)) <= limits.RECORD
