"""What a task can say and ask while it runs: `from p2pslinger import task`.

    task.progress(3, 10)          how far it is; its submitter sees it soon
    task.log("epoch", 3)          a line of its output, which is seen soon as well
    task.scratch / "part.npy"     a folder of its own, gone after the task
    task.index, task.job          which it is

A slot says where it is by two numbers in shared memory, and its daemon looks at them
now and then: so to say something costs the task next to nothing, and a task that says
nothing costs nobody anything. Outside of a slot, in a program that is tried at home,
`progress` does nothing, `log` prints, and `scratch` is a temporary folder.
"""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from p2pslinger.sandbox.frames import AT, IDLE, PROGRESS, PROGRESS_OF

if TYPE_CHECKING:
    from pathlib import Path

#: A share of 0 to 1, as the bits of a cell.
_SHARE = Struct("=d")
_BITS = Struct("=Q")


class Lent(NamedTuple):
    """What a slot lends its tasks.

    Attributes:
        cells: Its shared memory.
        say: Writes into its output.
        folder: Where scratch folders can be made, or "" if nowhere.
    """

    cells: memoryview
    say: Callable[[str], None]
    folder: str


class Task:
    """The task that is running in this process, if one is."""

    def __init__(self) -> None:
        self._slot: Lent | None = None
        self._job = ""
        self._scratch: tuple[int | None, Path] | None = None

    def __reduce__(self) -> str:
        """Be the same one in a slot."""
        return "task"

    def __repr__(self) -> str:
        where = f"{self.index} of {self.job}" if self.index is not None else "none"
        return f"<task: {where}>"

    # --- for tasks ----------------------------------------------------------------

    @property
    def index(self) -> int | None:
        """The task's number in its job, from 0 on; None outside of a task."""
        at = IDLE if self._slot is None else self._slot.cells[AT]
        return None if at == IDLE else at

    @property
    def job(self) -> str | None:
        """The id of its job; None outside of a task."""
        return self._job or None if self.index is not None else None

    def progress(self, done: float, total: float | None = None) -> None:
        """Say how far the task is: a share of 0 to 1, or so many `done` of `total`.

        Raises:
            ValueError: that is no share.
        """
        share = float(done) if total is None else float(done) / total if total else 1.0
        if not math.isfinite(share) or not -1e-9 <= share <= 1 + 1e-9:
            of = "" if total is None else f" of {total}"
            raise ValueError(
                f"a task can't have progressed by {done}{of}: give a share of 0 to 1, "
                "or how many are done and how many there are"
            )
        if self._slot is not None:
            cells = self._slot.cells
            (cells[PROGRESS],) = _BITS.unpack(_SHARE.pack(min(1.0, max(0.0, share))))
            cells[PROGRESS_OF] = cells[AT]

    def log(self, *values: object) -> None:
        """Put a line into the task's output, at once; `values` as for `print`."""
        text = " ".join(map(str, values))
        if self._slot is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._slot.say(f"task {self.index}: {text}\n")

    @property
    def scratch(self) -> Path:
        """A folder for this task alone, which is emptied after it.

        In a sandbox it holds 64 MiB, together with everything else that the slot
        writes; for a machine's own tasks, what the machine's disk does.

        Raises:
            OSError: this slot may not write anywhere, as at sandbox level "good".
        """
        if self._scratch is None or self._scratch[0] != self.index:
            self.clear()
            self._scratch = self.index, self._made()
        return self._scratch[1]

    # --- for the slot ---------------------------------------------------------------

    def enter(self, slot: Lent) -> None:
        """Be a slot's from now on."""
        self._slot = slot

    def begin(self, job: str) -> None:
        """Tasks of a job come next."""
        self._job = job
        if self._slot is not None:
            self._slot.cells[PROGRESS_OF] = IDLE  # or a task of that number would have

    def clear(self) -> None:
        """Remove the scratch folder, if there is one."""
        if self._scratch is not None:
            import shutil  # slow to import, and loads a random generator

            shutil.rmtree(self._scratch[1], ignore_errors=True)
            self._scratch = None

    def _made(self) -> Path:
        from pathlib import Path  # every zygote would load it, for few tasks

        if self._slot is None:
            import atexit
            import tempfile

            atexit.register(self.clear)
            return Path(tempfile.mkdtemp(prefix="slinger-task-"))
        if not self._slot.folder:
            raise OSError(
                errno.EROFS,
                "this slot has no folder to write to (sandbox level good): keep the "
                "data in memory, or have machines of level strong compute the task",
            )
        folder = Path(self._slot.folder) / f"task-{self.index}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


#: The one of this process.
task = Task()


def share_of(bits: int) -> float | None:
    """Return the share in a cell, or None if it is none: the cell is a stranger's."""
    (share,) = _SHARE.unpack(_BITS.pack(bits))
    return share if 0.0 <= share <= 1.0 else None
