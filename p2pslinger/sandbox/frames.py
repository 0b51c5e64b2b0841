"""The bytes between daemon, zygote and runner.

A slot's socket carries frames: a kind, a length, a body. The zygote's control socket
carries records of fixed size. Beside them the daemon and the runner share three numbers
in memory. Everything from a runner is hostile input: what is read here is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from struct import error as struct_error

from p2pslinger.sandbox.packed import VALUE_BYTES
from p2pslinger.sandbox.slot import Failure


class NonsenseError(ValueError):
    """A runner sent what no runner of ours sends."""


# --- a slot's socket --------------------------------------------------------------

#: Kind, length of the body.
HEAD = Struct("<BI")

#: To the runner, each with the fixed part of its body.
LOAD, SHARD, FORGET, RUN, SHARE = range(1, 6)
#: The last two with their data as memory, whose name and size are there instead of it;
#: and memory to write large values into, which is all that the frame tells.
SHARD_BESIDE, SHARE_BESIDE, AREA = range(6, 9)
MEMORY = Struct("<QQ")
#: Job, whether tasks are seeded, lengths of the seed and of the job's id; then these
#: and the package.
LOAD_BODY = Struct("<Q?BB")
#: Job, number, form; then the data.
SHARD_BODY = Struct("<QIB")
#: Job, how many shards follow; `EVERYTHING` forgets the job.
FORGET_BODY = Struct("<QI")
FORGET_ONE = Struct("<I")
EVERYTHING = 0xFFFFFFFF
#: Job, digest; then the bytes of a shared value, or none if the slot has them.
SHARE_BODY = Struct("<Q32s")
#: Serial number, job, first task, seconds of the slice, how many pieces follow.
RUN_BODY = Struct("<QQQdI")
RUN_PIECE = Struct("<III")

#: From the runner: one kind only.
DONE = 16
#: Serial number, stop, form, whether its output ends with a mark, wall and CPU seconds,
#: how many failures follow, how many bytes of values are in the area; then the failures
#: and, if none are there, the values.
DONE_BODY = Struct("<QQB?ddIQ")

#: Failures after which a run stops early, and which an outcome has at most. With their
#: names alone, so many still fit the one message in which a result goes on.
FAILURES = 1024

#: Largest frame from a runner, bytes: one largest value on top of a full run.
FRAME_BYTES = VALUE_BYTES + (16 << 20)

# --- the zygote's control socket --------------------------------------------------

#: Kind, the slot's number, bytes of memory, niceness, the mark in its output. A request
#: to fork comes with three file descriptors: slot socket, output pipe, shared cells.
REQUEST = Struct("<BIQi16s")
FORK, KILL = range(1, 3)
MARK_BYTES = 16

#: Kind, the slot's number, process id, status, peak memory in bytes. The status is
#: waitpid's where a slot has ended, an errno where the system refused to make one. A
#: slot says itself that it is ready.
EVENT = Struct("<BIiiQ")
READY, ENDED, REFUSED = range(1, 4)

# --- shared memory ----------------------------------------------------------------

#: Cells of 8 bytes. The task being computed; the serial number of an order that must
#: not begin; how often the daemon has read from the output pipe; how far a task is, as
#: the bits of a double, and which task.
AT, WITHDRAWN, READS, PROGRESS, PROGRESS_OF = range(5)
CELL = Struct("=Q")
CELLS_BYTES = 4096

#: In `AT`: between runs.
IDLE = 2**64 - 1

# --- failures ---------------------------------------------------------------------

#: Index, lengths of the five texts.
_FAILURE = Struct("<Q5I")

#: Bytes of each: type, message, traceback, arguments, pickled exception.
TEXT_BYTES = (400, 16_000, 80_000, 4_000, 1 << 18)


def pack_failure(failure: Failure) -> bytes:
    """Encode a failure; texts that are too long lose their end."""
    words = (failure.type, failure.message, failure.traceback, failure.arguments)
    raw = [word.encode("utf-8", "backslashreplace") for word in words]
    parts = [part[:most] for part, most in zip(raw, TEXT_BYTES, strict=False)]
    parts.append(failure.pickled)
    return _FAILURE.pack(failure.index, *map(len, parts)) + b"".join(parts)


def unpack_failures(data: memoryview, count: int) -> tuple[tuple[Failure, ...], int]:
    """Decode `count` failures; return them and the offset after them.

    Raises:
        NonsenseError: The bytes are not that.
    """
    failures = []
    offset = 0
    for _ in range(count):
        failure, offset = _unpack_failure(data, offset)
        failures.append(failure)
    return tuple(failures), offset


def _unpack_failure(data: memoryview, offset: int) -> tuple[Failure, int]:
    try:
        index, *lengths = _FAILURE.unpack_from(data, offset)
    except struct_error as error:
        raise NonsenseError(f"a failure is cut short: {error}") from None
    offset += _FAILURE.size
    parts = list(_cut(data, offset, lengths))
    kind, message, trace, arguments = (str(p, "utf-8", "replace") for p in parts[:-1])
    failure = Failure(index, kind, message, trace, arguments, parts[-1])
    return failure, offset + sum(lengths)


def _cut(data: memoryview, offset: int, lengths: Iterable[int]) -> Iterable[bytes]:
    for length, most in zip(lengths, TEXT_BYTES, strict=True):
        if length > most or offset + length > len(data):
            raise NonsenseError(f"a failure's text of {length} bytes does not fit")
        yield bytes(data[offset : offset + length])
        offset += length
