"""Frames come out as they went in, however the bytes between were cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import PeerError
from p2pslinger.wire.frames import (
    HEADER_BYTES,
    Frame,
    FrameReader,
    Kind,
    decode_credit,
    encode,
    encode_credit,
    header,
)

PIECES = {Kind.PIECE, Kind.ANSWER_PIECE}

frames = st.builds(
    Frame,
    st.sampled_from([int(kind) for kind in Kind]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return `data` in pieces that end at these places."""
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    starts = [0, *ends[:-1]]
    return [data[a:b] for a, b in zip(starts, ends, strict=True)]


def joined(heard: list[Frame]) -> list[Frame]:
    """Return frames with neighbouring pieces of the same body made one."""
    result: list[Frame] = []
    for frame in heard:
        last = result[-1] if result and frame.kind in PIECES else None
        if last is not None and last[:2] == frame[:2]:
            result[-1] = last._replace(payload=last.payload + frame.payload)
        else:
            result.append(frame)
    return result


def read(reader: FrameReader, chunks: list[bytes]) -> tuple[list[Frame], bool]:
    """Return all frames in `chunks`, and whether what follows them is broken."""
    heard: list[Frame] = []
    try:
        for chunk in chunks:
            found = reader.feed(chunk)
            while found:
                heard += found
                found = reader.feed(b"")
    except PeerError:
        return heard, True
    return heard, False


@given(st.lists(frames, max_size=12), st.lists(st.integers(0, 4000), max_size=30))
def test_any_chunking_gives_the_same_frames(
    sent: list[Frame], places: list[int]
) -> None:
    stream = b"".join(encode(*frame) for frame in sent)
    reader = FrameReader()

    heard, broken = read(reader, cut(stream, places))
    assert (joined(heard), broken) == (joined(sent), False)


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=30))
def test_any_chunking_of_garbage_gives_the_same_frames_and_the_same_verdict(
    garbage: bytes, places: list[int]
) -> None:
    # most garbage announces huge lengths; small ones get further
    for stream in (garbage, bytes(byte & 15 for byte in garbage)):
        whole, verdict = read(FrameReader(), [stream])
        heard, broken = read(FrameReader(), cut(stream, places))
        assert (joined(heard), broken) == (joined(whole), verdict)


@given(
    st.lists(frames.filter(lambda frame: frame.kind not in PIECES), max_size=5),
    st.integers(0, 3000),
)
def test_a_truncated_stream_gives_the_frames_that_are_whole(
    sent: list[Frame], length: int
) -> None:
    stream = b"".join(encode(*frame) for frame in sent)[:length]

    heard, broken = read(FrameReader(), [stream])

    assert not broken
    assert heard == sent[: len(heard)]
    assert len(heard) == len(sent) or len(stream) == length


def test_frames_before_a_broken_one_are_served() -> None:
    reader = FrameReader()
    good = encode(Kind.PUSH, 0, b"fine")

    assert reader.feed(good + b"\0\0\0\0" * 4) == [Frame(Kind.PUSH, 0, b"fine")]
    with pytest.raises(PeerError, match="sent a frame"):
        reader.feed(b"")


@pytest.mark.parametrize("size", [0, 4, limits.HELLO_FRAME + 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_its_bytes_are_read(size: int) -> None:
    with pytest.raises(PeerError, match=f"{size} bytes"):
        FrameReader().feed(size.to_bytes(4) + bytes(HEADER_BYTES - 4))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(PeerError, match="kind 14"):
        FrameReader().feed(header(max(Kind) + 1, 1, 0))


def test_the_limit_can_be_raised_behind_a_hello() -> None:
    big = encode(Kind.PUSH, 0, bytes(limits.HELLO_FRAME))
    reader = FrameReader()

    assert reader.feed(encode(Kind.HELLO, 0, b"") + big) == [Frame(Kind.HELLO, 0, b"")]
    reader.limit = limits.FRAME
    assert len(reader.feed(b"")) == 1


def test_a_large_frame_in_small_chunks_is_read_once_it_is_whole() -> None:
    reader = FrameReader(limits.FRAME)
    payload = bytes(range(256)) * 4096
    stream = encode(Kind.PUSH, 7, payload)

    heard, broken = read(reader, cut(stream, list(range(0, len(stream), 1000))))

    assert heard == [Frame(Kind.PUSH, 7, payload)]
    assert not broken


def test_a_piece_is_handed_out_as_it_comes() -> None:
    reader = FrameReader()
    stream = encode(Kind.PIECE, 7, b"abcdef") + encode(Kind.END, 7, b"")

    assert reader.feed(stream[:11]) == [Frame(Kind.PIECE, 7, b"ab")]
    assert reader.feed(stream[11:12]) == [Frame(Kind.PIECE, 7, b"c")]
    assert reader.feed(stream[12:]) == [
        Frame(Kind.PIECE, 7, b"def"),
        Frame(Kind.END, 7, b""),
    ]


def test_an_empty_piece_is_a_frame_too() -> None:
    reader = FrameReader()
    assert reader.feed(encode(Kind.PIECE, 7, b"")) == [Frame(Kind.PIECE, 7, b"")]


@given(st.integers(1, 2**32 - 1))
def test_credit_comes_back(size: int) -> None:
    assert decode_credit(encode_credit(size)) == size


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\0", b"\1", b"\0\0\0\1\0"])
def test_credit_that_grants_nothing_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerError):
        decode_credit(payload)


def test_of_a_view_only_pieces_come_out_as_views_and_only_where_nothing_waits() -> None:
    reader = FrameReader(limits.FRAME, views=True)
    fed = bytearray(encode(Kind.PUSH, 0, b"message") + encode(Kind.PIECE, 7, b"abcd"))
    push, piece = reader.feed(memoryview(fed)[:-1])
    assert (push.payload, bytes(piece.payload)) == (b"message", b"abc")
    assert isinstance(push.payload, bytes)
    assert isinstance(piece.payload, memoryview)
    assert piece.payload.obj is fed

    fed = bytearray(b"d" + encode(Kind.PIECE, 8, b"efgh"))
    last, *_ = reader.feed(memoryview(fed)[:-9])
    assert isinstance(last.payload, memoryview)
    (late,) = reader.feed(memoryview(fed)[-9:])  # its header was begun before
    assert late == Frame(Kind.PIECE, 8, b"efgh")
    assert isinstance(late.payload, bytes)
