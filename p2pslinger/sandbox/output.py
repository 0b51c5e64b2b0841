"""What a slot prints, as its daemon keeps it: the end of each run's output.

The bytes come through a pipe, runs one after the other, each followed by a mark if it
wrote anything. A task may write for ever, or write marks of its own: what is kept is
bounded all the same.
"""

from __future__ import annotations

from collections import deque

#: Bytes kept of one run: its end (limits.OUTPUT).
KEPT = 64 * 1024

#: Bytes of a run's output that are shown at once while it goes on: its end
#: (limits.GLIMPSE); and those without the end of a line that are not held back for it.
FRESH, LINE = 2048, 512


class Output:
    """Splits a slot's output by its marks, and keeps the end of each part."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._ended: deque[bytes] = deque()
        self._tail = bytearray()
        self._dropped = 0
        self._shown = 0  # bytes of the run at hand that `fresh` has returned

    def feed(self, data: bytes, runs: int) -> None:
        """Take bytes as they come out of the pipe.

        Args:
            runs: How many may have ended and not been taken. Further marks are forged,
                and are output like any other.
        """
        self._tail += data
        # The mark may lie across the border of two reads.
        search = max(0, len(self._tail) - len(data) - len(self._mark) + 1)
        while len(self._ended) < runs:
            at = self._tail.find(self._mark, search)
            if at < 0:
                break
            rest = self._tail[at + len(self._mark) :]
            del self._tail[at:]
            self._ended.append(self.rest())
            self._tail = rest
            search = 0
        self._trim(KEPT + len(self._mark))

    @property
    def ended(self) -> bool:
        """Whether the output of a whole run is here."""
        return bool(self._ended)

    def take(self) -> bytes:
        """Return the output of the oldest run that has ended, or what there is."""
        return self._ended.popleft() if self._ended else self.rest()

    def fresh(self) -> tuple[int, bytes]:
        """Return what the run at hand has written since the last call, and where.

        That is its end if it is much, and whole lines if they come.
        """
        begin = max(0, self._shown - self._dropped)
        end = self._tail.rfind(b"\n", begin) + 1
        if len(self._tail) - max(begin, end) > LINE:
            end = len(self._tail)
        begin = max(begin, end - FRESH)
        text = bytes(self._tail[begin:end]) if end > begin else b""
        self._shown = max(self._shown, self._dropped + end)
        return self._dropped + begin, text

    def rest(self) -> bytes:
        """Return what came since the last mark."""
        self._trim(KEPT)
        text = bytes(self._tail)
        if self._dropped:
            text = b"[%d bytes of output left out]\n" % self._dropped + text
        self._tail.clear()
        self._dropped = self._shown = 0
        return text

    def _trim(self, most: int) -> None:
        surplus = len(self._tail) - most
        if surplus > 0:
            self._dropped += surplus
            del self._tail[:surplus]
