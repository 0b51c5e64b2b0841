"""What a running range prints is shown once, whether live or with its result."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.client.live import Shown
from p2pslinger.ids import PeerId
from p2pslinger.peer.underway import FRESH, MOST, UnderWay
from p2pslinger.wire.control import RangeOut
from p2pslinger.wire.glimpse import Glimpse

PEER = PeerId(bytes(20))


def glimpse(offset: int, text: bytes, *, start: int = 0, index: int = 0) -> Glimpse:
    return Glimpse(bytes(20), start, start, index, None, offset, text)


def finished(output: bytes, start: int = 0) -> RangeOut:
    return RangeOut(start, start + 1, 0, b"", b"", 0, (), PEER, True, 0.0, 0.0, output)


@given(st.lists(st.binary(max_size=400), max_size=8), st.integers(0, 8))
def test_live_and_rest_together_are_all_of_it(parts: list[bytes], live: int) -> None:
    shown, offset, seen = Shown(), 0, b""
    for part in parts[:live]:
        seen += shown.new(PEER, glimpse(offset, part))
        offset += len(part)
    whole = b"".join(parts)
    assert seen + shown.rest(finished(whole)) == whole


def test_what_was_missed_is_counted() -> None:
    shown = Shown()
    shown.new(PEER, glimpse(0, b"one\n"))

    assert shown.new(PEER, glimpse(10, b"two\n")) == (
        b"[6 bytes of output left out]\ntwo\n"
    )
    assert shown.rest(finished(b"one\n......two\nthree\n")) == b"three\n"


def test_of_very_much_what_was_shown_last_is_found_again() -> None:
    shown = Shown()
    shown.new(PEER, glimpse(0, b"x" * 1000))
    shown.new(PEER, glimpse(70_000, b"the 70,000th\n"))

    assert shown.rest(finished(b"y" * 500 + b"the 70,000th\nthe end\n")) == b"the end\n"


def test_a_range_of_which_nothing_was_shown_is_shown_whole() -> None:
    shown = Shown()
    shown.new(PEER, glimpse(0, b"one\n", start=5))

    assert shown.rest(finished(b"all\n", start=4)) == b"all\n"


def test_running_tasks_are_forgotten_when_they_show_nothing_more() -> None:
    async def play() -> None:
        under_way = UnderWay()
        for number in range(MOST + 3):
            under_way.shown(PEER, glimpse(0, b"a\nb\n", start=number, index=number))
        assert len(under_way.running()) == MOST
        assert {one.line for one in under_way.running()} == {"b"}
        twice = glimpse(0, b"ahead\n", start=9999, index=9)
        under_way.shown(PEER, msgspec.structs.replace(twice, share=0.5))
        assert [one.line for one in under_way.running() if one.index == 9] == ["ahead"]
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + FRESH + 1  # type: ignore[method-assign]
        assert under_way.running() == []

    asyncio.run(play())
