"""What tasks have printed, as it comes in: the last of it, not all there ever was."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from p2pslinger import limits
from p2pslinger.ids import short
from p2pslinger.wire.control import RangeOut

#: Bytes of output that are kept for whoever reads it late: some hundred screens of
#: each of a thousand ranges. Older ones are dropped.
KEPT = 64 * limits.MIB


@dataclass(frozen=True, slots=True)
class Output:
    """What a run of tasks has printed: the end of it, if it was much.

    Attributes:
        start: The first task.
        stop: One after the last.
        peer: Who computed them, in short.
        text: What came to standard output and standard error.
    """

    start: int
    stop: int
    peer: str
    text: str


class Outputs:
    """A job's output, numbered in the order in which it came. Does not lock."""

    def __init__(self) -> None:
        self._kept: deque[RangeOut] = deque()
        self._size = 0
        #: How many there were.
        self.end = 0

    def add(self, out: RangeOut) -> None:
        """Take what some tasks have printed; nothing, most often."""
        if not out.output or (self._kept and self._kept[-1] is out):
            return
        self._kept.append(out)
        self._size += len(out.output)
        self.end += 1
        while self._size > KEPT:
            self._size -= len(self._kept.popleft().output)

    def since(self, number: int) -> list[Output]:
        """Return those from a number on that are still here."""
        skipped = max(0, number - (self.end - len(self._kept)))
        return [_output(out) for out in list(self._kept)[skipped:]]


def _output(out: RangeOut) -> Output:
    text = out.output.decode("utf-8", "replace")
    return Output(out.start, out.stop, short(out.peer), text)
