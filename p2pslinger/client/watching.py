"""Progress as it goes on: a bar in a notebook, a line on a terminal, else a few lines.

In a notebook one display is written anew, by IPython's own means and with plain HTML.
On a terminal one line of standard error is. Anywhere else a line is written when much
has changed. It is drawn by a thread, for as long as a block runs, and nothing that
goes wrong with drawing disturbs the program.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Protocol, TextIO

from p2pslinger.client.overdue import Overdue
from p2pslinger.client.progress import Progress
from p2pslinger.client.tables import SENTENCE, bar, clean, said
from p2pslinger.wire.facts import ReasonFacts

#: Seconds between two looks.
LOOK = 0.5

#: Seconds between two lines where nobody watches a terminal, and what part of the whole
#: must have been done since.
RARELY, PART = 5.0, 0.1

#: Cells of a terminal's bar.
CELLS = 24


class Display(Protocol):
    """Where progress is shown."""

    def show(self, line: str, share: float, name: str) -> None:
        """Show how far it is."""

    def waits(self, why: str, name: str) -> None:
        """Show why no more is done; "" once there is more."""

    def close(self) -> None:
        """Show no more."""


class Terminal:
    """One line that is written anew."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def show(self, line: str, share: float, name: str) -> None:
        """Write the line."""
        full = int(share * CELLS)
        drawn = "#" * full + "-" * (CELLS - full)
        width = shutil.get_terminal_size().columns - 1  # a longer one would pile up
        self._file.write("\r\x1b[K" + f"{name} [{drawn}] {line}"[:width])
        self._file.flush()

    def waits(self, why: str, name: str) -> None:
        """Write it on a line of its own, above."""
        if why:
            self._file.write(f"\r\x1b[K{name}: waiting: {why}\n")
            self._file.flush()

    def close(self) -> None:
        """Leave the line."""
        self._file.write("\n")
        self._file.flush()


class Plain:
    """Lines, now and then."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last = (time.monotonic(), 0.0)
        self._line = ""

    def show(self, line: str, share: float, name: str) -> None:
        """Write a line if it is time, or all is done."""
        self._line = f"{name}: {line}"
        when, before = self._last
        if time.monotonic() - when >= RARELY and share - before >= PART:
            self._write(share)

    def waits(self, why: str, name: str) -> None:
        """Write it."""
        if why:
            print(f"{name}: waiting: {why}", file=self._file, flush=True)

    def close(self) -> None:
        """Write the last line."""
        self._write(1.0)

    def _write(self, share: float) -> None:
        if self._line:
            self._last = (time.monotonic(), share)
            print(self._line, file=self._file, flush=True)
            self._line = ""


class Notebook:
    """One display of IPython's, updated in place."""

    def __init__(self, display: Callable[..., object]) -> None:
        self._line = ""
        self._html = ""
        self._waits = ""
        self._handle = display(self, display_id=True)

    def show(self, line: str, share: float, name: str) -> None:
        """Update it."""
        self._line = f"{name}: {line}{self._waits}"
        waits = said(self._waits, SENTENCE)
        self._html = f"<p>{said(name)} {bar(share)}<br>{said(line)}{waits}</p>"
        update = getattr(self._handle, "update", None)
        if update is not None:
            update(self)

    def waits(self, why: str, _: str) -> None:
        """Show it with the next update."""
        self._waits = f", waiting: {why}" if why else ""

    def close(self) -> None:
        """Leave it as it is."""

    def __repr__(self) -> str:
        return self._line

    def _repr_html_(self) -> str:
        return self._html


class Watch:
    """Shows progress while a block runs.

    Args:
        progress: Tells how far it is.
        name: What it is the progress of.
        display: Where; by default wherever the program is.
        why: Asks the peer why no more is done; without it nobody is told.
    """

    def __init__(
        self,
        progress: Callable[[], Progress],
        name: str,
        display: Display | None = None,
        *,
        why: Callable[[], ReasonFacts | None] = lambda: None,
    ) -> None:
        self._overdue = Overdue(why)
        self._waits = ""
        self._progress = progress
        self._name = clean(name)  # of a job that anybody may have submitted
        self._display = display or _display()
        self._over = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(
            target=self._draw, name="slinger watch", daemon=True
        )

    def __enter__(self) -> Watch:
        self._show()  # asks nobody: nothing has been waited for yet
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._show(over=True)
        with _undisturbed():
            self._display.close()

    def _draw(self) -> None:
        while not self._over.wait(LOOK):
            self._show()

    def _show(self, *, over: bool = False) -> None:
        progress = self._progress()
        line = line_of(progress, time.monotonic() - self._began)
        waits = "" if over else self._overdue.look(progress.done)
        with _undisturbed():
            self._display.show(line, progress.fraction, self._name)
            if waits != self._waits:
                self._display.waits(waits, self._name)
        self._waits = waits


def line_of(progress: Progress, seconds: float) -> str:
    """Return progress as a line: how many, how many failed, how much longer."""
    of = f" of {progress.total:,}" if progress.total else ""
    parts = [f"{progress.done:,}{of} tasks"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.by_peer:
        peers = len(progress.by_peer)
        parts.append(f"on {peers} peer{'' if peers == 1 else 's'}")
    parts.append(f"{seconds:.0f} s")
    share = progress.fraction
    if progress.total and 0.02 < share < 1 and seconds > 2:
        parts.append(f"{seconds * (1 - share) / share:.0f} s left")
    return ", ".join(parts)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Have drawing fail in silence: a closed terminal is no reason to stop working."""
    with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
        yield


def _display() -> Display:
    """Return where the program's user looks."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    if shell is not None and type(shell).__name__ != "TerminalInteractiveShell":
        return Notebook(import_module("IPython.display").display)
    return Terminal(sys.stderr) if sys.stderr.isatty() else Plain(sys.stderr)
