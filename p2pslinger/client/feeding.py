"""Arguments on their way into a function's job: all at once, or only so far ahead.

Reading a program's iterable runs the program's code, may be slow and may never end. So
no lock is held meanwhile; and a map that looks ahead only so far reads its iterable no
further than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import chain, islice
from typing import NamedTuple

from p2pslinger import limits
from p2pslinger.client.arguments import shards_of
from p2pslinger.client.packing import FunctionPackage
from p2pslinger.client.rows import Ready, Rows
from p2pslinger.client.stream import Stream
from p2pslinger.errors import TooLargeError, UsageError

#: Tasks that are on their way before the first result is read, where bytes are counted.
BEGIN = 1024

#: How many may be on their way for each result that was read.
GROWTH = 4

#: Arguments that are read at once before it is looked whether there is room for more.
LOT = 64

#: Part of the look-ahead that must be free before it is filled up: a message for each
#: result would cost more than the result.
FREE = 4


class Ahead(NamedTuple):
    """How far arguments may be read ahead of the results that were read.

    Attributes:
        most: So many tasks.
        size: So many bytes of their arguments and results, about; None: any.
    """

    most: int
    size: int | None = None


#: Where nothing else is said, of iterables that do not say how long they are: enough
#: for every slot of a large grid, and no matter for a machine's memory.
FAR = Ahead(65_536, 256 * limits.MIB)


#: Of all others: the list is there anyway.
EVERYTHING = Ahead(limits.JOB_TASKS)


def ahead_of(iterables: Iterable[object], asked: int | None) -> Ahead:
    """Return how far to read ahead.

    Args:
        iterables: The arguments: if one of them says how long it is, there is an end.
        asked: What the program wishes.
    """
    if asked is not None:
        return Ahead(asked)
    known = any(hasattr(one, "__len__") for one in iterables)
    return EVERYTHING if known else FAR


def with_star(arguments: Iterable[object]) -> tuple[Iterable[object], bool]:
    """Return arguments, and whether each is a tuple of them.

    They are if all are tuples; of an iterable that does not say how long it is, and may
    be too long to be listed, the first one tells.
    """
    if hasattr(arguments, "__len__"):
        known = list(arguments)
        return known, bool(known) and all(type(one) is tuple for one in known)
    source = iter(arguments)
    first = list(islice(source, 1))
    if not first or type(first[0]) is not tuple:
        return chain(first, source), False
    return _tuples(chain(first, source)), True


def _tuples(arguments: Iterable[object]) -> Iterator[object]:
    for number, one in enumerate(arguments):
        if type(one) is not tuple:
            raise UsageError(
                f"argument {number} is no tuple, and those before are: give a tuple of "
                "arguments for each task, or one argument that is none"
            )
        yield one


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
        ahead: How much may be on its way, computed or waiting to be read.
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
        ahead: Ahead,
        rows: Rows | None = None,
        patient: bool = True,
    ) -> None:
        self._open_job = open_job
        self._package = package
        self._arguments = iter(arguments)
        self._star = star
        self._most = ahead.most
        self._streams: set[Stream] = set()
        self.rows = rows or Rows(keep=False, dropped=lambda _: self._drop())
        self._patient = patient
        self._size = ahead.size
        self._sent = 0
        self._bytes = 0
        self._dry = False
        self._due = 0  # how many have been read when it is filled up
        self.read = 0

    def fill(self) -> None:
        """Send arguments, if there is room for some.

        Raises:
            PackingError, TooLargeError: one can't be sent.
            Exception: what the program's iterable raises.
        """
        if self.rows.total is not None:
            return
        most = self._window()
        room = 0 if self._is_full() else most - (self._sent - self.read)
        least = max(1, most // FREE)
        if room >= least or self._sent == self.read:
            try:
                self._send(chain.from_iterable(self._lots(max(1, room))))
            except BaseException:
                self._drop()
                self.rows.finish(self._sent)
                raise
            if self._dry:
                self.rows.finish(self._sent)
        left = self._window() - (self._sent - self.read)
        self._due = self.read + max(1, least - left)

    def close(self) -> None:
        """Want nothing more; a result that is still to come has no reader."""
        if self.rows.total is None or self.rows.done < self.rows.total:
            self._drop()
        self.rows.leave()

    def values(self, errors: str, timeout: float | None) -> Iterator[object]:
        """Yield the values in order, and send more arguments in their place.

        Args:
            errors: As for `Rows.read`.
            timeout: Seconds from the call in which a result must be there.

        Raises:
            TimeoutError: the next is not there in time.
        """
        return self._values(self.rows.read(timeout=timeout, errors=errors))

    def _values(self, values: Iterator[object]) -> Iterator[object]:
        with closing(values):  # type: ignore[type-var]  # it is a generator
            while True:
                if self.read >= self._due:
                    self.fill()
                try:
                    held = [next(values)]
                except StopIteration:
                    return
                self.read += 1
                if self.read >= self._due:
                    self.fill()  # before the program works with this one
                yield held.pop()  # and nobody here holds it then

    def _send(self, arguments: Iterable[object]) -> None:
        with self._open_job() as stream:
            self._streams.add(stream)
            parts = packed(self._package, arguments, star=self._star, first=self._sent)
            for part, after in parts:
                self._bytes += part.size
                stream.put(part, self.rows, patient=self._patient)
                self._sent = after

    def _lots(self, room: int) -> Iterator[list[object]]:
        """Read arguments, a few at a time, as long as there is room for them."""
        while room > 0 and not self._is_full():
            count = min(LOT, room)
            lot = list(islice(self._arguments, count))
            if lot:
                yield lot
            if len(lot) < count:
                self._dry = True
                return
            room -= count

    def _window(self) -> int:
        """Return how many may be on their way, while nobody knows how large they are.

        It grows with the results that were read: tasks that return a megabyte each are
        to be known before thousands of them have come.
        """
        if self._size is None:
            return self._most
        return min(self._most, max(BEGIN, GROWTH * self.read))

    def _is_full(self) -> bool:
        """Tell whether what is on its way or unread has too many bytes.

        What has not come yet is taken to be like what has.
        """
        if self._size is None or not self._sent:
            return False
        each = self._bytes / self._sent + self.rows.size / max(1, self.rows.done)
        return each * (self._sent - self.read) >= self._size

    def _drop(self) -> None:
        for stream in self._streams:
            stream.drop(self.rows)
