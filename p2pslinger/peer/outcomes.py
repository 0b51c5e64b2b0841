"""What a slot reports, in the words of a result: outcomes, and deaths."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Protocol

from blake3 import blake3

from p2pslinger import limits
from p2pslinger.peer.assignments import JobHere
from p2pslinger.sandbox.slot import Exit, Outcome
from p2pslinger.sandbox.slot import Failure as SlotFailure
from p2pslinger.wire.messages import Grant
from p2pslinger.wire.packed import pack_items
from p2pslinger.wire.records import Failure, RangeResult


@dataclass(frozen=True, slots=True)
class Finished:
    """A result, the values that are too big for it, and how a slot died, if one did."""

    result: RangeResult
    blob: bytes | None = None
    how: str = ""


class Place(Protocol):
    """What a failure says about where it happened."""

    @property
    def host(self) -> str:
        """The machine's name."""

    @property
    def memory(self) -> int:
        """Bytes a slot may use."""


def finished(grant: Grant, outcome: Outcome, host: str) -> Finished:
    """Return the result of a range that a slot has computed, perhaps not to its end."""
    values, digest, blob = outcome.values, b"", None
    if len(values) > limits.INLINE:
        digest, blob, values = blake3(values).digest(), values, b""
    result = RangeResult(
        grant.job,
        grant.grant,
        (grant.start, grant.stop),
        grant.mac,
        outcome.start,
        outcome.stop,
        outcome.form,
        values,
        digest,
        len(outcome.values),
        tuple(_failure(one, host) for one in outcome.failures),
        False,
        outcome.wall,
        outcome.cpu,
        outcome.output[-limits.OUTPUT :],
    )
    return Finished(result, blob)


def died(grant: Grant, exit: Exit, killed: str, place: Place, job: JobHere) -> Finished:
    """Return the result for the one task under which a slot has died."""
    index = grant.start
    if exit.index is not None and grant.start <= exit.index < grant.stop:
        index = exit.index
    if killed == "timeout":
        kind, type_ = "timeout", "TaskTimeoutError"
        how = f"it ran longer than its time-out of {job.manifest.policy.timeout} s"
    else:
        kind, type_, how = "killed", "TaskKilledError", _how(exit, place.memory)
    tail = exit.output[-2000:].decode("utf-8", "replace").strip()
    message = f"{how}; the last it printed was:\n{tail}" if tail else how
    failure = Failure(index, kind, type_, message, "", "", place.host, b"")
    values = pack_items([b""])
    result = RangeResult(
        grant.job,
        grant.grant,
        (grant.start, grant.stop),
        grant.mac,
        index,
        index + 1,
        1,
        values,
        b"",
        len(values),
        (failure,),
        True,
        0.0,
        0.0,
        exit.output[-limits.OUTPUT :],
    )
    return Finished(result, None, how)


def _how(exit: Exit, memory: int) -> str:
    peak = f"{exit.peak_memory / limits.MIB:.0f} MiB"
    if exit.signal is not None:
        try:
            name = signal.Signals(exit.signal).name
        except ValueError:
            name = f"signal {exit.signal}"
        how = f"its process was killed by {name}"
    else:
        how = f"its process exited with code {exit.code}"
    return f"{how} (peak memory {peak} of {memory / limits.MIB:.0f} MiB allowed)"


def _failure(one: SlotFailure, host: str) -> Failure:
    return Failure(
        one.index,
        "raised",
        one.type[:200],
        one.message[: limits.MESSAGE_TEXT],
        one.traceback[-limits.TRACEBACK_TEXT :],
        one.arguments[: limits.MESSAGE_TEXT],
        host[: limits.NAME],
        one.pickled if len(one.pickled) <= limits.INLINE else b"",
    )
