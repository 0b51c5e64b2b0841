"""Where the output of tasks goes: into a pipe that the daemon reads.

A task may print, close its descriptors or replace `sys.stdout`. Before each run all is
put right again. After a run that has written something, a mark follows it through the
pipe: so the daemon knows where its output ends, also when the next run has begun.
"""

from __future__ import annotations

import fcntl
import io
import os
import select
import sys
import termios
from typing import TextIO

from p2pslinger.sandbox.frames import READS


class Stdio:
    """The three standard streams of a runner.

    Args:
        pipe: The pipe's writing end.
        mark: What to write after a run's output.
        cells: The slot's shared memory: knows how often the daemon has read.
    """

    def __init__(self, pipe: int, mark: bytes, cells: memoryview) -> None:
        self._pipe = fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 3)
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.close(pipe)
        self._mark = mark
        self._cells = cells
        self._reads = 0
        self._out: TextIO = io.StringIO()
        self._err: TextIO = io.StringIO()
        self._in: TextIO = io.StringIO()
        self._out.close()
        self._err.close()
        self._in.close()
        self.restore()

    @property
    def kept(self) -> tuple[int, int]:
        """Return the descriptors that this needs besides the standard ones."""
        return self._pipe, self._null

    def restore(self) -> None:
        """Put everything right, whatever the run before has done to it."""
        os.dup2(self._null, 0)
        os.dup2(self._pipe, 1)
        os.dup2(self._pipe, 2)
        if self._in.closed:
            self._in = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        if self._out.closed:
            self._out = _writer(1)
        if self._err.closed:
            self._err = _writer(2)
        sys.stdin, sys.stdout, sys.stderr = self._in, self._out, self._err
        self._reads = self._cells[READS]

    def end_run(self) -> bool:
        """Flush what was written, and mark its end; return whether there was any."""
        self.flush()
        # Nothing in the pipe, and nothing taken from it since the run began: nothing
        # was written. The daemon counts before it reads, so that this can't be missed.
        if self._waiting() == 0 and self._cells[READS] == self._reads:
            return False
        self._write(self._mark)
        return True

    def say(self, text: str) -> None:
        """Write at once, wherever a task has sent what it prints."""
        self._out.write(text)
        self._out.flush()

    def flush(self) -> None:
        """Have everything written that Python still holds back."""
        for stream in (sys.stdout, sys.stderr, self._out, self._err):
            try:
                stream.flush()
            except BaseException:  # noqa: BLE001 - whatever a task put there
                pass

    def _waiting(self) -> int:
        """Return how many bytes the daemon has yet to read; -1 if nobody knows."""
        try:
            raw = fcntl.ioctl(self._pipe, termios.FIONREAD, b"\0\0\0\0")
        except OSError:
            return -1
        return int.from_bytes(raw, sys.byteorder)

    def _write(self, data: bytes) -> None:
        while True:
            try:
                os.write(self._pipe, data)  # all or nothing: shorter than PIPE_BUF
                return
            except BlockingIOError:  # a task has made the pipe non-blocking
                select.select([], [self._pipe], [])


def _writer(descriptor: int) -> TextIO:
    """Open a stream that writes whole lines at once, so that a crash loses none."""
    return open(
        descriptor,
        "w",
        buffering=1,
        encoding="utf-8",
        errors="backslashreplace",
        closefd=False,
    )
