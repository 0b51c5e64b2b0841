"""Replicas of a board that have seen the same results agree, whatever the order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.board import Board
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.spans import Span

JOB, KEY = JobId(b"j" * 20), b"k" * 32
PEERS = tuple(PeerId(bytes([i]) * 20) for i in range(4))
TASKS = 8

Result = tuple[Delivery, Span]


def keeper() -> Board:
    """Return a board with the key that all keepers of the job share."""
    board = Board(JOB, KEY)
    board.append(TASKS)
    return board


def after(results: Iterable[Result]) -> Board:
    board = keeper()
    for got, granted in results:
        board.deliver(got, granted)
    return board


@st.composite
def result_sets(draw: st.DrawFn) -> list[Result]:
    """Results of grants that one keeper has made: full, partial, and deaths."""
    board, results = keeper(), list[Result]()
    for peer in draw(st.lists(st.sampled_from(PEERS), max_size=10)):
        for held in board.grant(peer, places=1, now=0.0, others=set()):
            board.lapse(1e9)
            stop = draw(st.integers(held.start + 1, held.stop))
            mac = board.mac(held)
            got = Delivery(peer, held.number, mac, held.start, stop)
            if draw(st.booleans()):
                final = draw(st.booleans()) and draw(st.booleans())
                got = replace(got, start=stop - 1, failures=1, lost=True, final=final)
            results.append((got, (held.start, held.stop)))
    return results


@given(result_sets(), st.data())
def test_the_union_of_results_does_not_depend_on_their_order(
    results: list[Result], data: st.DataObject
) -> None:
    one = after(results)
    other = after(data.draw(st.permutations(results)))

    assert list(one.done) == list(other.done)
    assert one.open == other.open == TASKS - one.done.count
    assert sum(credit.tasks for credit in one.credits.values()) == one.done.count
    assert sum(credit.tasks for credit in other.credits.values()) == other.done.count


@given(result_sets())
def test_results_seen_twice_are_results_seen_once(results: list[Result]) -> None:
    once, twice = after(results), after(results + results)

    assert list(once.done) == list(twice.done)
    assert once.credits == twice.credits
    assert once.open == twice.open


@given(result_sets())
def test_a_replica_that_hears_of_tasks_after_their_results_grants_the_others(
    results: list[Result],
) -> None:
    early = after(results)
    late = Board(JOB, KEY)
    for got, granted in results:
        late.deliver(got, granted)
    late.append(TASKS)

    assert list(late.done) == list(early.done)
    assert late.open == early.open
