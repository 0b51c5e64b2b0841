"""A process that has a task computed once more under pdb, in this terminal.

    python -m p2pslinger.sandbox.debug FOLDER

The folder says what, and gets what came of it, as for `p2pslinger.sandbox.replay`. What
computes is a process of its own (`p2pslinger.sandbox.underpdb`), of the Python that the
task needs.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import cloudpickle

from p2pslinger.errors import UnavailableError
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.interpreters import interpreter_of
from p2pslinger.sandbox.packed import ITEM_VALUES
from p2pslinger.sandbox.replay import failure_told, read_rerun, write_reran
from p2pslinger.sandbox.underpdb import ASKED_FILE, CAME_FILE, Asked, Came
from p2pslinger.wire.replay import Reran, Rerun

#: How the process is confined.
LEVEL = "none"

#: What starts Python for a slot, and for this.
ENTRY = Path(__file__).with_name("__main__.py")


def main() -> None:
    """Compute what the folder in the arguments says."""
    # Ctrl-C is for the debugger, whose terminal this is. It is not inherited.
    signal.signal(signal.SIGINT, lambda *_: None)
    folder = Path(sys.argv[1])
    write_reran(folder, debugged(read_rerun(folder), folder))


def debugged(rerun: Rerun, folder: Path) -> Reran:
    """Compute a task under the debugger."""
    try:
        interpreter = asyncio.run(interpreter_of(rerun.python))
    except UnavailableError as error:
        return Reran(LEVEL, trouble=str(error))
    asked = Asked(
        rerun.code,
        rerun.form,
        rerun.data,
        rerun.position,
        rerun.index,
        rerun.job,
        rerun.seed,
        dict(rerun.shared),
    )
    (folder / ASKED_FILE).write_bytes(pickle.dumps(asked, 5))
    code = subprocess.call(_command(interpreter, folder), env=_environment())
    try:
        # The process could do all that this one can: there is nothing to guard here.
        came: Came = pickle.loads((folder / CAME_FILE).read_bytes())
    except FileNotFoundError:
        return Reran(LEVEL, trouble=f"its process ended with exit code {code}")
    failure = None if came.failure is None else failure_told(came.failure)
    return Reran(
        LEVEL,
        ITEM_VALUES,
        came.values,
        failure,
        seconds=came.seconds,
        trouble=came.trouble,
    )


def _command(interpreter: Interpreter | None, folder: Path) -> list[str]:
    path, lent = sys.executable, ""
    if interpreter is not None:
        path, lent = interpreter.path, str(Path(cloudpickle.__file__).parent)
    words = ["-s", "-P", "-X", "utf8", str(ENTRY), "debug", str(folder), lent]
    return [path, *words]


def _environment() -> dict[str, str]:
    """Return ours, without the place where our own packages are."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    main()
