"""Arguments become shards: small, lazy, and none can spoil another."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pslinger.client.arguments import FIRST, Form, Shard, calls_shard, shards_of
from p2pslinger.errors import PackingError
from p2pslinger.limits import INLINE, SHARD_TASKS
from p2pslinger.wire.packed import unpack_items

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def tasks_in(shard: Shard) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Read a shard as a slot does: (args, kwargs) of each task."""
    tasks: list[tuple[tuple[Any, ...], dict[str, Any]]]
    match shard.form:
        case Form.PLAIN:
            tasks = [((value,), {}) for value in pickle.loads(shard.data)]
        case Form.STAR:
            tasks = [(args, {}) for args in pickle.loads(shard.data)]
        case Form.CALLS:
            tasks = [pickle.loads(item) for item in unpack_items(shard.data)]
        case Form.ITEMS:
            tasks = [((pickle.loads(i),), {}) for i in unpack_items(shard.data)]
    assert len(tasks) == shard.count
    return tasks


def arguments_in(shards: list[Shard]) -> list[Any]:
    return [args[0] for shard in shards for args, _ in tasks_in(shard)]


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other)  # 1, 1.0 and True are not the same argument


@given(st.lists(VALUES, max_size=200))
@settings(max_examples=60)
def test_arguments_come_out_as_they_went_in(values: list[Any]) -> None:
    assert same(arguments_in(list(shards_of(values))), values)


@given(st.lists(st.lists(VALUES, max_size=3).map(tuple), max_size=100))
@settings(max_examples=60)
def test_tuples_of_arguments_come_out_as_they_went_in(values: list[Any]) -> None:
    shards = list(shards_of(values, star=True))
    assert same([args for shard in shards for args, _ in tasks_in(shard)], values)


@given(
    st.lists(
        st.tuples(
            st.lists(VALUES, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from("abc"), VALUES, max_size=2),
        ),
        max_size=30,
    )
)
@settings(max_examples=60)
def test_calls_come_out_as_they_went_in(calls: list[Any]) -> None:
    shard, failures = calls_shard(calls)
    assert not failures
    assert same(tasks_in(shard), calls)


def test_shards_start_small_and_grow_to_the_limits() -> None:
    shards = list(shards_of(range(100_000)))
    counts = [shard.count for shard in shards]

    assert counts[0] == FIRST
    assert max(counts) == SHARD_TASKS
    assert max(len(shard.data) for shard in shards) <= INLINE
    assert len(shards) < 20
    assert {shard.form for shard in shards} == {Form.PLAIN}


@pytest.mark.parametrize("item", ["x" * 700, ["x" * 700], b"\0" * 30_000, [0] * 40_000])
def test_no_shard_of_several_tasks_is_larger_than_a_message_carries(
    item: object,
) -> None:
    shards = list(shards_of(item for _ in range(300)))

    assert sum(shard.count for shard in shards) == 300
    assert all(len(shard.data) <= INLINE or shard.count == 1 for shard in shards)
    assert len(shards) <= 300


def test_strings_that_become_longer_are_split() -> None:
    values = ["x" * (n // 10) for n in range(5_000)]
    shards = list(shards_of(values))

    assert arguments_in(shards) == values
    assert all(len(shard.data) <= INLINE for shard in shards)


def test_an_iterable_is_read_no_further_than_the_shards_that_were_asked_for() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(1)
            yield len(taken)

    shards = shards_of(endless())
    assert not taken
    next(shards)
    assert len(taken) == FIRST


def test_large_arguments_are_not_taken_by_the_dozen() -> None:
    taken: list[int] = []

    def large() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(1 << 20)

    assert next(shards_of(large())).count == 1
    assert len(taken) == 1


def test_an_error_of_the_iterable_is_the_callers() -> None:
    def broken() -> Iterator[int]:
        yield from range(1000)
        raise KeyError("the file ended")

    shards = shards_of(broken())
    assert next(shards).count == FIRST
    with pytest.raises(KeyError, match="the file ended"):
        list(shards)


def test_nothing_gives_no_shard() -> None:
    assert list(shards_of([])) == []
    assert list(shards_of([], star=True)) == []


def test_tasks_do_not_share_what_could_be_changed() -> None:
    shared: list[int] = []
    one, other = arguments_in(list(shards_of([shared, shared])))
    one.append(1)
    assert other == []


def test_subclasses_of_scalars_keep_their_class() -> None:
    shards = list(shards_of([threading.TIMEOUT_MAX, pytest.ExitCode.OK, 1]))
    assert same(arguments_in(shards)[1], pytest.ExitCode.OK)
    assert shards[0].form is Form.ITEMS


def test_lists_of_arguments_are_as_good_as_tuples() -> None:
    (shard,) = shards_of([[1, 2], (3, 4)], star=True)
    assert shard.form is Form.STAR
    assert tasks_in(shard) == [((1, 2), {}), ((3, 4), {})]


def test_a_task_that_is_no_tuple_is_named() -> None:
    with pytest.raises(PackingError, match=r"argument 1 is 7, not a tuple .* \(x,\)"):
        list(shards_of([(1,), 7], star=True))


def test_functions_and_local_classes_are_arguments_like_any_other() -> None:
    class Local:
        def __init__(self, x: int) -> None:
            self.x = x

    (shard,) = shards_of([lambda x: x + 1, Local(3)])
    function, thing = arguments_in([shard])
    assert function(1) == 2
    assert type(thing) is Local
    assert thing.x == 3


def test_an_argument_that_cannot_be_sent_is_named_with_its_place() -> None:
    values: list[object] = [{} for _ in range(100)]
    values[77] = {"name": "x", "guard": [1, threading.Lock()]}
    with pytest.raises(PackingError) as caught:
        list(shards_of(values))

    text = str(caught.value)
    assert "argument 77 holds the item 'guard', which holds the item 1" in text
    assert "of type _thread.lock" in text
    assert "inside the function" in text
    assert caught.value.__cause__ is not None


def test_one_call_that_cannot_be_sent_does_not_spoil_the_others() -> None:
    lock = threading.Lock()
    shard, failures = calls_shard([((1,), {}), ((lock,), {}), ((), {"y": lock})])

    assert tasks_in(shard) == [((1,), {})]
    assert [position for position, _ in failures] == [1, 2]
    assert all("_thread.lock" in str(error) for _, error in failures)


def test_calls_of_scalars_are_encoded_at_once() -> None:
    shard, failures = calls_shard([((n, "x"), {}) for n in range(5_000)])
    assert shard.form is Form.STAR
    assert shard.count == 5_000
    assert not failures


def test_a_string_that_looks_like_a_module_is_still_a_string() -> None:
    (shard,) = shards_of([["__main__"]], shipped=frozenset())
    assert arguments_in([shard]) == [["__main__"]]


def test_an_object_that_fails_to_pickle_itself_is_the_callers() -> None:
    class Hostile:
        def __reduce__(self) -> str:
            raise ZeroDivisionError("in __reduce__")

    with pytest.raises(PackingError, match=r"argument 0 .*in __reduce__"):
        list(shards_of([Hostile()]))


def test_sending_by_value_leaves_no_trace_in_cloudpickle() -> None:
    before = set(cloudpickle.list_registry_pickle_by_value())
    list(shards_of([shards_of, Shard], shipped=frozenset()))
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_a_hundred_thousand_numbers_are_packed_in_milliseconds() -> None:
    numbers = range(100_000)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert sum(shard.count for shard in shards_of(numbers)) == 100_000
        times.append(time.perf_counter() - start)
    print(f"100,000 numbers into shards: {1000 * min(times):.1f} ms")
