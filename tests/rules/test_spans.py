"""Spans are a set of integers, compared here with Python's own sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.spans import Span, Spans

#: Small, so that edges meet.
TOP = 10

SPAN = st.tuples(st.integers(0, TOP), st.integers(0, TOP))
STEPS = st.lists(st.tuples(st.booleans(), SPAN), max_size=12)


@given(st.lists(SPAN, max_size=6), SPAN)
def test_what_is_within_a_span_and_what_is_missing_of_it_make_it_up(
    added: list[Span], span: Span
) -> None:
    spans = Spans()
    for one in added:
        spans.add(*one)
    inside, missing = spans.within(*span), spans.missing(*span)

    assert members(inside) == members(list(spans)) & members([span])
    assert members(inside) | members(missing) == members([span])
    assert all(low < high for low, high in inside)


def members(spans: list[Span]) -> set[int]:
    return {i for start, stop in spans for i in range(start, stop)}


def built(steps: list[tuple[bool, Span]]) -> tuple[Spans, set[int]]:
    spans, model = Spans(), set[int]()
    for adding, (start, stop) in steps:
        if adding:
            spans.add(start, stop)
            model |= set(range(start, stop))
        else:
            spans.remove(start, stop)
            model -= set(range(start, stop))
    return spans, model


def tidy(spans: list[Span]) -> bool:
    """Tell whether spans are sorted, not empty, and do not touch."""
    edges = [edge for span in spans for edge in span]
    return edges == sorted(set(edges))


@given(STEPS)
def test_spans_hold_what_a_set_would_hold(steps: list[tuple[bool, Span]]) -> None:
    spans, model = built(steps)

    assert members(list(spans)) == model
    assert spans.count == len(model)
    assert tidy(list(spans))
    assert len(spans) == len(list(spans))
    assert {i for i in range(TOP) if i in spans} == model


@given(STEPS, SPAN)
def test_adding_returns_what_is_new(steps: list[tuple[bool, Span]], span: Span) -> None:
    spans, model = built(steps)

    new = spans.add(*span)

    assert members(new) == set(range(*span)) - model
    assert tidy(new)


@given(STEPS, SPAN)
def test_removing_returns_what_was_there(
    steps: list[tuple[bool, Span]], span: Span
) -> None:
    spans, model = built(steps)

    gone = spans.remove(*span)

    assert members(gone) == set(range(*span)) & model
    assert tidy(gone)


@given(STEPS, SPAN)
def test_what_is_missing_is_what_a_set_lacks(
    steps: list[tuple[bool, Span]], span: Span
) -> None:
    spans, model = built(steps)
    wanted = set(range(*span))

    assert members(spans.missing(*span)) == wanted - model
    assert tidy(spans.missing(*span))
    assert spans.covers(*span) == (wanted <= model)


@given(STEPS, st.integers(0, 5))
def test_the_first_spans_are_the_lowest(
    steps: list[tuple[bool, Span]], count: int
) -> None:
    spans, _ = built(steps)

    assert spans.first(count) == list(spans)[:count]


def test_neighbours_become_one_span() -> None:
    spans = Spans()
    spans.add(0, 2)
    spans.add(4, 6)
    spans.add(2, 4)

    assert list(spans) == [(0, 6)]


def test_a_hole_makes_two_spans_of_one() -> None:
    spans = Spans()
    spans.add(0, 9)
    spans.remove(3, 6)

    assert list(spans) == [(0, 3), (6, 9)]


def test_a_span_that_only_touches_is_left_alone() -> None:
    spans = Spans()
    spans.add(3, 6)

    assert spans.remove(1, 3) == []
    assert spans.remove(6, 9) == []
    assert list(spans) == [(3, 6)]


def test_a_million_tasks_done_in_order_are_one_span() -> None:
    spans = Spans()
    for start in range(0, 1_000_000, 1000):
        spans.add(start, start + 1000)

    assert list(spans) == [(0, 1_000_000)]
    assert spans.count == 1_000_000


def test_a_set_may_change_while_it_is_walked() -> None:
    spans = Spans()
    spans.add(0, 1)
    spans.add(5, 6)
    for start, _ in spans:
        spans.add(start + 2, start + 3)

    assert list(spans) == [(0, 1), (2, 3), (5, 6), (7, 8)]
