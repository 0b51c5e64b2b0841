"""A process that computes one task once more under pdb, in this terminal.

    python -m p2pslinger.sandbox.debug FOLDER

Nothing confines it. All else is as in a slot: the function's modules, the seeded random
numbers, and the environment, which whoever starts it has set. The debugger stops at the
function's first line, and again where an exception has left it.
"""

from __future__ import annotations

import bdb
import pdb
import pickle
import sys
import time
import traceback
from collections.abc import Callable
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
    ITEM_VALUES,
    PLAIN,
    STAR,
    items_head,
    items_head_size,
    unpack_items,
)
from p2pslinger.sandbox.replay import failure_told, read_rerun, write_reran
from p2pslinger.sandbox.seeding import Seeder
from p2pslinger.sandbox.task import Lent, task
from p2pslinger.wire.replay import Reran, Rerun

#: How its process is confined.
LEVEL = "none"


def main() -> None:
    """Compute what the folder in the arguments says."""
    folder = Path(sys.argv[1])
    sys.argv = [""]
    sys.modules["__main__"] = ModuleType("__main__")
    write_reran(folder, debugged(read_rerun(folder), folder))


def debugged(rerun: Rerun, folder: Path) -> Reran:
    """Compute a task under the debugger."""
    cells = memoryview(bytearray(CELLS_BYTES)).cast("Q")
    cells[AT] = rerun.index
    task.enter(Lent(cells, _say, str(folder)))
    task.begin(rerun.job)
    seeder, shelves = Seeder(cells, []), Shelves()
    seeder.seed = rerun.seed
    sys.meta_path[:0] = [shelves, seeder]
    for digest, data in rerun.shared.items():
        shared.hold(digest, data, rerun.index)
    argument: object = None
    began = time.monotonic()
    try:
        package = unpack(rerun.code)
        shelves.place(package)
        with seeder.outside_tasks():
            function = package.load()
        argument = _argument(rerun)
        call = seeder.seeded(caller(partial(_under_debugger, function), rerun.form))
        value = encode(call(argument))
    except bdb.BdbQuit:
        return Reran(LEVEL, trouble="the debugger was left before the task was done")
    except BaseException as error:  # noqa: BLE001 - it is the task's outcome
        text = "" if argument is None else described(rerun.form, argument)
        failure = failure_told(failure_of(rerun.index, explained(error), text))
        return Reran(LEVEL, failure=failure, seconds=time.monotonic() - began)
    return Reran(LEVEL, ITEM_VALUES, _packed(value), seconds=time.monotonic() - began)


def _say(text: str) -> None:
    print(text, end="", flush=True)


def _argument(rerun: Rerun) -> object:
    """Return the task's argument, as the shard's form has it."""
    if rerun.form in {PLAIN, STAR}:
        arguments: list[object] = pickle.loads(rerun.data)
        return arguments[rerun.position]
    return list(unpack_items(memoryview(rerun.data)))[rerun.position]


def _under_debugger(
    function: Callable[..., object], /, *args: object, **kwargs: object
) -> object:
    """Call a function; stop at its first line, and where an exception has left it."""
    debugger = pdb.Pdb()
    try:
        return debugger.runcall(function, *args, **kwargs)
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


if __name__ == "__main__":
    main()
