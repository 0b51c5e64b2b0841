"""What a slot keeps of a job: its function and its shards, unpacked when first used.

A function that can't be loaded makes each of the job's tasks fail, with the reason. It
is loaded within the first run, so that a load that kills the process is charged to a
task, as everything is.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass

from p2pslinger.sandbox.calls import Run
from p2pslinger.sandbox.failures import failure_of
from p2pslinger.sandbox.packages import Package, Shelves, unpack
from p2pslinger.sandbox.packed import PLAIN, STAR, unpack_items
from p2pslinger.sandbox.seeding import Seeder
from p2pslinger.sandbox.slot import Failure, Piece


@dataclass
class _Shard:
    form: int
    data: memoryview | None
    arguments: list[object]

    def unpacked(self) -> list[object]:
        """Return one argument for each task, as the form has it."""
        if self.data is not None:
            scalars = self.form in {PLAIN, STAR}
            unpack_data: Callable[[memoryview], list[object]]
            unpack_data = pickle.loads if scalars else _items
            self.arguments = unpack_data(self.data)
            self.data = None
        return self.arguments


class Job:
    """One job in a slot.

    Args:
        code: The function package.
        seed: What its tasks' random numbers are seeded from, or None.
        name: Its id, for its tasks.
    """

    def __init__(self, code: bytes, seed: bytes | None, name: str = "") -> None:
        self.seed = seed
        self.name = name
        self._code = code
        self._package: Package | None = None
        self._function: Callable[..., object] | None = None
        self._broken: Failure | None = None
        self._shards: dict[int, _Shard] = {}

    def put_shard(self, number: int, form: int, data: memoryview) -> None:
        """Keep a shard."""
        self._shards[number] = _Shard(form, data, [])

    def drop_shard(self, number: int) -> None:
        """Free a shard."""
        self._shards.pop(number, None)

    def drop(self, shelves: Shelves) -> None:
        """Free the modules that only this job has."""
        if self._package is not None:
            shelves.drop(self._package)

    def place(self, shelves: Shelves, seeder: Seeder) -> None:
        """Put the job's modules in place, and load its function if this is new."""
        seeder.seed = self.seed
        if self._package is not None:
            shelves.place(self._package)
        elif self._broken is None:
            try:
                self._package = unpack(self._code)
                self._code = b""
                shelves.place(self._package)
                with seeder.outside_tasks():
                    self._function = self._package.load()
            except BaseException as error:  # noqa: BLE001 - the submitter's code
                self._broken = failure_of(0, explained(error), "")

    def compute(self, run: Run, piece: Piece) -> bool:
        """Compute a piece of a run; return whether there is time for more."""
        shard = self._shards.get(piece.shard)
        try:
            if shard is None:
                raise LookupError(f"shard {piece.shard} is not in this slot")
            arguments = shard.unpacked()[piece.low : piece.high]
            if len(arguments) != piece.high - piece.low:
                raise LookupError(f"shard {piece.shard} ends before {piece.high}")
        except BaseException as error:  # noqa: BLE001 - the submitter's pickle
            failure = failure_of(0, error, "")
            return run.refuse(failure, PLAIN, [None] * (piece.high - piece.low))
        form = shard.form
        if self._function is None:
            return run.refuse(self._broken or _NEVER_LOADED, form, arguments)
        return run.piece(self._function, form, arguments)


def explained(error: BaseException) -> BaseException:
    """Say what a missing module means here."""
    if not isinstance(error, ModuleNotFoundError):
        return error
    text = (
        f"the function needs the module {error.name!r}, which {sys.executable} lacks "
        f"on the machine that was to compute it ({error}): install it there, or name "
        "its package in requires=, and only peers that have it compute"
    )
    return ModuleNotFoundError(text, name=error.name).with_traceback(
        error.__traceback__
    )


def _items(data: memoryview) -> list[object]:
    return list(unpack_items(data))


_NEVER_LOADED = Failure(0, "LookupError", "the job is not in this slot", "", "", b"")
