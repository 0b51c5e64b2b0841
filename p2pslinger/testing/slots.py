"""Slots without processes: tasks are really computed here, and take virtual time.

How long a task takes, and which tasks kill their process, hang, or come out wrong, is
said by the functions that an `InlineSlots` holds; a test may change them at any moment.
The values of a range are computed at its end, all in one turn of the loop, by the code
that real slots run.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import loads
from typing import cast

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.calls import Run
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.failures import failure_of
from p2pslinger.sandbox.frames import CELLS_BYTES, unpack_failures
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.sandbox.packages import unpack
from p2pslinger.sandbox.packed import PLAIN, STAR, unpack_items
from p2pslinger.sandbox.seeding import Seeder
from p2pslinger.sandbox.shared import hold, release_all
from p2pslinger.sandbox.slot import Exit, Order, Outcome, Slot

#: The folder of this checkout. Tracebacks travel: with it in them a seed would have
#: another trace in each.
HERE = f"{Path(__file__).parents[2]}/"

#: Virtual seconds that a task takes unless `cost` says otherwise, and that a slot takes
#: to start.
TASK, START = 0.05, 0.02

#: The signals of a task that kills its process, and of `Slot.kill`: SIGSEGV, SIGKILL.
SEGV, KILL = 11, 9

Function = Callable[..., object]


class InlineSlots:
    """The slots of one simulated peer; a `SlotSource`.

    Args:
        loop: Gives the time.

    Attributes:
        cost: Virtual seconds that a task takes, by its index in its job.
        kills: Whether a task kills its process.
        hangs: Whether a task never ends.
        lie: Turns a task's index and value into the value that is reported.
        computed: How often a task of each index was computed here.
        live: The slots that there are.
        finding: What a probe finds.
        unconfinable: Why no slot for others can be made, or "".
        unusable: Paths of interpreters that do not start.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.cost: Callable[[int], float] = lambda _: TASK
        self.kills: Callable[[int], bool] = lambda _: False
        self.hangs: Callable[[int], bool] = lambda _: False
        self.lie: Callable[[int, object], object] | None = None
        self.computed: Counter[int] = Counter()
        self.live: list[InlineSlot] = []
        self.finding = Finding(Level.STRONG, Confinement.STRONG, ())
        self.unconfinable = ""
        self.unusable: set[str] = set()
        self._made = 0

    async def probe(self) -> Finding:
        """Return how well this machine confines slots."""
        await asyncio.sleep(START)
        return self.finding

    async def start(self) -> None:
        """Do nothing: there is nothing to get ready."""

    async def slot(
        self,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        memory: int,
        confinement: Confinement = Confinement.OWN,
        interpreter: Interpreter | None = None,
    ) -> Slot:
        """Make a slot. Its memory is not limited, and it is confined by name only.

        Raises:
            UnavailableError: this kind of slot is not to be had here.
        """
        await asyncio.sleep(START)
        if confinement is not Confinement.OWN and self.unconfinable:
            raise UnavailableError(f"no slot: {self.unconfinable}")
        if interpreter is not None and interpreter.path in self.unusable:
            raise UnavailableError(f"no slot: {interpreter.path} does not start")
        self._made += 1
        slot = InlineSlot(self, self._made, on_done, on_exit, confinement)
        slot.interpreter = interpreter
        self.live.append(slot)
        return slot

    async def close(self) -> None:
        """End every slot."""
        for slot in list(self.live):
            slot.end()


@dataclass
class _Job:
    code: bytes
    seed: bytes | None
    shards: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    function: Function | None = None

    def arguments(self, number: int) -> tuple[int, Sequence[object]]:
        """Return a shard's form and its arguments, one for each task."""
        form, data = self.shards[number]
        if form in {PLAIN, STAR}:
            return form, cast("list[object]", loads(data))
        return form, unpack_items(data)


@dataclass
class _Running:
    """An order that is being computed: when each of its tasks will have ended."""

    order: Order
    since: float
    ends: list[float]


class InlineSlot:
    """One slot: see `p2pslinger.sandbox.slot.Slot`."""

    def __init__(
        self,
        source: InlineSlots,
        number: int,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        confinement: Confinement = Confinement.OWN,
    ) -> None:
        self.pid = number
        self.confinement = confinement
        #: What it is of; None: the daemon's Python.
        self.interpreter: Interpreter | None = None
        self.on_done = on_done
        self.on_exit = on_exit
        self._source = source
        self._loop = source.loop
        self._jobs: dict[int, _Job] = {}
        self._orders: deque[tuple[Order, bool]] = deque()  # and whether it is wanted
        self._running: _Running | None = None
        self._timer: asyncio.Handle | None = None
        #: What is to happen so long after the order was begun.
        self._due: tuple[float, Callable[[], None]] | None = None
        self._stopped: float | None = None
        self._used = 0.0
        self._ended = False

    # --- what its owner asks of it ------------------------------------------------

    def load(self, job: int, code: bytes, seed: bytes | None, name: str = "") -> None:
        """Take a job's function package."""
        self._jobs[job] = _Job(bytes(code), seed)

    def shard(self, job: int, number: int, form: int, data: bytes) -> None:
        """Take a shard."""
        self._jobs[job].shards[number] = (form, data)

    def share(self, job: int, digest: bytes, data: bytes) -> None:
        """Take a value that a job's tasks share."""
        hold(digest, data, (id(self), job))

    def forget(self, job: int, shards: Sequence[int] | None) -> None:
        """Free some shards of a job, or with None the job."""
        if shards is None:
            self._jobs.pop(job, None)
            release_all((id(self), job))
        elif job in self._jobs:
            for number in shards:
                self._jobs[job].shards.pop(number, None)

    def run(self, order: Order) -> None:
        """Compute an order, after those given before."""
        self._orders.append((order, True))
        self._go_on()

    def withdraw(self) -> None:
        """Take back the newest order, unless it has begun."""
        if self._orders:
            self._orders[-1] = (self._orders[-1][0], False)

    @property
    def index(self) -> int | None:
        """Global index of the task being computed now, or None between runs."""
        if self._running is None:
            return None
        elapsed = self._elapsed
        done = sum(1 for end in self._running.ends if end <= elapsed)
        return min(self._running.order.start + done, self._running.order.stop - 1)

    def suspend(self) -> None:
        """Stand still: what is computed goes on where it was."""
        if self._stopped is None:
            self._stopped = self._loop.time()
            if self._timer is not None:
                self._timer.cancel()

    def resume(self) -> None:
        """Go on."""
        if self._stopped is None:
            return
        since, self._stopped = self._stopped, None
        if self._running is not None:
            self._running.since += self._loop.time() - since
        if self._due is not None:
            self._at(*self._due)
        elif self._running is None:
            self._timer = None
            self._go_on()

    @property
    def used(self) -> float:
        """Seconds that it has computed, of which all are the processor's."""
        return self._used + (self._elapsed if self._running is not None else 0.0)

    def glimpse(self) -> None:
        """Show nothing: nothing is computed before it is reported."""

    def kill(self) -> None:
        """End; `on_exit` follows."""
        self.die(KILL)

    # --- what happens to it -------------------------------------------------------

    def die(self, signal: int) -> None:
        """End by a signal, at the task that is being computed."""
        if not self._ended:
            exit = Exit(None, signal, 0, self.index, b"")
            self.end()
            self._loop.call_soon(self.on_exit, exit)

    def end(self) -> None:
        """End, and tell nobody."""
        self._ended = True
        for job in self._jobs:
            release_all((id(self), job))
        if self._timer is not None:
            self._timer.cancel()
        if self in self._source.live:
            self._source.live.remove(self)

    # --- computing ----------------------------------------------------------------

    @property
    def _elapsed(self) -> float:
        """Seconds that the running order has been computed for."""
        assert self._running is not None
        now = self._loop.time() if self._stopped is None else self._stopped
        return now - self._running.since

    def _at(self, elapsed: float, call: Callable[[], None]) -> None:
        """Have something happen so long after the order was begun."""
        assert self._running is not None
        self._due = elapsed, call
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._running.since + elapsed, call)

    def _go_on(self) -> None:
        if self._timer is None and not self._ended and self._stopped is None:
            self._due = None
            self._timer = self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._timer = None
        if not self._orders:
            return
        order, wanted = self._orders.popleft()
        if not wanted:
            self.on_done(_outcome(order, order.start, 0.0))
            self._go_on()
            return
        source, now = self._source, self._loop.time()
        self._running = _Running(order, now, [])
        elapsed = 0.0
        for index in range(order.start, order.stop):
            if source.hangs(index):
                return  # its owner has to kill it
            elapsed += source.cost(index)
            if source.kills(index):
                self._at(elapsed, lambda: self.die(SEGV))
                return
            self._running.ends.append(elapsed)
            if elapsed >= order.slice:
                break
        self._at(elapsed, self._finish)

    def _finish(self) -> None:
        """Compute what was begun, and report it."""
        assert self._running is not None
        running, self._running, self._timer = self._running, None, None
        self._due = None
        self._used += running.ends[-1]
        chance = random.getstate()  # tasks seed it; it is the simulation's as well
        try:
            outcome = self._compute(running)
        finally:
            random.setstate(chance)
        self._source.computed.update(range(outcome.start, outcome.stop))
        self.on_done(outcome)
        self._go_on()

    def _compute(self, running: _Running) -> Outcome:
        order, left = running.order, len(running.ends)
        job = self._jobs[order.job]
        cells = memoryview(bytearray(CELLS_BYTES)).cast("B").cast("Q")
        interruptions: list[str] = []
        seeder = Seeder(cells, interruptions)
        seeder.seed = job.seed
        run = Run(order.start, cells, seeder, interruptions, lambda _: None)
        for number, low, high in order.pieces:
            form, arguments = job.arguments(number)
            part = arguments[low : min(high, low + left)]
            left -= len(part)
            if not part or not self._piece(job, run, form, part):
                break
        wall = running.ends[run.index - order.start - 1]
        return _outcome(order, run.index, wall, run)

    def _piece(
        self, job: _Job, run: Run, form: int, arguments: Sequence[object]
    ) -> bool:
        try:
            job.function = job.function or unpack(job.code).load()
        except Exception as error:  # noqa: BLE001 - whatever loading a stranger's code raises
            return run.refuse(failure_of(0, error, ""), form, list(arguments))
        return run.piece(self._told(job.function, run), form, arguments)

    def _told(self, function: Function, run: Run) -> Function:
        """Return what is called in the function's place: it, or a liar."""
        lie = self._source.lie
        if lie is None:
            return function
        indices = iter(range(run.index, run.index + (1 << 32)))
        return lambda *args, **kwargs: lie(next(indices), function(*args, **kwargs))


def _outcome(order: Order, stop: int, wall: float, run: Run | None = None) -> Outcome:
    """Return what a slot reports; without a run, that it has not begun."""
    if run is None:
        return Outcome(order.job, order.start, stop, 0, b"", (), wall, wall, b"")
    packed = memoryview(b"".join(run.failures))
    found, _ = unpack_failures(packed, len(run.failures))
    failures = tuple(
        replace(one, traceback=one.traceback.replace(HERE, "")) for one in found
    )
    values = b"".join(run.values())
    return Outcome(
        order.job, order.start, stop, run.form, values, failures, wall, wall, b""
    )
