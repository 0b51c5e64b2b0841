"""Single calls: what `submit` queues, and the futures that wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress

from p2pslinger.client.arguments import Shard, calls_shard
from p2pslinger.wire.control import RangeOut

#: Calls packed into one shard.
MOST = 1024


class GridFuture(Future[object]):
    """A future whose cancellation reaches the grid."""

    withdraw: Callable[[], None] | None = None

    def cancel(self) -> bool:
        """Cancel the call unless it has a result; a slot that runs it is ended."""
        if not super().cancel():
            return False
        self.set_running_or_notify_cancel()
        if self.withdraw is not None:
            self.withdraw()
        return True


class Calls:
    """The calls of one function: a source of shards, and the consumer of results.

    Args:
        shipped: Local modules that travel with the function.
        withdraw: Tells the stream that the call at a position is not wanted.
    """

    def __init__(
        self, shipped: Collection[str], withdraw: Callable[[Calls, int], None]
    ) -> None:
        self._shipped = shipped
        self._withdraw = withdraw
        self._waiting: deque[tuple[GridFuture, tuple[object, ...], dict[str, object]]]
        self._waiting = deque()
        self._open: dict[int, GridFuture] = {}  # by position
        self._sent = 0

    def add(self, args: tuple[object, ...], kwargs: dict[str, object]) -> GridFuture:
        """Queue a call."""
        future = GridFuture()
        self._waiting.append((future, args, kwargs))
        return future

    @property
    def open(self) -> int:
        """Calls without a result."""
        return len(self._waiting) + len(self._open)

    def futures(self) -> list[GridFuture]:
        """Return the futures of the calls without a result."""
        return [*self._open.values(), *(entry[0] for entry in self._waiting)]

    # --- source -------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many calls have been packed."""
        return self._sent

    def pack(self) -> Shard | None:
        """Pack the calls that have queued up."""
        batch: list[tuple[GridFuture, tuple[object, ...], dict[str, object]]] = []
        while self._waiting and len(batch) < MOST:
            entry = self._waiting.popleft()
            if not entry[0].cancelled():
                batch.append(entry)
        if not batch:
            return None
        shard, refused = calls_shard(
            [(args, kwargs) for _, args, kwargs in batch], shipped=self._shipped
        )
        for position, error in reversed(refused):
            _fail(batch.pop(position)[0], error)
        for future, _, _ in batch:
            at = self._sent
            self._open[at] = future
            future.withdraw = lambda at=at: self._withdraw(self, at)
            self._sent += 1
        return shard

    # --- consumer -----------------------------------------------------------------

    def took(
        self,
        first: int,
        values: Sequence[object],
        errors: dict[int, Exception],
        out: RangeOut,
    ) -> None:
        """Give every future its result."""
        for offset in range(len(values)):
            future = self._open.pop(first + offset, None)
            if future is None:
                continue
            error = errors.get(offset)
            if error is None:
                try:
                    value = values[offset]
                except Exception as broken:  # noqa: BLE001  # the value's own code
                    error = broken
            if error is not None:
                _fail(future, error)
            else:
                with suppress(InvalidStateError):  # it was cancelled meanwhile
                    future.set_result(value)

    def broke(self, error: BaseException) -> None:
        """No more results will come."""
        lost = self.futures()
        self._open.clear()
        self._waiting.clear()
        for future in lost:
            if isinstance(error, CancelledError):
                Future.cancel(future)
            else:
                _fail(future, error)


def _fail(future: GridFuture, error: BaseException) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)
