"""The process behind a slot: reads orders, computes them, says what came out.

    daemon --slot socket--> runner --output pipe--> daemon
              shared cells: which task it is at

It runs beside hostile code, in one process with it. So it knows nothing worth taking,
and the daemon believes nothing it says without a check. What a task breaks in here
breaks the slot, and the zygote makes another.
"""

from __future__ import annotations

import faulthandler
import io
import mmap
import os
import resource
import signal
import socket
import sys
import time
import traceback
import types
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, NoReturn

# What tasks find here by name: a confined slot can't open our files any more.
from p2pslinger.sandbox import batches, frames, prepared, shared  # noqa: F401
from p2pslinger.sandbox.calls import FORKED, Run
from p2pslinger.sandbox.confine.confinement import Confinement, ConfinementError
from p2pslinger.sandbox.confine.recipe import Bounds, confine
from p2pslinger.sandbox.inbox import Inbox
from p2pslinger.sandbox.jobs import Job
from p2pslinger.sandbox.packages import Shelves
from p2pslinger.sandbox.refusals import expect_refusals
from p2pslinger.sandbox.seeding import Seeder
from p2pslinger.sandbox.slot import Piece
from p2pslinger.sandbox.stdio import Stdio
from p2pslinger.sandbox.task import Lent, task

#: Bytes read from the socket at once: many small frames.
READ_AHEAD = 1 << 16

#: Bytes up to which the parts of an answer are joined before they are sent.
JOINED = 1 << 16


#: Exit code of a runner that can't be confined as it must be: EX_OSERR.
UNCONFINED = 71


class Setup(NamedTuple):
    """What a runner starts with: its descriptors, and the mark in its output."""

    socket: int
    output: int
    cells: int
    mark: bytes


def run_slot(setup: Setup, bounds: Bounds, ready: Callable[[], None]) -> NoReturn:
    """Be a slot until the daemon closes the socket.

    Args:
        ready: Called when the process is confined, before it looks at anything sent.
    """
    if bounds.confinement is Confinement.OWN:
        os.setsid()  # what it starts is killed by its group or by its session
    else:
        os.setpgid(0, 0)  # starts nothing; the session's priority is the zygote's
    cells = memoryview(mmap.mmap(setup.cells, frames.CELLS_BYTES)).cast("B").cast("Q")
    os.close(setup.cells)
    stdio = Stdio(setup.output, setup.mark, cells)
    if bounds.folder:
        os.makedirs(bounds.folder, mode=0o700, exist_ok=True)
        os.environ["TMPDIR"] = bounds.folder
    # Functions of a submitter's __main__ come by value; its names are not to be ours.
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [""]
    faulthandler.enable(2)
    try:
        confine(replace(bounds, kept={*bounds.kept, setup.socket, *stdio.kept}))
    except ConfinementError as error:
        print(error, file=sys.stderr)
        os._exit(UNCONFINED)
    if bounds.confinement is not Confinement.OWN:
        expect_refusals(scratch=bool(bounds.folder))
    ready()
    sock = socket.socket(fileno=setup.socket)
    Runner(sock, cells, stdio, bounds.folder).serve()


class Runner:
    """A slot's main loop and what it keeps between runs."""

    def __init__(
        self, sock: socket.socket, cells: memoryview, stdio: Stdio, folder: str
    ) -> None:
        self._socket = sock
        self._inbox = Inbox(sock)
        self._area: int | None = None
        self._cells = cells
        self._stdio = stdio
        self._folder = folder or "/"
        self._jobs: dict[int, Job] = {}
        self._interruptions: list[str] = []
        self._seeder = Seeder(cells, self._interruptions)
        self._shelves = Shelves()
        sys.meta_path[:0] = [self._shelves, self._seeder]
        task.enter(Lent(cells, stdio.say, folder))
        os.register_at_fork(after_in_child=self._forked)

    def serve(self) -> NoReturn:
        """Read frames and act on them until the daemon closes the socket."""
        read = io.BufferedReader(self._inbox, READ_AHEAD).read
        act: dict[int, Callable[[bytes], None]] = {
            frames.RUN: self._run,
            frames.SHARD: self._shard,
            frames.LOAD: self._load,
            frames.SHARE: self._share,
            frames.SHARD_BESIDE: partial(self._beside, self._shard),
            frames.SHARE_BESIDE: partial(self._beside, self._share),
            frames.AREA: self._take_area,
            frames.FORGET: self._forget,
        }
        unpack, size = frames.HEAD.unpack, frames.HEAD.size
        while len(head := read(size)) == size:
            kind, length = unpack(head)
            act[kind](read(length))
        os._exit(0)

    def _load(self, body: bytes) -> None:
        number, seeded, length, more = frames.LOAD_BODY.unpack_from(body)
        start = frames.LOAD_BODY.size
        end = start + length
        seed = body[start:end] if seeded else None
        name = body[end : end + more].decode()
        self._jobs[number] = Job(body[end + more :], seed, name)

    def _shard(self, body: bytes, memory: memoryview | None = None) -> None:
        number, shard, form = frames.SHARD_BODY.unpack_from(body)
        if number in self._jobs:
            data = memoryview(body)[frames.SHARD_BODY.size :]
            self._jobs[number].put_shard(shard, form, memory or data)

    def _share(self, body: bytes, memory: memoryview | None = None) -> None:
        number, digest = frames.SHARE_BODY.unpack_from(body)
        data = memoryview(body)[frames.SHARE_BODY.size :]
        shared.hold(digest, memory or data, number)

    def _beside(self, act: Callable[[bytes, memoryview], None], body: bytes) -> None:
        """Act on a frame whose data has come as memory."""
        act(body, self._inbox.memory(*frames.MEMORY.unpack(body[-16:])))

    def _take_area(self, body: bytes) -> None:
        """Take memory for large values."""
        self._area = self._inbox.arrived.take(frames.MEMORY.unpack(body)[0])

    def _forget(self, body: bytes) -> None:
        number, count = frames.FORGET_BODY.unpack_from(body)
        job = self._jobs.get(number)
        if job is None:
            return
        if count == frames.EVERYTHING:
            del self._jobs[number]
            job.drop(self._shelves)
            shared.release_all(number)
        else:
            for (shard,) in frames.FORGET_ONE.iter_unpack(
                body[frames.FORGET_BODY.size :]
            ):
                job.drop_shard(shard)

    def _run(self, body: bytes) -> None:
        """Compute an order and report."""
        serial, number, start, seconds, _ = frames.RUN_BODY.unpack_from(body)
        run = Run(start, self._cells, self._seeder, self._interruptions, self._leave)
        if self._cells[frames.WITHDRAWN] == serial:
            self._report(serial, run, 0.0, 0.0)
            return
        pieces = frames.RUN_PIECE.iter_unpack(body[frames.RUN_BODY.size :])
        self._tidy()
        self._cells[frames.AT] = start
        job = self._jobs.get(number) or Job(b"", None)
        task.begin(job.name)
        job.place(self._shelves, self._seeder)
        cpu, wall = _cpu(), time.monotonic()
        run.deadline = wall + seconds
        for piece in pieces:
            if not job.compute(run, Piece(*piece)):
                break
        task.clear()
        self._report(serial, run, time.monotonic() - wall, _cpu() - cpu)

    def _report(self, serial: int, run: Run, wall: float, cpu: float) -> None:
        """Send what a run has computed, after its output."""
        values = run.values()
        beside = self._write_to_area(values) if run.is_large else 0
        marked = self._stdio.end_run()
        self._cells[frames.AT] = frames.IDLE
        count = len(run.failures)
        body = frames.DONE_BODY.pack(
            serial, run.index, run.form, marked, wall, cpu, count, beside
        )
        parts = [body, *run.failures, *(() if beside else values)]
        length = sum(map(len, parts))
        parts.insert(0, frames.HEAD.pack(frames.DONE, length))
        # One system call, unless a part is so large that joining it costs more.
        large = max(map(len, parts)) > JOINED
        for data in parts if large else (b"".join(parts),):
            self._socket.sendall(data)

    def _write_to_area(self, values: list[bytes | memoryview]) -> int:
        """Write values into the daemon's memory; return how many bytes are there."""
        area, self._area = self._area, None
        if area is None:
            return 0
        size = 0
        try:
            for part in values:
                left = memoryview(part).cast("B")
                while left:
                    written = os.pwrite(area, left, size)
                    left, size = left[written:], size + written
        except OSError:
            return 0  # more than a file may have here: it goes the other way
        finally:
            os.close(area)
        return size

    def _tidy(self) -> None:
        """Undo what a run may have left: redirections, a folder, an alarm."""
        self._stdio.restore()
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            os.chdir(self._folder)
        except OSError:
            os.chdir("/")  # a task has removed the folder: let the others find none

    def _forked(self) -> None:
        """Take note, in the child, that a task has forked."""
        self._interruptions.append(FORKED)
        self._socket.close()

    def _leave(self, error: BaseException | None) -> NoReturn:
        """End a child that a task has forked and not ended, as Python would."""
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else error.code is not None
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        self._stdio.flush()
        os._exit(code & 0xFF)


def _cpu() -> float:
    """Return the processor seconds of this process and its children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
