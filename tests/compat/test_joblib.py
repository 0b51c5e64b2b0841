"""joblib, and scikit-learn with it, on a grid."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator

import pytest

import p2pslinger as slinger
from p2pslinger.client.grid import Grid
from tests.compat import tasks
from tests.grid.place import Peer, Place, within

joblib = pytest.importorskip("joblib")
pytest.importorskip("p2pslinger.compat.joblib")


@pytest.fixture(autouse=True)
def on_the_grid(grid: Grid) -> Iterator[None]:
    """Have joblib use the module's peer."""
    with joblib.parallel_config(backend="p2pslinger", grid=grid):
        yield


def test_calls_run_elsewhere_and_their_results_are_in_order() -> None:
    calls = (joblib.delayed(tasks.host)(x) for x in range(200))
    results = joblib.Parallel()(calls)

    assert [x for x, _ in results] == list(range(200))
    assert len({pid for _, pid in results}) > 1
    assert joblib.effective_n_jobs(-1) == 5
    assert joblib.Parallel(n_jobs=1)([joblib.delayed(abs)(-1)]) == [1]


def test_short_calls_are_batched() -> None:
    with within(30):
        calls = (joblib.delayed(abs)(-x) for x in range(20_000))
        assert sum(joblib.Parallel(n_jobs=4)(calls)) == sum(range(20_000))


def test_functions_and_values_of_any_kind_travel() -> None:
    factor = 3
    got = joblib.Parallel(n_jobs=2)(
        joblib.delayed(lambda box, k=1: (box, k * factor))({x}, k=x) for x in range(9)
    )
    assert got == [({x}, x * 3) for x in range(9)]


def test_results_may_be_had_as_they_come() -> None:
    parallel = joblib.Parallel(n_jobs=2, return_as="generator")
    results = parallel(joblib.delayed(tasks.nap)(0.01 * x) for x in range(20))
    assert list(results) == [0.01 * x for x in range(20)]
    parallel = joblib.Parallel(n_jobs=2, return_as="generator_unordered")
    results = parallel(joblib.delayed(tasks.nap)(x) for x in (1, 0, 0))
    assert next(results) == 0
    assert sorted(results) == [0, 1]


def test_an_error_ends_the_other_calls(grid: Grid) -> None:
    with within(20), pytest.raises(ZeroDivisionError):
        joblib.Parallel(n_jobs=5)(
            joblib.delayed(tasks.nap_or_fail)(x) for x in [600, 600, 600, 0, 600]
        )
    assert grid.submit(abs, -1).result(10) == 1
    assert joblib.Parallel(n_jobs=5)([joblib.delayed(abs)(-1)] * 2) == [1, 1]


def test_a_time_out_ends_the_calls(grid: Grid) -> None:
    with within(20), pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(n_jobs=2, timeout=1)([joblib.delayed(tasks.nap)(600)] * 4)
    assert grid.submit(abs, -1).result(10) == 1


def test_parallel_calls_inside_calls_work() -> None:
    got = joblib.Parallel(n_jobs=4)(
        joblib.delayed(tasks.parallel_squares)(x) for x in range(1, 5)
    )
    assert got == [[y * y for y in range(x)] for x in range(1, 5)]


def test_several_threads_share_the_backend() -> None:
    got: list[list[int]] = []

    def work() -> None:
        with joblib.parallel_config(backend="p2pslinger", n_jobs=3):
            got.append(joblib.Parallel()(joblib.delayed(abs)(-x) for x in range(50)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [list(range(50))] * 3


@pytest.mark.parametrize("threads", [1, 3])
def test_numeric_libraries_get_as_many_threads_as_asked(
    grid: Grid, threads: int
) -> None:
    pytest.importorskip("numpy")
    limits = pytest.importorskip("threadpoolctl")
    with joblib.parallel_config(
        backend="p2pslinger", grid=grid, inner_max_num_threads=threads
    ):
        got = joblib.Parallel(n_jobs=2)([joblib.delayed(tasks.numeric_threads)()] * 4)
    assert limits is not None
    assert {count for counts in got for count in counts} == {threads}


def test_a_grid_search_of_scikit_learn_finds_the_same(grid: Grid) -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score

    features, classes = make_classification(300, random_state=1)
    model = LogisticRegression(max_iter=500)
    search = GridSearchCV(model, {"C": [0.01, 0.1, 1, 10]}, cv=3, n_jobs=-1)
    search.fit(features, classes)
    scores = cross_val_score(model, features, classes, cv=4, n_jobs=2)
    with joblib.parallel_config(backend="sequential"):
        alone = GridSearchCV(model, {"C": [0.01, 0.1, 1, 10]}, cv=3)
        alone.fit(features, classes)
        assert list(scores) == list(cross_val_score(model, features, classes, cv=4))

    assert search.best_params_ == alone.best_params_
    assert search.best_score_ == alone.best_score_


def test_without_a_grid_it_uses_this_machines_peer(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLINGER_DATA", str(peer.data))
    from p2pslinger.compat.joblib import _own_grid

    try:
        for _ in range(2):
            with joblib.parallel_config(backend="p2pslinger"):
                assert joblib.Parallel()([joblib.delayed(abs)(-1)] * 2) == [1, 1]
            started = time.monotonic()
            _own_grid().shutdown()
            assert time.monotonic() - started < 10
    finally:
        _own_grid().shutdown()


def test_a_broken_grid_says_so() -> None:
    with slinger.local(peers=1) as gone:
        pass
    with (
        joblib.parallel_config(backend="p2pslinger", grid=gone),
        pytest.raises(slinger.SlingerError),
    ):
        joblib.Parallel(n_jobs=2)([joblib.delayed(abs)(-1)] * 2)


def test_without_a_trusted_slot_the_program_computes_alone_and_says_so(
    place: Place,
) -> None:
    lonely = place.peer("lonely", "--slots", "0", SLINGER_AUTHKEY=place.key)
    with lonely.connect() as grid:
        calls = [joblib.delayed(tasks.host)(x) for x in range(5)]
        for jobs in (-1, 2):
            with (
                joblib.parallel_config(backend="p2pslinger", grid=grid),
                pytest.warns(UserWarning, match="joblib computes in this process"),
            ):
                results = joblib.Parallel(n_jobs=jobs)(calls)
            assert {pid for _, pid in results} == {os.getpid()}
