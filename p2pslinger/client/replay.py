"""A task computed once more on this machine: the same code, arguments and environment.

The peer hands out what the task was made of; a process of its own computes it, in a
slot as every peer makes them, or under pdb in this terminal. What came of it then is
compared with what came of it now.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from p2pslinger.client.failures import error_of
from p2pslinger.client.link import Link
from p2pslinger.client.memory import unpack_value
from p2pslinger.client.values import Form, Trust, unpack_parts, unpack_values
from p2pslinger.errors import SlingerError, UnavailableError, UsageError
from p2pslinger.ids import JobId, PeerId, short, to_text
from p2pslinger.wire.packed import unpack_items
from p2pslinger.wire.records import Failure
from p2pslinger.wire.replay import (
    RERAN_FILE,
    RERUN_FILE,
    GetTask,
    PackedTask,
    Recorded,
    Reran,
    Rerun,
)

#: What every slot finds in its environment and what decides what a task computes; the
#: slots' own environment has more (`p2pslinger.sandbox.confine.environment`).
SAME = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a task: a value, or a failure.

    Attributes:
        parts: The value's encoding; its buffers apart.
        failure: How it failed, or None.
        trust: How far the value is decoded.
        peer: Who computed it, in short; "" if that was here and now.
    """

    parts: tuple[bytes, ...]
    failure: Failure | None
    trust: Trust
    peer: str = ""

    def value(self) -> object:
        """Return the value.

        Raises:
            Exception: as which the task has failed; or that the value can't be decoded.
        """
        if self.failure is not None:
            raise error_of(self.failure, self.trust)
        return unpack_parts(self.parts, self.trust)


@dataclass(frozen=True, slots=True)
class Replay:
    """A task that was computed once more.

    Attributes:
        job: The job's name.
        index: The task's number.
        level: How its process was confined: "strong", "good" or "weak" in a sandbox;
            "own" like this machine's own work, "none" under the debugger.
        output: The end of what it printed.
        seconds: How long it took.
        before: What came of it at the time, or None if nothing has yet.
        now: What came of it here.
    """

    job: str
    index: int
    level: str
    output: str
    seconds: float
    before: Came | None
    now: Came

    @property
    def same(self) -> bool | None:
        """Whether it is the same as before; None if there was nothing before."""
        return None if self.before is None else _same(self.before, self.now)

    @property
    def value(self) -> object:
        """The value that it has returned here.

        Raises:
            Exception: what it has raised here.
        """
        return self.now.value()

    def __repr__(self) -> str:
        words = {True: "the same as", False: "not the same as", None: "nothing"}
        return (
            f"<task {self.index} of {self.job!r} replayed: {words[self.same]} before>"
        )


def replay_task(
    link: Link,
    job: str,
    index: int,
    *,
    trust: Trust,
    ours: bool,
    at_home: bool = False,
    debug: bool = False,
) -> Replay:
    """Compute a task of a job that the peer knows once more, and compare.

    Args:
        link: To this machine's peer.
        job: The job's id.
        index: The task.
        trust: How far values from other peers are decoded.
        ours: This machine has submitted the job, so that its function may be trusted.
        at_home: Like this machine's own work, instead of in the sandbox.
        debug: Under pdb in this terminal, not confined at all.

    Raises:
        UsageError: there is no such task.
        UnavailableError: something that it needs can't be had; the text says what.
    """
    if index < 0:
        raise UsageError(f"there is no task {index}: tasks are numbered from 0 on")
    answer, body = link.fetch(GetTask(job, index))
    task = cast(PackedTask, answer)
    rerun, recorded = _unpacked(task, index, body, at_home=at_home, ours=ours)
    reran, trusted = _run(rerun, debug=debug), ours and not task.needs.sandbox
    if reran.trouble:
        raise UnavailableError(f"task {index} was not replayed: {reran.trouble}")
    parts = _parts(reran.form, reran.values, 0, reran.failure)
    return Replay(
        task.name,
        index,
        reran.level,
        reran.output.decode("utf-8", "replace"),
        reran.seconds,
        None if recorded is None else _before(recorded, index, trust),
        Came(parts, reran.failure, "mine" if trusted else trust),
    )


def _unpacked(
    task: PackedTask, index: int, body: bytes, *, at_home: bool, ours: bool
) -> tuple[Rerun, Recorded | None]:
    """Put together what came with a task and what has followed."""
    left = io.BytesIO(body)
    function, shard, policy, recorded = (
        task.function, task.shard, task.policy, task.recorded,
    )  # fmt: skip
    rerun = Rerun(
        function.code or left.read(function.size),
        shard.form,
        task.data or left.read(shard.size),
        index - task.first,
        index,
        to_text(JobId(task.job)),
        task.job if policy.seeded else None,
        policy.timeout,
        task.needs.memory or None,
        {one.digest: left.read(one.size) for one in shard.shared},
        at_home,
        ours,
        function.python,
    )
    if recorded is not None and recorded.size:
        recorded = msgspec.structs.replace(recorded, values=left.read(recorded.size))
    return rerun, recorded


def _before(recorded: Recorded, index: int, trust: Trust) -> Came:
    failure = recorded.failure
    position = index - recorded.start
    parts = _parts(recorded.form, recorded.values, position, failure)
    trust = "mine" if recorded.mine else trust
    return Came(parts, failure, trust, short(PeerId(recorded.peer)))


# --- the process ----------------------------------------------------------------------


def _run(rerun: Rerun, *, debug: bool) -> Reran:
    """Have a process compute, and return what it leaves."""
    module = f"p2pslinger.sandbox.{'debug' if debug else 'replay'}"
    with tempfile.TemporaryDirectory(prefix="slinger-") as name:
        folder = Path(name)
        (folder / RERUN_FILE).write_bytes(msgspec.msgpack.encode(rerun))
        process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-X", "utf8", "-m", module, name],
            env=_environment(),
            stdin=None if debug else subprocess.DEVNULL,
        )
        try:
            process.wait()
        except KeyboardInterrupt:  # the process has heard it as well
            process.wait()
            if not debug:
                raise
        try:
            data = (folder / RERAN_FILE).read_bytes()
        except FileNotFoundError:
            code = process.returncode
            return Reran("none", trouble=f"its process ended with exit code {code}")
        return msgspec.msgpack.decode(data, type=Reran)


def _environment() -> Mapping[str, str]:
    home = str(Path(__file__).resolve().parents[2])
    return {**os.environ, **SAME, "PYTHONPATH": home}


# --- comparing ------------------------------------------------------------------------


def _parts(
    form: int, values: bytes, position: int, failure: Failure | None
) -> tuple[bytes, ...]:
    """Return the encoding of one value of a range, wherever it lay."""
    if failure is not None:
        return ()
    if form == Form.ITEMS:
        item = unpack_items(values)[position]
        return tuple(bytes(part) for part in unpack_value(item))
    scalars = unpack_values(form, values, "safe")
    return (pickle.dumps(scalars[position], 5),)


def _same(before: Came, now: Came) -> bool:
    one, other = before.failure, now.failure
    if one is not None or other is not None:
        return one is not None and other is not None and _kind(one) == _kind(other)
    if before.parts == now.parts:
        return True
    try:  # equal values need not be pickled to the same bytes
        return bool(before.value() == now.value())
    except SlingerError:
        return False  # they are more than may be decoded
    except Exception:  # noqa: BLE001  # runs the values' own code
        return False


def _kind(failure: Failure) -> tuple[str, ...]:
    """Return what two failures have in common if they are the same."""
    if failure.kind == "raised":
        return failure.type, failure.message
    return failure.kind, failure.message.split(" (peak")[0].split("; the last")[0]
