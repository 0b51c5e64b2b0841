"""Libraries that take a pool, or the `map` of one; and the examples that show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pslinger.client.grid import Grid
from tests.compat import tasks
from tests.grid.place import HANGING, Peer, Place

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def example(place: Place, peer: Peer, name: str, *options: str) -> list[str]:
    """Run an example; return the lines that it prints."""
    program = place.start(
        str(EXAMPLES / f"{name}.py"), *options, SLINGER_DATA=str(peer.data)
    )
    out, err = program.communicate(timeout=2 * HANGING)
    assert (program.returncode, err) == (0, ""), err
    return out.splitlines()


def test_scipy_evolves_generations_on_the_grid(place: Place, peer: Peer) -> None:
    pytest.importorskip("scipy")
    found, true, effort = example(place, peer, "fit_curve", "--generations", "30")

    values = zip(found.split()[1:], true.split()[1:], strict=True)
    assert all(abs(float(a.strip(",")) - float(b.strip(","))) < 0.1 for a, b in values)
    assert "generations" in effort


def test_scikit_learn_searches_models_on_the_grid(place: Place, peer: Peer) -> None:
    pytest.importorskip("sklearn")
    effort, best = example(place, peer, "search_models", "--samples", "200")

    assert effort.startswith("80 fits in ")
    assert best.startswith("best: {'C': ")


def test_dask_counts_words_on_the_grid(place: Place, peer: Peer) -> None:
    pytest.importorskip("dask.bag")
    head, *lines = example(place, peer, "count_words", "--top", "5")

    assert "files of Python 3" in head
    counts = [int(line.split()[0].replace(",", "")) for line in lines]
    assert len(counts) == 5
    assert counts == sorted(counts, reverse=True)


def test_emcee_walks_on_the_grid(grid: Grid) -> None:
    emcee = pytest.importorskip("emcee")
    numpy = pytest.importorskip("numpy")
    start = numpy.random.default_rng(1).normal(size=(8, 2))
    sampler = emcee.EnsembleSampler(8, 2, tasks.log_normal, pool=grid)
    sampler.run_mcmc(start, 20)

    assert sampler.get_chain().shape == (20, 8, 2)


def test_tqdm_counts_what_a_map_gives(grid: Grid) -> None:
    tqdm = pytest.importorskip("tqdm")
    with tqdm.tqdm(grid.map(abs, range(-100, 0)), total=100, disable=True) as bar:
        assert list(bar) == list(range(100, 0, -1))


def test_rich_tracks_what_a_map_gives(grid: Grid) -> None:
    from rich.progress import track

    results = track(grid.map(abs, range(-100, 0)), total=100, disable=True)
    assert list(results) == list(range(100, 0, -1))
