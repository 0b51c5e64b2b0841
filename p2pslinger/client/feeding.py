"""Arguments on their way into a function's job: all at once, or only so far ahead.

Reading a program's iterable runs the program's code, may be slow and may never end. So
no lock is held meanwhile; and a map that looks ahead only so far reads its iterable no
further than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import islice

from p2pslinger import limits
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.packing import FunctionPackage
from p2pslinger.client.rows import Ready, Rows
from p2pslinger.client.stream import Stream
from p2pslinger.errors import TooLargeError

#: Part of the look-ahead that must be free before it is filled up: a message for each
#: result would cost more than the result.
FREE = 4


def packed(
    package: FunctionPackage,
    arguments: Iterable[object],
    *,
    star: bool,
    first: int = 0,
) -> Iterator[tuple[Ready, int]]:
    """Pack arguments shard by shard; yield each and the position after it.

    Args:
        package: The function that they are for.
        arguments: One for each call, or a tuple of them.
        star: Whether they come as tuples.
        first: Position of the first.

    Raises:
        PackingError: one can't be sent.
        TooLargeError: one is larger than the grid carries.
    """
    for shard in shards_of(arguments, star=star, shipped=package.modules):
        if len(shard.data) > limits.BLOB:
            raise TooLargeError(
                f"argument {first} has {len(shard.data):,} bytes, and at most "
                f"{limits.BLOB:,} can be sent: send it in parts, or its place in "
                "a file that all machines can read"
            )
        part = Ready(shard, first)
        first += shard.count
        yield part, first


def put_all(
    stream: Stream,
    rows: Rows,
    package: FunctionPackage,
    arguments: Iterable[object],
    *,
    star: bool,
) -> None:
    """Send all arguments, and tell `rows` how many they are.

    Raises:
        PackingError: one can't be sent.
        TooLargeError: one is larger than the grid carries.
    """
    total = 0
    try:
        for part, after in packed(package, arguments, star=star):
            stream.put(part, rows)
            total = after
    except BaseException:
        stream.drop(rows)
        raise
    finally:
        rows.finish(total)


class LookAhead:
    """Calls of which only so many have not been read yet.

    Args:
        open_job: Keeps the function's job open while arguments are put in.
        package: The function.
        arguments: One for each call, or a tuple of them.
        star: Whether they come as tuples.
        most: How many may be on their way, computed or waiting to be read.
        rows: Where the results go; by default they are read by `values`.
        patient: The calling thread may wait until the peer has room for arguments.

    Attributes:
        read: How many results have been read.
        rows: Where the results go.
    """

    def __init__(
        self,
        open_job: Callable[[], AbstractContextManager[Stream]],
        package: FunctionPackage,
        arguments: Iterable[object],
        *,
        star: bool,
        most: int,
        rows: Rows | None = None,
        patient: bool = True,
    ) -> None:
        self._open_job = open_job
        self._package = package
        self._arguments = iter(arguments)
        self._star = star
        self._most = most
        self._streams: set[Stream] = set()
        self.rows = rows or Rows(keep=False, dropped=lambda _: self._drop())
        self._patient = patient
        self._sent = 0
        self.read = 0

    def fill(self) -> None:
        """Send arguments, if there is room for some.

        Raises:
            PackingError, TooLargeError: one can't be sent.
            Exception: what the program's iterable raises.
        """
        room = self._most - (self._sent - self.read)
        if self.rows.total is not None or room < max(1, self._most // FREE):
            return
        wanted = self._sent + room
        try:
            self._send(islice(self._arguments, room))
        except BaseException:
            self._drop()
            self.rows.finish(self._sent)
            raise
        if self._sent < wanted:
            self.rows.finish(self._sent)

    def close(self) -> None:
        """Want nothing more; a result that is still to come has no reader."""
        if self.rows.total is None or self.rows.done < self.rows.total:
            self._drop()

    def values(self, timeout: float | None) -> Iterator[object]:
        """Yield the values in order, and send more arguments in their place.

        Raises:
            TimeoutError: the next is not there `timeout` seconds after the call.
        """
        return self._values(self.rows.read(timeout=timeout))

    def _values(self, values: Iterator[object]) -> Iterator[object]:
        with closing(values):  # type: ignore[type-var]  # it is a generator
            while True:
                self.fill()
                try:
                    held = [next(values)]
                except StopIteration:
                    return
                self.read += 1
                self.fill()  # before the program works with this one
                yield held.pop()  # and nobody here holds it then

    def _send(self, arguments: Iterable[object]) -> None:
        with self._open_job() as stream:
            self._streams.add(stream)
            parts = packed(self._package, arguments, star=self._star, first=self._sent)
            for part, after in parts:
                stream.put(part, self.rows, patient=self._patient)
                self._sent = after

    def _drop(self) -> None:
        for stream in self._streams:
            stream.drop(self.rows)
