"""The loops that call the function, once per task.

This is one of two places in p2pslinger where Python code runs per task, and a task may
be as short as `x + 1`: so everything here is a local variable, and the loop over values
that are plain scalars knows nothing of pickling. The first value that is none switches
to the other loop, which pickles each value before the next task can touch it.
"""

from __future__ import annotations

import math
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import cloudpickle

from p2pslinger.sandbox.failures import UnsendableError, failure_of, shortened
from p2pslinger.sandbox.frames import AT, FAILURES, pack_failure
from p2pslinger.sandbox.memory import LEAST
from p2pslinger.sandbox.packages import SOURCE_MODULE
from p2pslinger.sandbox.packed import (
    CALLS,
    ITEM_VALUES,
    ITEMS,
    RUN_BYTES,
    SCALAR_VALUES,
    STAR,
    VALUE_BYTES,
    items_head,
    items_head_size,
)
from p2pslinger.sandbox.seeding import Seeder
from p2pslinger.sandbox.shared import pack_value, padding
from p2pslinger.sandbox.slot import Failure

Function = Callable[..., object]

#: Interruption of a run: this is not the runner any more but a child that it forked.
FORKED = "this process is a fork of the runner"

#: Scalars whose size need not be counted.
_SMALL = frozenset({float, bool, type(None)})

_SOURCE_MARK = SOURCE_MODULE.encode()


class Run:
    """One order being computed.

    Args:
        start: Global index of its first task.
        cells: The slot's shared memory, in which it says where it is.
        seeder: Seeds the random generators before each task.
        interruptions: Filled by hooks that a task may set off.
        leave: Ends the process, called with what was raised, if a task has forked and
            comes back here in the child.

    Attributes:
        index: Global index of the next task.
        deadline: Monotonic time at which it stops early.
        form: How the values are packed.
        failures: Those of the tasks that failed, packed.
    """

    def __init__(
        self,
        start: int,
        cells: memoryview,
        seeder: Seeder,
        interruptions: list[str],
        leave: Callable[[BaseException | None], None],
    ) -> None:
        self.index = start
        self.deadline = math.inf
        self.form = SCALAR_VALUES
        self.failures: list[bytes] = []
        self._start = start
        self._failed: set[int] = set()
        self._scalars: list[object] = []
        self._items: list[bytes | Pieces] = []
        self._size = 0
        self._cells = cells
        self._seeder = seeder
        self._interruptions = interruptions
        self._leave = leave

    def piece(self, function: Function, form: int, arguments: Sequence[object]) -> bool:
        """Compute tasks that follow each other; return whether there is time for more.

        Args:
            arguments: One for each task, as the shard's form has it.
        """
        first, end = self.index, self.index + len(arguments)
        plain = caller(function, form)
        self._heed_interruptions(None)  # of loading the function
        while self.index < end:
            call = self._seeder.seeded(plain)
            left = arguments[self.index - first :] if self.index > first else arguments
            if self.form == SCALAR_VALUES:
                self._call_for_scalars(call, form, left)
            else:
                self._call_for_items(call, form, left)
            self._heed_interruptions(None)
            if self._size > RUN_BYTES or time.monotonic() >= self.deadline:
                return False
        return True

    def refuse(self, failure: Failure, form: int, arguments: list[object]) -> bool:
        """Have tasks fail without a call; return whether there is room for more."""
        self._heed_interruptions(None)
        for argument in arguments:
            text = described(form, argument)
            new = replace(failure, index=self.index, arguments=text)
            self._size += self._note(new)
            self._scalars.append(None)
            self._items.append(b"")
            self.index += 1
            if self._size > RUN_BYTES:
                return False
        return True

    @property
    def is_large(self) -> bool:
        """Whether the values are too large to be copied more often than needed."""
        return self._size >= LEAST

    def values(self) -> list[bytes | memoryview]:
        """Return the values of all tasks done, packed, in parts to be joined."""
        if self.form == SCALAR_VALUES:
            return [pickle.dumps(self._scalars, 5)]
        parts: list[bytes | memoryview] = []
        at = items_head_size(len(self._items))
        for item in self._items:
            if isinstance(item, Pieces):
                item.lie_at(at)
                parts += item.pieces
            else:
                parts.append(item)
            at += len(item)
        return [items_head(self._items), *parts]

    def _call_for_scalars(
        self, call: Function, form: int, arguments: Sequence[object]
    ) -> None:
        """Compute until the end, a limit, or a value that is no small scalar."""
        cells, interruptions, clock = self._cells, self._interruptions, time.monotonic
        index, size, deadline = self.index, self._size, self.deadline
        append, small, fail = self._scalars.append, _SMALL, self._fail
        for argument in arguments:
            cells[AT] = index
            try:
                value = call(argument)
            except BaseException as error:  # noqa: BLE001 - it is the task's outcome
                size += fail(index, error, form, argument)
                value = None
            kind = type(value)
            if kind is int:
                grown = value.bit_length() >> 3  # type: ignore[union-attr]
            elif kind is str or kind is bytes:
                grown = len(value)  # type: ignore[arg-type]
            else:
                grown = 0 if kind in small else RUN_BYTES
            if grown >= RUN_BYTES:
                self._go_over_to_items()
                size += self._append_item(index, value, form, argument)
                index += 1
                break
            append(value)
            size += grown
            index += 1
            if interruptions or size > RUN_BYTES or clock() >= deadline:
                break
        self.index, self._size = index, size

    def _call_for_items(
        self, call: Function, form: int, arguments: Sequence[object]
    ) -> None:
        """Compute and pickle, until the end or a limit."""
        cells, interruptions, clock = self._cells, self._interruptions, time.monotonic
        index, size, deadline = self.index, self._size, self.deadline
        append, fail = self._items.append, self._fail
        for argument in arguments:
            cells[AT] = index
            try:
                data = encode(call(argument))
            except BaseException as error:  # noqa: BLE001 - it is the task's outcome
                size += fail(index, error, form, argument)
                data = b""
            append(data)
            index += 1
            size += len(data)
            if interruptions or size > RUN_BYTES or clock() >= deadline:
                break
        self.index, self._size = index, size

    def _go_over_to_items(self) -> None:
        self.form = ITEM_VALUES
        self._items = [
            b"" if position in self._failed else pickle.dumps(value, 5)
            for position, value in enumerate(self._scalars)
        ]
        self._scalars.clear()

    def _append_item(
        self, index: int, value: object, form: int, argument: object
    ) -> int:
        """Take a value as an item; return by how much the run has grown."""
        try:
            data = encode(value)
        except BaseException as error:  # noqa: BLE001 - it is the task's outcome
            self._items.append(b"")
            return self._fail(index, error, form, argument)
        self._items.append(data)
        return len(data)

    def _fail(
        self, index: int, error: BaseException, form: int, argument: object
    ) -> int:
        """Note a failure; return by how much the run has grown."""
        self._heed_interruptions(error)
        return self._note(failure_of(index, error, described(form, argument)))

    def _note(self, failure: Failure) -> int:
        """Keep a failure; return by how much the run has grown: the last fills it."""
        packed = pack_failure(failure)
        self.failures.append(packed)
        self._failed.add(failure.index - self._start)
        return len(packed) if len(self.failures) < FAILURES else RUN_BYTES + 1

    def _heed_interruptions(self, error: BaseException | None) -> None:
        if FORKED in self._interruptions:
            self._leave(error)
        self._interruptions.clear()


def caller(function: Function, form: int) -> Function:
    """Return what to call with one argument of a shard in this form."""
    loads = pickle.loads
    if form == STAR:
        return lambda arguments: function(*arguments)
    if form == ITEMS:
        return lambda item: function(loads(item))
    if form == CALLS:

        def call(item: bytes) -> object:
            args, kwargs = loads(item)
            return function(*args, **kwargs)

        return call
    return function


def described(form: int, argument: object) -> str:
    """Return a task's arguments, shortened: read anew, as they were before the call."""
    try:
        if form == CALLS:
            args, kwargs = pickle.loads(argument)  # type: ignore[arg-type]
            return shortened(args, kwargs)
        if form == ITEMS:
            argument = pickle.loads(argument)  # type: ignore[arg-type]
        if form == STAR:
            return shortened(tuple(argument), {})  # type: ignore[arg-type]
        return shortened((argument,), {})
    except BaseException as error:  # noqa: BLE001 - a stranger's pickle
        return f"<can't be unpacked here: {type(error).__name__}>"


class Pieces:
    """A value's item in pieces: what is large in it is not copied.

    Its arrays are outside of the pickle, for its reader to look at where they lie.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        self._buffers: list[memoryview] = []

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def lie_at(self, offset: int) -> None:
        """Hear where the item lies, and align what is outside of the pickle."""
        if self._buffers:
            self.pieces[0] = padding(offset)

    def outside(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer out of the pickle. Called by the pickler."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True  # not in one piece
        if len(raw) >= LEAST:
            self._buffers.append(raw)
        return len(raw) < LEAST

    def complete(self) -> None:
        """Put together what is outside and what is not."""
        if self._buffers:
            self.pieces = pack_value(b"".join(self.pieces), self._buffers)

    def __contains__(self, mark: bytes) -> bool:
        """Tell whether it has a mark in it, large data excepted."""
        return any(mark in bytes(one) for one in self.pieces if len(one) < LEAST)

    def write(self, data: bytes | pickle.PickleBuffer) -> None:
        """Add a piece. Called by the pickler."""
        piece = data.raw() if isinstance(data, pickle.PickleBuffer) else data
        self.pieces.append(piece)


def encode(value: object) -> bytes | Pieces:
    """Pickle a value; in pieces if it is so large that it leaves before another task.

    Raises:
        UnsendableError: It can't be pickled, or its pickle is too large.
    """
    data: bytes | Pieces
    try:
        if sys.getsizeof(value, 0) > RUN_BYTES:
            data = _in_pieces(value)
        else:
            data = pickle.dumps(value, 5)
        if _SOURCE_MARK in data:
            data = cloudpickle.dumps(value, 5)
    except Exception:  # noqa: BLE001 - whatever it is, cloudpickle may do better
        data = _encode_by_value(value)
    if len(data) > VALUE_BYTES:
        raise UnsendableError(
            f"the result is too large: {len(data):,} bytes when pickled, and at most "
            f"{VALUE_BYTES:,} can be sent; return less, or write it to a file"
        )
    return data


def _in_pieces(value: object) -> bytes | Pieces:
    pieces = Pieces()
    pickle.Pickler(pieces, 5, buffer_callback=pieces.outside).dump(value)
    pieces.complete()
    return pieces if len(pieces) > RUN_BYTES else b"".join(pieces.pieces)


def _encode_by_value(value: object) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value, 5)
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise UnsendableError(
            f"the result, of type {kind.removeprefix('builtins.')}, can't be sent "
            f"back: {error}"
        ) from error
    return data
