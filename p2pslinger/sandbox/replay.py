"""A process that computes one task once more, in a slot like any other.

    python -m p2pslinger.sandbox.replay FOLDER

The folder says what, and gets what came of it (`p2pslinger.wire.replay`). The slot has
the hash seed, the environment and the seeded random numbers of every slot, and is
confined as well as this machine can, or on demand like one for its own work.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec

from p2pslinger.errors import UnavailableError
from p2pslinger.limits import INLINE, MESSAGE_TEXT, NAME, TRACEBACK_TEXT
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.interpreter import Interpreter
from p2pslinger.sandbox.interpreters import interpreter_of
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.level import Finding, Level
from p2pslinger.sandbox.packed import SCALAR_VALUES
from p2pslinger.sandbox.probe import probe
from p2pslinger.sandbox.slot import Exit, Order, Outcome, Piece, Slot
from p2pslinger.sandbox.slot import Failure as SlotFailure
from p2pslinger.wire.records import Failure
from p2pslinger.wire.replay import RERAN_FILE, RERUN_FILE, Reran, Rerun

#: What the slot calls the job, and the shard.
NUMBER = 0

#: Seconds that a killed slot has to be gone.
BURIAL = 5.0


def main() -> None:
    """Compute what the folder in the arguments says."""
    folder = Path(sys.argv[1])
    rerun = read_rerun(folder)
    write_reran(folder, asyncio.run(_replayed(rerun, folder / "scratch")))


def read_rerun(folder: Path) -> Rerun:
    """Return what is to be computed."""
    return msgspec.msgpack.decode((folder / RERUN_FILE).read_bytes(), type=Rerun)


def write_reran(folder: Path, reran: Reran) -> None:
    """Leave what came of it."""
    (folder / RERAN_FILE).write_bytes(msgspec.msgpack.encode(reran))


def refused(found: Finding, *, ours: bool) -> str:
    """Return why a task is not run in the sandbox that there is, or "" if it is.

    Args:
        found: What there is.
        ours: The job was submitted on this machine.
    """
    lacks = "; ".join(found.missing)
    if found.confinement is None:
        return lacks
    if found.level is Level.WEAK and not ours:
        return (
            "it was submitted on another machine, and this one's sandbox holds back "
            f"accidents only ({lacks}); --at-home, or at_home=True, runs it without one"
        )
    return ""


async def _replayed(rerun: Rerun, scratch: Path) -> Reran:
    confinement, level = Confinement.OWN, "own"
    if not rerun.at_home:
        found = await probe(scratch)
        why_not = refused(found, ours=rerun.ours)
        if found.confinement is None or why_not:
            return Reran("none", trouble=why_not)
        confinement, level = found.confinement, str(found.level)
    launcher = Launcher(scratch, polite=False)
    try:
        interpreter = await interpreter_of(rerun.python)
        slot = partial(_slot, launcher, confinement, interpreter)
        return await _computed(rerun, slot, level)
    except UnavailableError as error:
        return Reran(level, trouble=str(error))
    finally:
        await launcher.close()


#: Makes a slot of so much memory that calls what it is given with what comes.
MakeSlot = Callable[[Callable[[Outcome | Exit], None], int], Awaitable[Slot]]


async def _slot(
    launcher: Launcher,
    confinement: Confinement,
    interpreter: Interpreter | None,
    came: Callable[[Outcome | Exit], None],
    memory: int,
) -> Slot:
    return await launcher.slot(came, came, memory, confinement, interpreter)


async def _computed(rerun: Rerun, make: MakeSlot, level: str) -> Reran:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Outcome | Exit] = loop.create_future()

    def came(what: Outcome | Exit) -> None:
        if not answer.done():
            answer.set_result(what)

    slot = await make(came, memory_for(rerun, _half_of_memory()))
    slot.load(NUMBER, rerun.code, rerun.seed, rerun.job)
    slot.shard(NUMBER, NUMBER, rerun.form, rerun.data)
    for digest, data in rerun.shared.items():
        slot.share(NUMBER, digest, data)
    piece = Piece(NUMBER, rerun.position, rerun.position + 1)
    began = loop.time()
    slot.run(Order(NUMBER, rerun.index, (piece,), math.inf))
    late = False
    try:
        async with asyncio.timeout(rerun.timeout):
            what = await asyncio.shield(answer)
    except TimeoutError:
        late = True
        slot.kill()
        what = await asyncio.wait_for(answer, BURIAL)
    if isinstance(what, Outcome):
        slot.kill()
        return _of_outcome(what, level)
    return _of_death(rerun, what, level, late=late, seconds=loop.time() - began)


def _of_outcome(what: Outcome, level: str) -> Reran:
    failure = failure_told(what.failures[0]) if what.failures else None
    return Reran(level, what.form, what.values, failure, what.output, what.wall)


def _of_death(
    rerun: Rerun, exit: Exit, level: str, *, late: bool, seconds: float
) -> Reran:
    kind, name, how = "killed", "TaskKilledError", _how(exit)
    if late:
        kind, name = "timeout", "TaskTimeoutError"
        how = f"it ran longer than its time-out of {rerun.timeout} s"
    failure = Failure(rerun.index, kind, name, how, "", "", _host(), b"")
    return Reran(level, SCALAR_VALUES, b"", failure, exit.output, seconds)


def failure_told(one: SlotFailure) -> Failure:
    """Return a failure in the words of a result."""
    return Failure(
        one.index,
        "raised",
        one.type[:200],
        one.message[:MESSAGE_TEXT],
        one.traceback[-TRACEBACK_TEXT:],
        one.arguments[:MESSAGE_TEXT],
        _host(),
        one.pickled if len(one.pickled) <= INLINE else b"",
    )


def _how(exit: Exit) -> str:
    if exit.signal is None:
        return f"its process exited with code {exit.code}"
    try:
        name = signal.Signals(exit.signal).name
    except ValueError:
        name = f"signal {exit.signal}"
    return f"its process was killed by {name}"


def _host() -> str:
    return socket.gethostname()[:NAME]


def memory_for(rerun: Rerun, half: int) -> int:
    """Return the bytes that a task may use: a stranger's half of all at most."""
    asked = rerun.memory or half
    return asked if rerun.ours else min(asked, half)


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


if __name__ == "__main__":
    main()
