"""Messages arrive as they were sent, and whatever else arrives is a `PeerError`."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import PeerError
from p2pslinger.wire.control import CONTROL_CODEC, ControlMessage, Done, GetJobs
from p2pslinger.wire.messages import (
    PEER_CODEC,
    Codec,
    Compare,
    Fail,
    Grant,
    Hello,
    PeerMessage,
    Renewed,
    Work,
    decode_fail,
    decode_hello,
    encode,
)
from tests.wire.structs import built, structs

CODECS = [(PEER_CODEC, PeerMessage), (CONTROL_CODEC, ControlMessage)]
CODEC = st.sampled_from([PEER_CODEC, CONTROL_CODEC])

READERS: list[Callable[[bytes], object]] = [
    PEER_CODEC.decode,
    CONTROL_CODEC.decode,
    decode_hello,
    decode_fail,
]


@given(built(PeerMessage))
def test_what_one_peer_says_another_understands(message: msgspec.Struct) -> None:
    assert PEER_CODEC.decode(PEER_CODEC.encode(message)) == message


@given(built(ControlMessage))
def test_what_a_program_and_its_peer_say_they_understand(
    message: msgspec.Struct,
) -> None:
    assert CONTROL_CODEC.decode(CONTROL_CODEC.encode(message)) == message


@given(built(Hello), built(Fail))
def test_a_hello_and_a_failure_are_understood_without_a_tag(
    hello: Hello, fail: Fail
) -> None:
    assert decode_hello(encode(hello)) == hello
    assert decode_fail(encode(fail)) == fail


@pytest.mark.parametrize(("codec", "union"), CODECS)
def test_no_two_messages_share_a_tag(codec: Codec, union: object) -> None:
    tags = [kind.__struct_config__.tag for kind in structs(union)]
    assert len(tags) == len(set(tags))
    assert None not in tags


@given(st.sampled_from(READERS), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_broken_protocol(
    read: Callable[[bytes], object], data: bytes
) -> None:
    try:
        read(data)
    except PeerError:
        pass


@given(built(PeerMessage), st.data())
def test_a_message_that_was_damaged_is_one_or_is_refused(
    message: msgspec.Struct, data: st.DataObject
) -> None:
    raw = bytearray(PEER_CODEC.encode(message))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        PEER_CODEC.decode(bytes(raw))
    except PeerError:
        pass


@given(built(PeerMessage), st.integers(1, 50))
def test_a_message_that_was_cut_short_is_refused(
    message: msgspec.Struct, cut: int
) -> None:
    with pytest.raises(PeerError, match="can't be read"):
        PEER_CODEC.decode(PEER_CODEC.encode(message)[:-cut])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",  # a byte that msgpack never uses
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\x94\x01\xa2\xff\xfe",
        b"\x91" * 100_000,
    ],
    ids=["empty", "unused", "huge", "text", "deep"],
)
def test_hostile_bytes_are_refused(read: Callable[[bytes], object], raw: bytes) -> None:
    with pytest.raises(PeerError):
        read(raw)


def test_text_that_is_not_utf8_is_refused() -> None:
    raw = encode(Fail("usage", "wxyz")).replace(b"wxyz", b"\xff\xfe\xfd\xfc")
    with pytest.raises(PeerError, match="failed without a reason"):
        decode_fail(raw)


def test_unknown_fields_are_skipped_but_not_to_any_depth() -> None:
    short = msgspec.msgpack.encode(["usage", "text", {"new": [1]}])
    assert decode_fail(short) == Fail("usage", "text")

    deep = b"\x93\xa1a\xa1b" + b"\x91" * 100_000 + b"\x01"
    with pytest.raises(PeerError, match="without a reason"):
        decode_fail(deep)


def test_a_hello_says_what_is_wrong_with_it() -> None:
    with pytest.raises(PeerError, match="did not say hello"):
        decode_hello(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "seconds", [-1.0, math.inf, math.nan], ids=["negative", "infinite", "no number"]
)
def test_times_that_nobody_can_calculate_with_are_refused(seconds: float) -> None:
    hello = Hello(1, "1.0", "peer", seconds)
    with pytest.raises(PeerError):
        decode_hello(encode(hello))

    for lease, slice in ((seconds, 1.0), (1.0, seconds)):
        work = Work((Grant(b"j" * 20, 1, 0, 1, lease, slice, b""),))
        with pytest.raises(PeerError):
            PEER_CODEC.decode(PEER_CODEC.encode(work))


def test_a_program_does_not_speak_to_a_peer_in_the_peers_words() -> None:
    with pytest.raises(PeerError):
        CONTROL_CODEC.decode(PEER_CODEC.encode(Renewed((1, 2))))
    with pytest.raises(PeerError):
        PEER_CODEC.decode(CONTROL_CODEC.encode(Done()))


def test_lists_have_their_bounds() -> None:
    many = Work((Grant(b"j" * 20, 1, 0, 1, 1.0, 1.0, b""),) * 65)
    with pytest.raises(PeerError, match="length"):
        PEER_CODEC.decode(PEER_CODEC.encode(many))

    long = GetJobs("a" * 65)
    with pytest.raises(PeerError, match="length"):
        CONTROL_CODEC.decode(CONTROL_CODEC.encode(long))


def test_the_longest_digest_of_notices_fits_into_a_frame() -> None:
    line = [b"j" * 20, b"s" * 20, limits.JOB_TASKS]
    raw = msgspec.msgpack.encode([12, b"d" * 32, [line] * limits.NOTICES])

    compare = PEER_CODEC.decode(raw)
    assert isinstance(compare, Compare)
    assert len(raw) < limits.FRAME
