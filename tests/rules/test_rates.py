"""A rate is kept over any time, and nothing waits that need not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.rates import SAVED, Bucket

RATE = 1000.0


def test_without_a_rate_nothing_waits() -> None:
    assert Bucket().take(10**12, 0.0) == 0.0


def test_what_is_used_in_advance_is_waited_for_afterwards() -> None:
    bucket = Bucket()
    bucket.change(RATE, 0.0)
    assert bucket.take(2000, 0.0) == 0.0
    assert bucket.take(500, 0.0) == 2.0
    assert bucket.take(500, 2.0) == 0.5
    assert bucket.take(1, 100.0) == 0.0


def test_what_was_not_used_after_all_delays_nobody() -> None:
    bucket = Bucket(RATE)
    bucket.take(5000, 0.0)
    bucket.give_back(5000)
    assert bucket.take(1, 0.0) == 0.0


def test_another_rate_begins_anew_and_the_same_one_goes_on() -> None:
    bucket = Bucket(RATE)
    bucket.take(5000, 0.0)
    bucket.change(RATE, 1.0)
    assert bucket.take(0, 1.0) == 4.0
    bucket.change(10 * RATE, 1.0)
    assert bucket.take(1, 1.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 3)), max_size=40))
def test_the_rate_is_kept_but_for_one_transfer_and_what_was_saved(
    asked: list[tuple[int, float]],
) -> None:
    bucket = Bucket(RATE)
    gone: list[tuple[float, int]] = []
    now = 0.0
    for size, later in asked:
        gone.append((now + bucket.take(size, now), size))
        now += later
    for end, _ in gone:
        sent = sum(size for when, size in gone if when < end)
        assert sent <= RATE * (end + SAVED) + 5000
