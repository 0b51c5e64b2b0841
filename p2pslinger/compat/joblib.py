"""joblib on a grid, and with it scikit-learn.

    import joblib
    import p2pslinger.compat.joblib  # makes the backend known

    with joblib.parallel_config(backend="p2pslinger"):
        ...

The backend connects to this machine's peer when it is first used and stays connected.
Pass a grid of your own with `parallel_config(backend="p2pslinger", grid=grid)`. Every
Python that computes has to have the libraries that the calls use.

Values from other people's machines are plain data or refused, as everywhere, and what
joblib's calls return is more than that. So slots of this machine, and of peers that
count as its own, compute them alone. A grid of `connect(trust="pickle")` takes what any
peer has made; `parallel_config(..., trusted=False)` has all peers compute, for results
that are plain data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import joblib
from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from p2pslinger.client.connect import connect
from p2pslinger.client.grid import Grid
from p2pslinger.client.options import GridOptions
from p2pslinger.compat.placing import is_alone, is_bounded, slots
from p2pslinger.errors import ConnectionLostError, UsageError
from p2pslinger.sandbox.batches import call, limit_threads

if TYPE_CHECKING:
    Done = Callable[[Future[object]], object]

#: Threads that a slot's numeric libraries use, unless the program says otherwise: a
#: slot has one core.
THREADS = 1


class GridBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """joblib's view of a grid; made by joblib.

    Args:
        grid: To use instead of this machine's peer.
        options: joblib's own.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    #: All slots, if the program does not say how many.
    default_n_jobs = -1

    def __init__(
        self, grid: Grid | None = None, trusted: bool | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._grid = grid
        self._trusted = trusted
        self._calls: GridOptions | None = None
        self._open: WeakSet[Future[object]] = WeakSet()

    def __reduce__(self) -> tuple[object, ...]:
        """Be without a grid in a slot, which has none."""
        return type(self), ()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many calls can run at once: the grid's slots, if that is asked."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs > 0:
            return n_jobs
        there = slots(self._connected(), trusted=self._only_trusted())
        return max(1, there + 1 + n_jobs)

    def configure(
        self, n_jobs: int = 1, parallel: object = None, **options: object
    ) -> int:
        """Get ready for a call of `Parallel`; return how many calls run at once."""
        trusted = n_jobs != 1 and self._only_trusted()
        if n_jobs == 1 or (trusted and is_alone(self._connected(), "joblib")):
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        threads = self.inner_max_num_threads or THREADS
        environment = dict.fromkeys(self.MAX_NUM_THREADS_VARS, str(threads))
        self._calls = self._connected().options(
            trusted=trusted,
            initializer=limit_threads,
            initargs=(environment, threads),
        )
        self.parallel = parallel
        return max(2, self.effective_n_jobs(n_jobs))

    def submit(
        self, func: Callable[[], object], callback: Done | None = None
    ) -> Future[object]:
        """Call a batch on the grid."""
        assert self._calls is not None
        future = self._calls.submit(call, func)
        self._open.add(future)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[object]) -> object:
        """Return what a batch has returned, or raise what it has raised."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End what runs: one call has failed, and nobody reads the others' results."""
        for future in list(self._open):
            future.cancel()

    def terminate(self) -> None:
        """Stay connected: the next call of `Parallel` starts at once."""
        self.reset_batch_stats()

    def _only_trusted(self) -> bool:
        if self._trusted is not None:
            return self._trusted
        return is_bounded(self._connected())

    def _connected(self) -> Grid:
        return self._grid or _own_grid()


def _own_grid() -> Grid:
    """Return the connection that all backends without a grid share."""
    with _lock:
        try:
            _shared[0].status()
        except (IndexError, ConnectionLostError, UsageError):  # none, or it has ended
            _shared[:] = [connect()]
        return _shared[0]


_lock = threading.Lock()
_shared: list[Grid] = []

joblib.register_parallel_backend("p2pslinger", GridBackend)
