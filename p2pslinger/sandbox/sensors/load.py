"""How much of the machine other programs use, and which of them most of all.

Two steps, because a look at every process costs milliseconds. What all processors did
is one line to read; what is certainly ours is taken off. Only if the rest is over the
limit, processes are looked at one by one: what belongs to a peer of slinger, or to a
program that is connected to one, with everything that they have started, is ours too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from typing import NamedTuple

from p2pslinger.sandbox.sensors import table
from p2pslinger.sandbox.sensors.table import Entry, Totals

#: Seconds between two looks that are too few to say anything: the kernel counts in
#: hundredths.
SHORTEST = 0.3

#: Seconds after which an earlier look says nothing about now.
STALE = 15.0

#: Files of ours that a process runs, and what it runs as.
_MODULES = {"p2pslinger", "p2pslinger.peer"}
_COMMAND, _ZYGOTE = "slinger", "p2pslinger/sandbox/__main__.py"


class Load(NamedTuple):
    """What other programs have used.

    Attributes:
        share: Part of all processors' time.
        lately: For how many seconds that was measured.
        program: Who has used most of it, or "".
        most: Which part that was.
    """

    share: float
    lately: float
    program: str
    most: float


class _Look(NamedTuple):
    """What was seen at one moment."""

    when: float
    totals: Totals
    own: float
    entries: dict[int, Entry] | None
    ours: Set[int]


class LoadMeter:
    """Measures from look to look.

    Args:
        clock: Gives the monotonic time.
        proc: Where the process table is.
        me: This process.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        proc: str = table.PROC,
        me: int | None = None,
    ) -> None:
        self._clock = clock
        self._proc = proc
        self._me = os.getpid() if me is None else me
        self._last: _Look | None = None
        self._known: dict[tuple[int, float], bool] = {}

    def measure(self, limit: float, own: float, programs: Set[int]) -> Load | None:
        """Return what other programs have used since the last look, or None.

        Args:
            limit: Up to which share nobody needs to know who it was.
            own: Processor seconds that are certainly ours so far.
            programs: Processes that are connected to us.
        """
        now, totals, last = self._clock(), table.totals(self._proc), self._last
        if totals is None:
            return None
        if last is None or now - last.when > STALE:
            self._last = _Look(now, totals, own, None, frozenset())
            return None
        whole, lately = totals.all - last.totals.all, now - last.when
        if lately < SHORTEST or whole <= 0:
            return None
        busy = totals.busy - last.totals.busy
        share = _share(busy - (own - last.own), whole)
        if share <= limit:
            self._last = _Look(now, totals, own, None, frozenset())
            return Load(share, lately, "", 0.0)
        return self._look_closely(_Look(now, totals, own, None, programs), last, share)

    def _look_closely(self, seen: _Look, last: _Look, share: float) -> Load:
        entries = table.processes(self._proc)
        ours = self._ours(entries, seen.ours)
        self._last = seen._replace(entries=entries, ours=ours)
        whole, lately = seen.totals.all - last.totals.all, seen.when - last.when
        if last.entries is None:  # nothing to compare with: next time
            return Load(share, lately, "", 0.0)
        own = sum(entries[pid].used for pid in ours)
        for pid, before in last.entries.items():
            here = entries.get(pid)
            same = here is not None and here.began == before.began
            if pid in ours if same else pid in last.ours:
                own -= before.used
        busy = seen.totals.busy - last.totals.busy
        program, most = _busiest(entries, last.entries, ours)
        return Load(_share(busy - own, whole), lately, program, _share(most, whole))

    # --- whose process it is ------------------------------------------------------

    def _ours(self, entries: dict[int, Entry], programs: Set[int]) -> set[int]:
        """Return the processes that are ours: those, and all that they have started."""
        self._known = {
            (pid, began): known
            for (pid, began), known in self._known.items()
            if pid in entries and entries[pid].began == began
        }
        ours: dict[int, bool] = dict.fromkeys(programs, True)
        for pid in entries:
            line: list[int] = []
            at = pid
            while at in entries and at not in ours and at not in line:
                line.append(at)
                if self._is_slinger(at, entries[at]):
                    break
                at = entries[at].parent
            belongs = ours.get(at, at in entries and self._is_slinger(at, entries[at]))
            ours.update(dict.fromkeys(line, belongs))
        return {pid for pid, belongs in ours.items() if belongs and pid in entries}

    def _is_slinger(self, pid: int, entry: Entry) -> bool:
        key = (pid, entry.began)
        if key not in self._known:
            words = table.arguments(pid, self._proc)
            self._known[key] = pid == self._me or is_slinger(words)
        return self._known[key]


def is_slinger(words: list[str]) -> bool:
    """Tell whether a command line is a peer's, a slot's, or the command's."""
    for i, word in enumerate(words[:8]):
        if word == "-m" and i + 1 < len(words):
            return words[i + 1] in _MODULES
        if word.endswith(_ZYGOTE):
            return True
        if i < 2 and word.rpartition("/")[2] == _COMMAND:
            return True
    return False


def _busiest(
    entries: dict[int, Entry], before: dict[int, Entry], ours: Set[int]
) -> tuple[str, float]:
    """Return which program of others has used most, and how many seconds."""
    used: dict[str, float] = {}
    for pid, entry in entries.items():
        if pid not in ours:
            old = before.get(pid)
            since = old.alone if old and old.began == entry.began else 0.0
            used[entry.name] = used.get(entry.name, 0.0) + entry.alone - since
    name = max(used, key=lambda one: used[one], default="")
    return (name, used[name]) if name and used[name] > 0 else ("", 0.0)


def _share(seconds: float, whole: float) -> float:
    return min(1.0, max(0.0, seconds / whole))
