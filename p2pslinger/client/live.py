"""Output of running ranges as it is shown, and what of a finished range was not yet.

While a range is computed, the ends of what it prints come along with heartbeats; when
it is done, the end of all of it comes once more, with the result. Who shows both must
not show anything twice.
"""

from __future__ import annotations

from p2pslinger.wire.control import RangeOut
from p2pslinger.wire.glimpse import Glimpse

#: Bytes by which what was shown last is found again in the whole.
KNOWN = 256

#: Ranges that are remembered.
MOST = 1024


class Shown:
    """What was shown of each running range: its last bytes, and where they ended."""

    def __init__(self) -> None:
        self._ends: dict[tuple[bytes, int], tuple[int, bytes]] = {}

    def new(self, peer: bytes, glimpse: Glimpse) -> bytes:
        """Return what a glimpse has to show; with a remark if something was missed."""
        key = peer, glimpse.start
        at, tail = self._ends.pop(key, (0, b""))
        if not glimpse.text:
            self._ends[key] = at, tail
            return b""
        missed = glimpse.offset - at
        end = glimpse.offset + len(glimpse.text)
        joined = glimpse.text if missed else tail + glimpse.text
        self._ends[key] = end, joined[-KNOWN:]
        if len(self._ends) > MOST:
            del self._ends[next(iter(self._ends))]
        gap = b"[%d bytes of output left out]\n" % missed if missed > 0 else b""
        return gap + glimpse.text

    def rest(self, out: RangeOut) -> bytes:
        """Return what a finished range has printed and was not shown yet."""
        end, tail = self._ends.pop((out.peer, out.start), (0, b""))
        if out.output[:end].endswith(tail):
            return out.output[end:]
        at = out.output.rfind(tail)  # its beginning was left out, being too much
        return out.output if at < 0 else out.output[at + len(tail) :]
