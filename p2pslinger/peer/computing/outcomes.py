"""What a slot reports, in the words of a result: outcomes, and deaths."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from p2pslinger import limits
from p2pslinger.sandbox.slot import Exit, Outcome
from p2pslinger.sandbox.slot import Failure as SlotFailure
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.messages import Grant
from p2pslinger.wire.packed import pack_items
from p2pslinger.wire.records import Failure, RangeResult, range_name

#: Bytes of failures told in full in one result. However many tasks fail in the same way
#: (`p2pslinger.sandbox.frames.FAILURES` at most), they must fit a frame with the rest.
DETAILS = 256 * limits.KIB


@dataclass(frozen=True, slots=True)
class Finished:
    """A result, the values that are too big for it, and how a slot died, if one did."""

    result: RangeResult
    blob: bytes | None = None
    how: str = ""

    @property
    def size(self) -> int:
        """How many bytes of a message it takes, or a few more."""
        result = self.result
        failures = sum(map(_size, result.failures))
        return len(result.values) + len(result.output) + failures + 200


class Place(Protocol):
    """What a failure says about where it happened."""

    @property
    def host(self) -> str:
        """The machine's name."""

    @property
    def memory(self) -> int:
        """Bytes a slot may use."""


def finished(
    grant: Grant, outcome: Outcome, host: str, *, lasting: bool = True
) -> Finished:
    """Return the result of a range that a slot has computed, perhaps not to its end.

    Args:
        grant: The range as it was granted.
        outcome: What the slot has reported.
        host: This machine's name.
        lasting: Its job is durable: large values are named by what they are, so that
            everyone can check them. Else they go over one connection, which proves
            whose they are, and what range they are of is name enough.
    """
    values, digest, blob = outcome.values, b"", None
    if len(values) > limits.INLINE:
        blob, values = values, b""
        place = (outcome.start, outcome.stop)
        name = range_name(grant.job, grant.grant, *place)
        digest = blob_digest(blob) if lasting else name
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
        _failures(outcome.failures, host),
        False,
        outcome.wall,
        outcome.cpu,
        outcome.output[-limits.OUTPUT :],
    )
    return Finished(result, blob)


def batches(results: Sequence[Finished]) -> Iterator[list[Finished]]:
    """Part results into batches, each for one signature and one message."""
    part: list[Finished] = []
    size = 0
    for one in results:
        full = size + one.size > limits.ANSWER or len(part) >= limits.SIGNED_RANGES
        if part and (full or one.blob is not None):  # a body is as large as a blob
            yield part
            part, size = [], 0
        part.append(one)
        size += one.size
    if part:
        yield part


def died(
    grant: Grant, exit: Exit, killed: str, place: Place, timeout: float | None
) -> Finished:
    """Return the result for the one task under which a slot has died."""
    index = grant.start
    if exit.index is not None and grant.start <= exit.index < grant.stop:
        index = exit.index
    if killed == "timeout":
        kind, type_ = "timeout", "TaskTimeoutError"
        how = f"it ran longer than its time-out of {timeout} s"
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


def _failures(failures: tuple[SlotFailure, ...], host: str) -> tuple[Failure, ...]:
    """Return failures in a result's words; of the last of very many only the names."""
    told: list[Failure] = []
    room = DETAILS
    for one in failures:
        full = _failure(one, host)
        size = _size(full)
        if size > room:
            full = msgspec.structs.replace(
                full, traceback="", arguments="", pickled=b"", message=one.message[:80]
            )
            size = 0
        room -= size
        told.append(full)
    return tuple(told)


def _size(one: Failure) -> int:
    """Return how many bytes of a message a failure takes, or a few more."""
    texts = (one.type, one.message, one.traceback, one.arguments, one.host)
    return sum(len(text.encode()) for text in texts) + len(one.pickled) + 50


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
