"""Single calls: what `submit` queues, and the futures that wait for them."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from p2pslinger import limits
from p2pslinger.client.arguments import Shard, calls_shard
from p2pslinger.client.initializer import InitializerError
from p2pslinger.client.later import Later
from p2pslinger.errors import TooLargeError
from p2pslinger.wire.control import RangeOut
from p2pslinger.wire.glimpse import Glimpse

#: Calls packed into one shard, at most; fewer when their arguments are large, so that
#: several volunteers can take them.
MOST = 1024

#: A call that waits: its future and its arguments.
Waiting = tuple["GridFuture", tuple[object, ...], dict[str, object]]


#: Whoever tells those who wait for a future that it has been cancelled: telling them
#: twice would be an error, and any number of threads may cancel.
_telling = threading.Lock()


class GridFuture(Future[object]):
    """A future whose cancellation reaches the grid.

    Attributes:
        calls: The calls that it has been packed with, or None.
        position: Its number among them.
        given_up: It has been cancelled.
        progress: How far the call is, 0 to 1, if it says so (`task.progress`).
    """

    calls: Calls | None = None
    position = 0
    given_up = False
    progress: float | None = None

    def cancel(self) -> bool:
        """Cancel the call unless it has a result; a slot that runs it is ended."""
        if not super().cancel():
            return False
        with _telling:
            if not self.given_up:
                self.given_up = True
                self.set_running_or_notify_cancel()
        # Only then: who packs it now looks the other way round, so one of us sees it.
        if self.calls is not None:
            self.calls.withdraw(self)
        return True


class Calls:
    """The calls of one function: a source of shards, and the consumer of results.

    Args:
        shipped: Local modules that travel with the function.
        withdraw: Tells the stream that the call at a position is not wanted.
        useless: Called when what a slot has to call first has failed.
    """

    def __init__(
        self,
        shipped: Collection[str],
        withdraw: Callable[[Calls, int], None],
        useless: Callable[[InitializerError], None] = lambda _: None,
    ) -> None:
        self._shipped = shipped
        self._withdraw = withdraw
        self._useless = useless
        self._waiting: deque[Waiting] = deque()
        self._open: dict[int, GridFuture] = {}  # by position
        self._sent = 0
        #: Maps that are about to put more into the same job.
        self.sharers = 0
        self._most = MOST

    def add(self, args: tuple[object, ...], kwargs: dict[str, object]) -> GridFuture:
        """Queue a call."""
        future = GridFuture()
        self._waiting.append((future, args, kwargs))
        return future

    def futures(self) -> list[GridFuture]:
        """Return the futures of the calls without a result."""
        return [*list(self._open.values()), *(one[0] for one in list(self._waiting))]

    def cancel(self) -> None:
        """Cancel all calls without a result; the caller sees to it that they stop."""
        lost = self.futures()
        self._open.clear()
        self._waiting.clear()
        for future in lost:
            future.cancel()

    def withdraw(self, future: GridFuture) -> None:
        """Have the grid forget a cancelled call, if it knows it."""
        if self._open.pop(future.position, None) is not None:
            self._withdraw(self, future.position)

    # --- source -------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many calls have been packed."""
        return self._sent

    def pack(self) -> Shard | None:
        """Pack the calls that have queued up."""
        batch = self._next_batch()
        if not batch:
            return None
        try:
            shard, refused = calls_shard(
                [(args, kwargs) for _, args, kwargs in batch], shipped=self._shipped
            )
        except BaseException:  # an interrupt: they are to hear that they are lost
            self._waiting.extendleft(reversed(batch))
            raise
        self._most = 1 + min(MOST, len(batch) * limits.INLINE // len(shard.data))
        if len(shard.data) > limits.BLOB:
            return self._give_up(batch, len(shard.data))
        left = batch[shard.count + len(refused) :]  # they refer to too much at once
        del batch[shard.count + len(refused) :]
        self._waiting.extendleft(reversed(left))
        for position, error in reversed(refused):
            _fail(batch.pop(position)[0], error)
        self._number([future for future, _, _ in batch])
        return shard

    def _number(self, futures: list[GridFuture]) -> None:
        """Note which position is whose."""
        for position, future in enumerate(futures, self._sent):
            self._open[position] = future
            future.position = position
            future.calls = self
            if future.given_up:  # while it was being packed
                self.withdraw(future)
        self._sent += len(futures)

    def _next_batch(self) -> list[Waiting]:
        """Take calls that have queued up, until they make a shardful."""
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < self._most and size <= limits.INLINE:
            entry = self._waiting.popleft()
            if entry[0].cancelled():
                continue
            least = sum(sys.getsizeof(argument, 0) for argument in entry[1])
            if least > limits.BLOB:
                _fail(entry[0], _too_large(least))
                continue
            size += least
            batch.append(entry)
        return batch

    def _give_up(self, batch: list[Waiting], size: int) -> Shard | None:
        """Fail a call that is too large; try many of them one by one."""
        if len(batch) == 1:
            _fail(batch[0][0], _too_large(size))
        else:
            self._waiting.extendleft(reversed(batch))
        return self.pack()

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
        for error in errors.values():
            if isinstance(error, InitializerError):
                self._useless(error)

    def promised(self, first: int, later: Later) -> None:
        """Ask for results at once: a future has its own as soon as it is there."""
        later.fetch(lambda came: self._came(first, came))

    def _came(self, first: int, later: Later) -> None:
        if later.outcomes is not None:
            self.took(first, *later.outcomes, later.out)

    def glimpsed(self, position: int, glimpse: Glimpse) -> None:
        """Let a call's future know how far it is."""
        future = self._open.get(position)
        if future is not None and glimpse.share is not None:
            future.progress = glimpse.share

    def broke(self, error: BaseException) -> None:
        """No more results will come."""
        lost = self.futures()
        self._open.clear()
        self._waiting.clear()
        for future in lost:
            _fail(future, error)


def _too_large(size: int) -> TooLargeError:
    return TooLargeError(
        f"the call's arguments have {size:,} bytes, and at most {limits.BLOB:,} can be "
        "sent: send them in parts, or their place in a file that all machines can read"
    )


def _fail(future: GridFuture, error: BaseException) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)
