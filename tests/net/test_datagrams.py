"""Datagrams: only members are heard, once each, and nothing that is sent raises."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pslinger import limits
from p2pslinger.errors import TooLargeError
from p2pslinger.ids import PeerId
from p2pslinger.net import datagrams
from p2pslinger.net.calls import Calls, Shape
from p2pslinger.net.datagrams import ROOM, Place, Seals
from p2pslinger.testing import virtual

ANN, BOB, EVE = (PeerId(hashlib.sha256(n).digest()[:20]) for n in (b"a", b"b", b"e"))
KEY = bytes(range(32))


class Clock:
    """A clock on the wall that a test turns."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


def seals(
    me: PeerId, boot: bytes = b"1", clock: Clock = CLOCK, key: bytes = KEY
) -> Seals:
    return Seals(
        me=me, key=key, boot=boot * datagrams.BOOT, wall=clock, dropped=Counter()
    )


def pair() -> tuple[Seals, Seals]:
    """Two who have heard of each other, and so know each other's boot."""
    ann, bob = seals(ANN), seals(BOB)
    assert bob.open(ann.seal(b"", None))
    assert ann.open(bob.seal(b"", ANN))
    return ann, bob


def test_what_one_seals_for_another_opens_there_and_is_fresh() -> None:
    ann, bob = pair()
    assert bob.open(ann.seal(b"hello", BOB)) == (ANN, True, b"hello")
    assert bob.dropped == Counter()


def test_what_is_for_another_or_from_another_grid_is_foreign() -> None:
    ann, bob = pair()
    stranger = seals(ANN, boot=b"9", key=bytes(32))
    assert bob.open(ann.seal(b"hello", EVE)) is None
    assert bob.open(stranger.seal(b"hello", BOB)) is None
    assert bob.open(stranger.seal(b"hello", None)) is None
    assert bob.dropped == {"foreign": 3}


def test_a_replay_is_dropped_but_reordering_is_not() -> None:
    ann, bob = pair()
    sent = [ann.seal(b"%d" % i, BOB) for i in range(300)]
    shuffled = random.Random(1).sample(sent, len(sent))
    assert all(bob.open(datagram) for datagram in shuffled)
    assert not any(bob.open(datagram) for datagram in sent)
    assert bob.dropped == {"replayed": 300}


def test_what_is_overtaken_by_far_too_many_counts_as_a_replay() -> None:
    ann, bob = pair()
    early = ann.seal(b"early", BOB)
    for _ in range(datagrams.WINDOW):
        late = ann.seal(b"late", BOB)
    assert bob.open(late)
    assert bob.open(early) is None


@pytest.mark.parametrize("off", [-121.0, 121.0])
def test_a_wall_time_too_far_off_is_dropped(off: float) -> None:
    there = Clock()
    there.now += off
    bob = seals(BOB)
    assert bob.open(seals(ANN, clock=there).seal(b"hello", BOB)) is None
    assert bob.dropped == {"clock": 1}


def test_a_wall_time_a_little_off_is_fine() -> None:
    there = Clock()
    there.now -= 119
    assert seals(BOB).open(seals(ANN, clock=there).seal(b"hello", BOB))


def test_nothing_recorded_before_a_restart_of_the_receiver_is_fresh_after_it() -> None:
    ann, bob = pair()
    recorded = ann.seal(b"store this", BOB)
    unheard = ann.seal(b"store that", BOB)
    assert bob.open(recorded) == (ANN, True, b"store this")

    restarted = seals(BOB, boot=b"2")
    assert restarted.open(recorded) == (ANN, False, b"store this")
    assert restarted.open(unheard) == (ANN, False, b"store that")
    assert restarted.open(recorded) is None  # and no second time

    assert ann.open(restarted.seal(b"an answer", ANN))  # which tells the new boot
    assert restarted.open(ann.seal(b"again", BOB)) == (ANN, True, b"again")


def test_a_restart_of_the_sender_needs_no_introduction() -> None:
    _, bob = pair()
    ann = seals(ANN, boot=b"2")
    assert bob.open(ann.seal(b"hello again", BOB)) == (ANN, False, b"hello again")
    assert bob.boot_of(ANN) == b"2" * datagrams.BOOT


def test_no_nonce_is_used_twice_under_one_key() -> None:
    ann = seals(ANN)
    counters = {ann.seal(b"same", BOB)[46:54] for _ in range(1000)}
    assert len(counters) == 1000
    # Another sender, and the same one after a restart, have other keys.
    first = [seals(*who).seal(b"same", EVE) for who in ((ANN,), (BOB,), (ANN, b"2"))]
    assert len({datagram[54:] for datagram in first}) == 3


def test_forgotten_sessions_still_are_not_replayed() -> None:
    clock = Clock()
    bob = seals(BOB, clock=clock)
    first = seals(ANN, clock=clock).seal(b"first", BOB)
    assert bob.open(first)
    clock.now += 1
    for number in range(datagrams.SESSIONS):
        boot = number.to_bytes(datagrams.BOOT)
        other = Seals(me=EVE, key=KEY, boot=boot, wall=clock, dropped=Counter())
        assert bob.open(other.seal(b"", BOB))
    assert bob.open(first) is None
    assert bob.dropped == {"replayed": 1}


def test_sessions_of_peers_that_fell_silent_are_forgotten() -> None:
    clock = Clock()
    bob = seals(BOB, clock=clock)
    bob.open(seals(ANN, clock=clock).seal(b"", BOB))
    clock.now += 2 * limits.CLOCK_SLACK
    eve = seals(EVE, clock=clock)
    for _ in range(3):
        bob.open(eve.seal(b"", BOB))
    assert len(bob._sessions) == 1


def test_what_is_too_long_or_too_short_is_dropped() -> None:
    ann, bob = pair()
    whole = ann.seal(bytes(ROOM), BOB)
    assert len(whole) == limits.DATAGRAM
    for size in range(0, len(whole), 7):
        assert bob.open(whole[:size]) is None
    assert bob.open(whole + b"x") is None
    assert bob.dropped["oversized"] == 1
    assert set(bob.dropped) == {"oversized", "truncated", "foreign"}
    assert bob.open(whole)
    with pytest.raises(TooLargeError):
        ann.seal(bytes(ROOM + 1), BOB)


def test_what_we_sent_ourselves_is_not_for_us() -> None:
    ann = seals(ANN)
    assert ann.open(ann.seal(b"hello", None)) is None
    assert ann.dropped == {"own": 1}


@given(st.binary(max_size=1500))
def test_garbage_is_counted_and_never_raises(garbage: bytes) -> None:
    bob = seals(BOB)
    assert bob.open(garbage) is None
    assert bob.dropped.total() == 1


@given(st.data())
def test_a_flipped_bit_anywhere_makes_a_datagram_foreign(data: st.DataObject) -> None:
    ann, bob = pair()
    datagram = bytearray(ann.seal(b"hello", BOB))
    place = data.draw(st.integers(0, len(datagram) - 1))
    datagram[place] ^= data.draw(st.integers(1, 255))
    assert bob.open(bytes(datagram)) is None
    assert bob.dropped.total() == 1


# --- requests ---------------------------------------------------------------------


def shape(arguments: object, answer: object) -> Shape:
    return Shape(
        msgspec.msgpack.Decoder(arguments),
        msgspec.msgpack.Decoder(answer),
    )


class Twice(Calls):
    """Doubles numbers; drops as many datagrams as it is told to."""

    def __init__(self, me: PeerId) -> None:
        shapes = {"double": shape(tuple[bytes, int], int)}
        super().__init__(random.Random(1), shapes, Counter())
        self.place = Place("10.0.0.1", 1, me, True)
        self.other: Twice | None = None
        self.to_lose = 0
        self.transport = self

    def rpc_double(self, sender: Place, nodeid: bytes, number: int) -> int:
        return 2 * number

    def sendto(self, data: bytes, to: Place) -> None:
        if self.to_lose:
            self.to_lose -= 1
        elif self.other is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(self.other.datagram_received, data, self.place)

    def close(self) -> None:
        self.transport = None  # it is ourselves
        super().close()

    @property
    def dropped(self) -> Counter[str]:
        return self._dropped


def two() -> tuple[Twice, Twice]:
    ann, bob = Twice(ANN), Twice(BOB)
    ann.other, bob.other = bob, ann
    bob.place = Place("10.0.0.2", 2, BOB, True)
    return ann, bob


async def ask(ann: Twice, to: Place, *arguments: object) -> tuple[object, int]:
    """Ask; return the answer and how often it was late."""
    answer = asyncio.get_running_loop().create_future()
    late: list[None] = []
    ann.ask(
        to,
        "double",
        (ANN, *arguments),
        done=lambda _, value: answer.set_result(value),
        late=lambda: late.append(None),
    )
    return await answer, len(late)


def test_a_request_is_answered() -> None:
    async def main() -> None:
        ann, bob = two()
        assert await ask(ann, bob.place, 21) == (42, 0)

    virtual.run(main)


def test_a_lost_request_is_sent_once_more_and_then_given_up() -> None:
    async def main() -> None:
        ann, bob = two()
        for _ in range(20):
            await ask(ann, bob.place, 1)  # who answers at once is given less time
        loop = asyncio.get_running_loop()
        start = loop.time()
        ann.to_lose = 1
        assert await ask(ann, bob.place, 21) == (42, 1)
        ann.to_lose = 2
        assert await ask(ann, bob.place, 21) == (None, 1)
        assert loop.time() - start < 2.0

    virtual.run(main)


def test_an_answer_from_elsewhere_or_of_another_form_is_not_taken() -> None:
    async def main() -> None:
        ann, bob = two()
        bob.place = Place("10.0.0.66", 2, BOB, True)
        assert await ask(ann, Place("10.0.0.2", 2, BOB), 21) == (None, 1)
        assert ann.dropped == {"misplaced": 2}

    virtual.run(main)


def test_unknown_requests_and_wrong_arguments_are_counted_and_unanswered() -> None:
    async def main() -> None:
        ann, bob = two()
        for name, arguments in (
            ("stun", (ANN,)),
            ("__init__", (ANN,)),
            ("double", (ANN, "text")),
            ("double", (ANN,)),
            ("double", (BOB, 1)),
        ):
            body = msgspec.msgpack.encode((name, arguments))
            bob.datagram_received(b"\0" + bytes(20) + body, ann.place)
        bob.datagram_received(b"\1" + bytes(20) + b"\0", ann.place)
        assert bob.dropped == {
            "unknown request": 2,
            "malformed": 2,
            "misnamed": 1,
            "late": 1,
        }
        with pytest.raises(AttributeError):
            _ = bob.stun

    virtual.run(main)


@given(st.one_of(st.binary(max_size=ROOM), st.binary().map(lambda b: b"\0" * 21 + b)))
def test_what_a_member_sends_never_raises(payload: bytes) -> None:
    bob = Twice(BOB)
    bob.datagram_received(payload, Place("10.0.0.1", 1, ANN))
    assert bob.dropped.total() == 1


@pytest.mark.parametrize(
    "body", [b"\x92\xa1a" + b"\x91" * 1080, b"\x92\xa2\xff\xfe\x90", b"\xc1", b""]
)
def test_deep_nesting_and_broken_text_never_raise(body: bytes) -> None:
    bob = Twice(BOB)
    bob.datagram_received(b"\0" + bytes(20) + body, Place("10.0.0.1", 1, ANN))
    assert bob.dropped == {"malformed": 1}


def test_closing_tells_everybody_who_waits() -> None:
    async def main() -> None:
        ann, bob = two()
        ann.to_lose = 1
        waiting = asyncio.create_task(ask(ann, bob.place, 21))
        await asyncio.sleep(0)
        ann.close()
        assert await waiting == (None, 0)
        assert await ask(ann, bob.place, 21) == (None, 0)

    virtual.run(main)
