"""Dask's graphs on a grid: arrays, bags, data frames and delayed functions.

    from p2pslinger.compat.dask import scheduler

    with slinger.connect() as grid:
        total = array.sum().compute(scheduler=scheduler(grid))

`dask.config.set(scheduler=scheduler(grid))` makes it the default. What the program
sends goes by value where it has to. What comes back is more than plain data; so unless
the grid is one of `connect(trust="pickle")`, slots of this machine, and of peers that
count as its own, compute it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import dask
from dask.local import get_async, get_sync, identity
from dask.optimization import cull, fuse
from dask.utils import ensure_dict

from p2pslinger.client.grid import Grid
from p2pslinger.client.values import RemoteTraceback
from p2pslinger.compat.placing import is_alone, is_bounded, slots
from p2pslinger.sandbox.batches import failure, process

#: Tasks that are on their way for each slot: the next is there when one ends.
AHEAD = 2


def scheduler(
    grid: Grid, *, optimize_graph: bool = True, chunksize: int | None = None
) -> Callable[..., object]:
    """Return what Dask calls a scheduler: a function that computes graphs.

    Args:
        grid: Where.
        optimize_graph: Join tasks that follow each other into one.
        chunksize: Tasks that travel together, unless Dask's settings say otherwise.
    """

    def get(
        dsk: Mapping[Hashable, object],
        keys: Sequence[Hashable] | Hashable,
        **options: Any,
    ) -> object:
        graph = dsk.__dask_graph__() if hasattr(dsk, "__dask_graph__") else dsk
        graph, dependencies = cull(ensure_dict(graph), keys)
        if options.pop("optimize_graph", optimize_graph):
            graph, _ = fuse(graph, keys, dependencies)
        options.setdefault("chunksize", chunksize or dask.config.get("chunksize", 1))
        return _computed(grid, graph, keys, options)

    return get


def _computed(
    grid: Grid, graph: Mapping[Any, Any], keys: Any, options: dict[str, Any]
) -> object:
    """Compute a graph; cancel what is left of it if that fails."""
    futures: set[Future[object]] = set()
    trusted = is_bounded(grid)
    if trusted and is_alone(grid, "Dask"):
        return get_sync(graph, keys, **options)
    calls = grid.options(trusted=trusted)

    def submit(function: Callable[..., object], *args: object) -> Future[object]:
        future = calls.submit(function, *args)
        futures.add(future)
        future.add_done_callback(futures.discard)
        return future

    workers = options.pop("num_workers", None) or AHEAD * _slots(grid)
    try:
        return get_async(
            submit,
            workers,
            graph,
            keys,
            get_id=process,
            dumps=identity,  # the grid packs, and decides what it unpacks
            loads=identity,
            pack_exception=failure,
            raise_exception=_raise,
            **options,
        )
    finally:
        for future in list(futures):
            future.cancel()


def _slots(grid: Grid) -> int:
    return max(1, slots(grid, trusted=is_bounded(grid)))


def _raise(error: Exception, traceback: str) -> None:
    """Raise what a task has raised, with the traceback from there."""
    raise error from RemoteTraceback(traceback)
