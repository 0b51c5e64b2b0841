"""A slot that is a process: the daemon's end of its socket, its pipe and its cells.

    SlotProcess --frames--> runner        (functions, shards, orders)
    SlotProcess <--frames-- runner        (outcomes)
    SlotProcess <---pipe--- runner        (stdout and stderr)
    SlotProcess <---cells-- runner        (the task it is at)

What comes back is hostile input. It is never unpickled here; it must be framed well and
answer the oldest order; otherwise the slot is killed. The cells are read like a file
and not mapped, because whoever truncates a mapped file kills its readers.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from p2pslinger.limits import SECONDS
from p2pslinger.sandbox import frames
from p2pslinger.sandbox.lending import Lending
from p2pslinger.sandbox.link import Link
from p2pslinger.sandbox.output import Output
from p2pslinger.sandbox.packed import ITEM_VALUES
from p2pslinger.sandbox.reins import Reins
from p2pslinger.sandbox.slot import Exit, Glimpse, Order, Outcome
from p2pslinger.sandbox.task import share_of

#: Bytes read from the output pipe at once: its capacity on Linux.
PIPE = 1 << 16

#: Reads after which a full pipe is empty, if nobody writes meanwhile: pipes have a
#: mebibyte at most (fs.pipe-max-size).
PIPE_READS = 32

#: Seconds between a process's end and the end of its socket. Longer only if something
#: that it started is still dying.
LAST_WORDS = 1.0


class Ends(NamedTuple):
    """What the daemon shares with a runner, besides its socket.

    Attributes:
        output: Reading end of the output pipe.
        cells: The shared memory.
        mark: What ends each run's output.
    """

    output: int
    cells: int
    mark: bytes


class SlotProcess:
    """One runner. Implements `p2pslinger.sandbox.slot.Slot`.

    Args:
        ends: This closes them.
        kill: Has the zygote kill the process and all that it started.
        lends: Bytes that it may get as memory, in all.

    Attributes:
        link: The protocol for the slot's socket.
        lent: Memory that it gets and gives besides.
        gone: Done when the process has ended and everything here is closed.
    """

    def __init__(
        self,
        ends: Ends,
        *,
        on_done: Callable[[Outcome], None],
        on_exit: Callable[[Exit], None],
        kill: Callable[[], None],
        lends: float = math.inf,
    ) -> None:
        self.pid = 0
        self.on_done = on_done
        self.on_exit = on_exit
        self.link = Link(self._take_frame, self._lost)
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._orders: deque[tuple[int, Order]] = deque()
        self._serial = 0
        self.lent = Lending(self.link, lends)
        self._ends = ends
        self._output = Output(ends.mark)
        self._reads = 0
        self._kill = kill
        self._silent = False
        self._ended: tuple[int, int] | None = None
        self._reins: Reins | None = None
        self._put(frames.AT, frames.IDLE)
        self._loop.add_reader(ends.output, self._read_output)

    # --- orders -------------------------------------------------------------------

    def load(self, job: int, code: bytes, seed: bytes | None, name: str = "") -> None:
        """Give a job's function package."""
        words = seed or b"", name.encode()
        head = frames.LOAD_BODY.pack(job, seed is not None, *map(len, words))
        self.link.hold(frames.LOAD, head + b"".join(words), code)

    def shard(self, job: int, number: int, form: int, data: bytes) -> None:
        """Give a shard of a job's arguments."""
        head = frames.SHARD_BODY.pack(job, number, form)
        self.lent.send(frames.SHARD, frames.SHARD_BESIDE, head, data)

    def share(self, job: int, digest: bytes, data: bytes) -> None:
        """Give a value that a job's tasks share; no bytes if another job has it."""
        head = frames.SHARE_BODY.pack(job, digest)
        self.lent.send(frames.SHARE, frames.SHARE_BESIDE, head, data)

    def forget(self, job: int, shards: Sequence[int] | None) -> None:
        """Free some shards of a job, or with None everything about it."""
        if shards is None:
            self.link.send(
                frames.FORGET, frames.FORGET_BODY.pack(job, frames.EVERYTHING)
            )
        else:
            numbers = b"".join(map(frames.FORGET_ONE.pack, shards))
            head = frames.FORGET_BODY.pack(job, len(shards))
            self.link.hold(frames.FORGET, head, numbers)

    def run(self, order: Order) -> None:
        """Compute an order, after those given before."""
        self._serial += 1
        self._orders.append((self._serial, order))
        head = frames.RUN_BODY.pack(
            self._serial, order.job, order.start, order.slice, len(order.pieces)
        )
        pieces = b"".join(frames.RUN_PIECE.pack(*piece) for piece in order.pieces)
        self.lent.offer_area()
        self.link.send(frames.RUN, head, pieces)

    def withdraw(self) -> None:
        """Take back the newest order, unless it has begun."""
        if self._orders and not self.gone.done():
            self._put(frames.WITHDRAWN, self._orders[-1][0])

    @property
    def index(self) -> int | None:
        """Global index of the task being computed now, or None between runs."""
        if self.gone.done():
            return None
        at = self._get(frames.AT)
        ordered = any(order.start <= at < order.stop for _, order in self._orders)
        return at if ordered else None

    def glimpse(self) -> Glimpse | None:
        """Return what the run at hand shows, new output or how far it is; or None."""
        index = self.index
        if index is None:
            return None
        share = None
        if self._get(frames.PROGRESS_OF) == index:
            share = share_of(self._get(frames.PROGRESS))
        if self._output.ended:  # its outcome is on its way
            return None
        offset, text = self._output.fresh()
        if not text and share is None:
            return None
        return Glimpse(index, share, offset, text)

    def kill(self) -> None:
        """End the process and all that it started; `on_exit` follows."""
        if self._ended is None:
            self._kill()

    def suspend(self) -> None:
        """Stop the process where it is."""
        if self._ended is None:
            self._held().stop()

    def resume(self) -> None:
        """Let it go on."""
        if self._ended is None and self._reins is not None:
            self._reins.go()

    @property
    def used(self) -> float:
        """Processor seconds that the process has used so far."""
        return self._held().used()

    def _held(self) -> Reins:
        if self._reins is None:
            self._reins = Reins(self.pid)
        return self._reins

    # --- what the launcher tells --------------------------------------------------

    def ended(self, status: int, peak: int) -> None:
        """Take note that the process has ended, with waitpid's status."""
        self._ended = status, peak
        if self._silent:
            self._finish()
        else:
            self._loop.call_later(LAST_WORDS, self.link.abort)

    def last_words(self) -> str:
        """Return what a process that never was ready has said about it."""
        while self._read_output():
            pass
        return self._output.rest().decode("utf-8", "replace").strip()

    def discard(self) -> None:
        """Close everything; `on_exit` will not be called."""
        if not self.gone.done():
            self._loop.remove_reader(self._ends.output)
            os.close(self._ends.output)
            os.close(self._ends.cells)
            self.lent.close()
            if self._reins is not None:
                self._reins.close()
            self.gone.set_result(None)
        self.link.abort()

    # --- inside -------------------------------------------------------------------

    def _lost(self) -> None:
        """Take note that nothing more will come, and see that the process ends."""
        self._silent = True
        if self._ended is not None:
            self._finish()
        else:
            self.kill()

    def _take_frame(self, kind: int, body: memoryview) -> None:
        """Take an outcome.

        Raises:
            NonsenseError: It is none, or not the answer to the oldest order.
        """
        if kind != frames.DONE or len(body) < frames.DONE_BODY.size:
            raise frames.NonsenseError(f"a frame of kind {kind}, {len(body)} bytes")
        fixed = frames.DONE_BODY.unpack_from(body)
        serial, stop, form, marked, wall, cpu, count, beside = fixed
        order = self._due(serial)
        rest = body[frames.DONE_BODY.size :]
        failures, end = frames.unpack_failures(rest, count)
        outcome = Outcome(
            job=order.job,
            start=order.start,
            stop=stop,
            form=form,
            values=self.lent.values(rest[end:], beside),
            failures=failures,
            wall=wall,
            cpu=cpu,
            output=self._output_of_run() if marked else b"",
        )
        _check(outcome, order)
        self._orders.popleft()
        self.on_done(outcome)

    def _due(self, serial: int) -> Order:
        if not self._orders or self._orders[0][0] != serial:
            raise frames.NonsenseError(
                f"an outcome of order {serial}, which is not due"
            )
        return self._orders[0][1]

    def _output_of_run(self) -> bytes:
        """Return the output of the run that has ended: all of it is in the pipe."""
        for _ in range(PIPE_READS):
            if self._output.ended or not self._read_output():
                break
        return self._output.take()

    def _read_output(self) -> bool:
        """Read once from the pipe; return whether there was anything."""
        # Counted before it happens: see `p2pslinger.sandbox.stdio`.
        self._reads += 1
        self._put(frames.READS, self._reads)
        try:
            data = os.read(self._ends.output, PIPE)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._ends.output)
        self._output.feed(data, len(self._orders))
        return bool(data)

    def _get(self, cell: int) -> int:
        """Read a cell; one that is not there says what nobody means."""
        size = frames.CELL.size
        raw = os.pread(self._ends.cells, size, cell * size)
        return frames.CELL.unpack(raw)[0] if len(raw) == size else frames.IDLE

    def _put(self, cell: int, value: int) -> None:
        os.pwrite(self._ends.cells, frames.CELL.pack(value), cell * frames.CELL.size)

    def _finish(self) -> None:
        """Tell the owner how the process ended."""
        if self.gone.done() or self._ended is None:
            return
        for _ in range(PIPE_READS):
            if not self._read_output():
                break
        status, peak = self._ended
        code = os.waitstatus_to_exitcode(status)
        ended = Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            peak_memory=peak,
            index=self.index,
            output=self._output.rest(),
        )
        self.discard()
        self.on_exit(ended)


def _check(outcome: Outcome, order: Order) -> None:
    """See that an outcome is possible."""
    done = range(order.start, outcome.stop)
    failed = {failure.index for failure in outcome.failures}
    times = (outcome.wall, outcome.cpu)
    if (
        not order.start <= outcome.stop <= order.stop
        or not all(index in done for index in failed)
        or len(failed) < len(outcome.failures)
        or len(failed) > frames.FAILURES
        or not all(0 <= seconds <= SECONDS for seconds in times)  # no NaN, no infinity
        or outcome.form > ITEM_VALUES
    ):
        raise frames.NonsenseError("an outcome that can't be of the order that is due")
