"""What an owner has said of a job: the same from the same records, in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pslinger.rules.standing import Standing
from p2pslinger.wire.records import Control

JOB = b"j" * 20


def records() -> st.SearchStrategy[dict[bytes, Control]]:
    record = st.builds(
        Control,
        st.just(JOB),
        st.integers(1, 4),
        cancelled=st.booleans(),
        sealed=st.sampled_from((None, 3, 5)),
        paused=st.booleans(),
        forgotten=st.booleans(),
    )
    return st.dictionaries(st.binary(min_size=1, max_size=2), record, max_size=7)


def after(said: list[tuple[bytes, Control]]) -> Standing:
    standing = Standing()
    for id, record in said:
        standing.add(id, record)
    return standing


@given(records(), st.data())
def test_the_order_of_records_does_not_matter(
    said: dict[bytes, Control], data: st.DataObject
) -> None:
    one = after(list(said.items()))
    other = after(data.draw(st.permutations(list(said.items()))))

    assert one.records == other.records
    assert one.newest == other.newest
    assert one.sealed == other.sealed


@given(records())
def test_three_words_are_never_taken_back(said: dict[bytes, Control]) -> None:
    standing = after(list(said.items()))

    assert standing.cancelled == any(one.cancelled for one in said.values())
    assert standing.forgotten == any(one.forgotten for one in said.values())
    assert (standing.sealed is not None) == any(
        one.sealed is not None for one in said.values()
    )


@given(records())
def test_few_records_matter(said: dict[bytes, Control]) -> None:
    standing, gone = Standing(), set[bytes]()
    for id, record in said.items():
        dropped = standing.add(id, record)
        gone.update((id,) if dropped is None else dropped)

    assert len(standing.records) <= 4
    assert standing.records.keys() | gone == said.keys()
    assert not standing.records.keys() & gone


@given(records())
def test_the_highest_sequence_counts(said: dict[bytes, Control]) -> None:
    standing = after(list(said.items()))
    highest = max((one.sequence for one in said.values()), default=0)

    assert standing.sequence == highest
    assert (standing.newest is None) == (not said)
