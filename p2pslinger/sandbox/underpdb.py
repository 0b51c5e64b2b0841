"""The process in which a task is computed once more under pdb, in this terminal.

Nothing confines it. All else is as in a slot: the function's modules, the seeded random
numbers, and the environment, which whoever starts it has set. The debugger stops at the
function's first line, and again where an exception has left it.

Like a slot it may be of another Python than ours, so it imports nothing that has to be
installed. `p2pslinger.sandbox.debug` starts it, and leaves in a folder what to compute.
"""

from __future__ import annotations

import bdb
import pdb
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType

from p2pslinger.sandbox import shared
from p2pslinger.sandbox.calls import Pieces, caller, described, encode
from p2pslinger.sandbox.failures import failure_of
from p2pslinger.sandbox.frames import AT, CELLS_BYTES
from p2pslinger.sandbox.jobs import explained
from p2pslinger.sandbox.packages import Shelves, unpack
from p2pslinger.sandbox.packed import (
    PLAIN,
    STAR,
    items_head,
    items_head_size,
    unpack_items,
)
from p2pslinger.sandbox.seeding import Seeder
from p2pslinger.sandbox.slot import Failure
from p2pslinger.sandbox.task import Lent, task

#: Files in the folder: what to compute, and what came of it.
ASKED_FILE, CAME_FILE = "asked.pickle", "came.pickle"


@dataclass(frozen=True)
class Asked:
    """What to compute: see `p2pslinger.wire.replay.Rerun`."""

    code: bytes
    form: int
    data: bytes
    position: int
    index: int
    job: str
    seed: bytes | None
    shared: dict[bytes, bytes]


@dataclass(frozen=True)
class Came:
    """What came of it.

    Attributes:
        values: The value, as the values of a range of one.
        failure: How the task failed, or None.
        seconds: How long it took.
        trouble: Why it was not computed to its end, or "".
    """

    values: bytes = b""
    failure: Failure | None = None
    seconds: float = 0.0
    trouble: str = ""


def main() -> None:
    """Compute what the folder in the arguments says."""
    folder = sys.argv[2]
    sys.argv = [""]
    sys.modules["__main__"] = ModuleType("__main__")
    asked = pickle.loads((Path(folder) / ASKED_FILE).read_bytes())
    came = debugged(asked, folder)
    (Path(folder) / CAME_FILE).write_bytes(pickle.dumps(came, 5))


def debugged(asked: Asked, folder: str) -> Came:
    """Compute a task under the debugger."""
    cells = memoryview(bytearray(CELLS_BYTES)).cast("Q")
    cells[AT] = asked.index
    task.enter(Lent(cells, _say, folder))
    task.begin(asked.job)
    seeder, shelves = Seeder(cells, []), Shelves()
    seeder.seed = asked.seed
    sys.meta_path[:0] = [shelves, seeder]
    for digest, data in asked.shared.items():
        shared.hold(digest, data, asked.index)
    argument: object = None
    began = time.monotonic()
    try:
        package = unpack(asked.code)
        shelves.place(package)
        with seeder.outside_tasks():
            function = package.load()
        argument = _argument(asked)
        call = seeder.seeded(caller(partial(_under_debugger, function), asked.form))
        value = encode(call(argument))
    except bdb.BdbQuit:
        return Came(trouble="the debugger was left before the task was done")
    except BaseException as error:  # noqa: BLE001 - it is the task's outcome
        text = "" if argument is None else described(asked.form, argument)
        failure = failure_of(asked.index, explained(error), text)
        return Came(failure=failure, seconds=time.monotonic() - began)
    return Came(_packed(value), seconds=time.monotonic() - began)


def _say(text: str) -> None:
    print(text, end="", flush=True)


def _argument(asked: Asked) -> object:
    """Return the task's argument, as the shard's form has it."""
    if asked.form in {PLAIN, STAR}:
        arguments: list[object] = pickle.loads(asked.data)
        return arguments[asked.position]
    return list(unpack_items(memoryview(asked.data)))[asked.position]


class _Debugger(pdb.Pdb):
    """The debugger; its own way to call a function hides that it was left."""

    left = False

    def set_quit(self) -> None:
        """Take note of it."""
        self.left = True
        super().set_quit()


def _under_debugger(
    function: Callable[..., object], /, *args: object, **kwargs: object
) -> object:
    """Call a function; stop at its first line, and where an exception has left it."""
    debugger = _Debugger()
    try:
        value: object = debugger.runcall(function, *args, **kwargs)
        if debugger.left:
            raise bdb.BdbQuit
        return value
    except bdb.BdbQuit:
        raise
    except BaseException as error:
        error.__traceback__ = _of_the_task(error.__traceback__)
        traceback.print_exception(error, file=sys.stdout)
        print("It has raised this; `q` ends the debugger.")
        debugger.reset()
        debugger.interaction(None, error.__traceback__)
        raise


def _of_the_task(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our frames and the debugger's."""
    while trace is not None and trace.tb_next is not None:
        if trace.tb_frame.f_code.co_filename not in {__file__, bdb.__file__}:
            break
        trace = trace.tb_next
    return trace


def _packed(value: bytes | Pieces) -> bytes:
    """Return a value as the values of a range of one."""
    if isinstance(value, Pieces):
        value.lie_at(items_head_size(1))
        parts = value.pieces
    else:
        parts = [value]
    return b"".join((items_head([value]), *parts))
