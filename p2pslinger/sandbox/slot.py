"""What a slot is to whoever drives it: orders go in, outcomes and one exit come out.

A slot is one worker process that outlives the jobs it serves. Its owner gives it
functions and shards, then orders; orders may queue, and are computed in order. The
callbacks are called from the event loop, never from inside a method of the slot.

`SlotSource` is the seam: real processes behind `p2pslinger.sandbox.launcher`, and
something without processes in a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.interpreter import Interpreter


class Piece(NamedTuple):
    """Tasks of one shard: positions `low` to `high`, the last not included."""

    shard: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Order:
    """What one run computes.

    Attributes:
        job: The owner's number for the job, as given to `Slot.load`.
        start: Global index of the first task; the others follow without a gap.
        pieces: Where the arguments lie, in the order of the tasks.
        slice: Seconds after which the slot stops early. One task is always done.
    """

    job: int
    start: int
    pieces: tuple[Piece, ...]
    slice: float

    @property
    def stop(self) -> int:
        """Return the global index after the last task."""
        return self.start + sum(high - low for _, low, high in self.pieces)


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed alone.

    Attributes:
        index: Its global index.
        type: Name of the exception's class, with its module unless it is built in.
        message: The exception's text.
        traceback: Its traceback, of the task's frames only.
        arguments: The task's arguments, shortened.
        pickled: The exception itself, or nothing if it does not survive pickling.
    """

    index: int
    type: str
    message: str
    traceback: str
    arguments: str
    pickled: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run has computed: the tasks from `start` to `stop`, not included.

    Attributes:
        stop: Before the order's end if its slice was over or its values were many,
            and equal to `start` if the order was withdrawn before it began.
        form: How `values` are packed: see `p2pslinger.sandbox.packed`.
        wall: Seconds that the tasks took.
        cpu: Seconds of processor time that they took, with their children's.
        output: What was written to stdout and stderr meanwhile: its end.
    """

    job: int
    start: int
    stop: int
    form: int
    values: bytes
    failures: tuple[Failure, ...]
    wall: float
    cpu: float
    output: bytes


@dataclass(frozen=True, slots=True)
class Exit:
    """How a slot ended.

    Attributes:
        code: Its exit code, or None if a signal ended it.
        signal: The signal, or None if it ended by itself.
        peak_memory: Bytes it had in memory at most; 0 if nobody knows.
        index: Global index of the task it was at, or None between runs.
        output: What it wrote to stdout and stderr since its last outcome: its end.
    """

    code: int | None
    signal: int | None
    peak_memory: int
    index: int | None
    output: bytes


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What a run shows before it has an outcome.

    Attributes:
        index: Global index of the task being computed.
        share: How far that task is, 0 to 1, or None if it has not said.
        offset: Where `text` lies in the output of the run so far.
        text: Output that is new, whole lines if that can be; the end, if it is much.
    """

    index: int
    share: float | None
    offset: int
    text: bytes


class Slot(Protocol):
    """One worker process, as its owner sees it."""

    pid: int
    on_done: Callable[[Outcome], None]
    on_exit: Callable[[Exit], None]

    def load(self, job: int, code: bytes, seed: bytes | None, name: str = "") -> None:
        """Give a job's function package. It is unpacked at the job's first run.

        Args:
            name: What its tasks are told is their job, at most 255 bytes.
            seed: At most 255 bytes from which, with its index, every task's random
                numbers are seeded; None leaves them to chance.
        """

    def shard(self, job: int, number: int, form: int, data: bytes) -> None:
        """Give a shard of a job's arguments; it may be sent with the next run."""

    def share(self, job: int, digest: bytes, data: bytes) -> None:
        """Give a value that a job's tasks share; no bytes if another job has it."""

    def forget(self, job: int, shards: Sequence[int] | None) -> None:
        """Free some shards of a job, or with None everything about it."""

    def run(self, order: Order) -> None:
        """Compute an order, after those given before."""

    def withdraw(self) -> None:
        """Take back the newest order, unless it has begun.

        Its outcome tells which: one that has not begun stops where it starts.
        """

    @property
    def index(self) -> int | None:
        """Global index of the task being computed now, or None between runs."""

    def suspend(self) -> None:
        """Stop the process where it is, and all that it started."""

    def resume(self) -> None:
        """Let it go on where it was stopped."""

    @property
    def used(self) -> float:
        """Processor seconds that the process has used so far."""

    def glimpse(self) -> Glimpse | None:
        """Return what the run at hand shows, new output or how far it is; or None."""

    def kill(self) -> None:
        """End the process and all that it started; `on_exit` follows."""


class SlotSource(Protocol):
    """Where slots come from."""

    async def start(self) -> None:
        """Get ready to make slots."""

    async def slot(
        self,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
        confinement: Confinement = Confinement.OWN,
        interpreter: Interpreter | None = None,
    ) -> Slot:
        """Make a slot that may use `memory` bytes; of the daemon's Python if None.

        Raises:
            UnavailableError: This machine can't make one like this, or not now.
        """

    async def close(self) -> None:
        """End every slot, and what makes them."""
