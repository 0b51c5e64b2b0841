"""A task to be computed once more: as its peer hands it out, and as a process gets it.

The peer tells a program all that makes a task what it is, and what came of it; what is
large follows as the answer's body. The program computes it in a process of its own,
which reads a `Rerun` and leaves a `Reran`: files in a folder that only its user can
read.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.wire.manifest import Function, Policy
from p2pslinger.wire.needs import NOTHING, Needs
from p2pslinger.wire.owning import IdText
from p2pslinger.wire.records import (
    Count,
    Digest,
    Failure,
    Id,
    Name,
    ShardHead,
)


class GetTask(msgspec.Struct, frozen=True, array_like=True, tag=60):
    """Ask for all that makes up one task of a durable job. Answered by `PackedTask`.

    Attributes:
        job: Its id, or the start of one that this peer knows.
        index: Which task.
    """

    job: IdText
    index: Count


class Recorded(msgspec.Struct, frozen=True, array_like=True):
    """What came of a task, among the others of its range.

    Attributes:
        peer: Who computed it.
        start: The first task of the range.
        form: How `values` holds the range's values.
        values: Their bytes, or empty if they follow.
        size: How many bytes of values follow.
        failure: How the task failed, or None if it has a value.
        mine: Whose task it is, and who computed it, are trusted like this machine.
    """

    peer: Id
    start: Count
    form: Annotated[int, Meta(ge=0, le=1)]
    values: bytes
    size: Count
    failure: Failure | None
    mine: bool


class PackedTask(msgspec.Struct, frozen=True, array_like=True, tag=61):
    """One task, and what came of it.

    In the body follow, one after the other: the function's code if it is not in
    `function`, the shard's bytes if `data` is empty, the shard's shared values, and the
    recorded values if they are not in `recorded`.

    Attributes:
        job: The job's id, which its tasks' random numbers are seeded from.
        name: The job's name.
        function: The function; its code may follow.
        policy: How it was to be run.
        first: Index of the first task of its shard.
        shard: The shard that has its arguments.
        data: The shard's bytes, or empty if they follow.
        recorded: What came of it, or None if nothing has yet.
        needs: What it needed besides its function.
    """

    job: Id
    name: Name
    function: Function
    policy: Policy
    first: Count
    shard: ShardHead
    data: Annotated[bytes, Meta(max_length=limits.INLINE)]
    recorded: Recorded | None
    needs: Needs = NOTHING


ReplayMessage = GetTask | PackedTask

# --- between a program and the process that computes --------------------------------


class Rerun(msgspec.Struct, frozen=True, array_like=True):
    """What a process is to compute once more.

    Attributes:
        code: The function package.
        form: How `data` holds arguments.
        data: The task's shard.
        position: Which of the shard's tasks.
        index: The task's index in its job.
        job: The job's id, for the task.
        seed: What its random numbers are seeded from, or None.
        timeout: Seconds that it may take, or None.
        memory: Bytes of memory that it may use, or None for half of the machine's.
        shared: Shared values that it may refer to, by digest.
        at_home: Run it as this machine's own work, with its files and network.
        ours: It was submitted on this machine: a weak sandbox is enough for it.
        python: The minor version that it needs, as "3.12", or None for any.
    """

    code: bytes
    form: Annotated[int, Meta(ge=0, le=3)]
    data: bytes
    position: Count
    index: Count
    job: str
    seed: bytes | None
    timeout: float | None
    memory: int | None
    shared: dict[Digest, bytes]
    at_home: bool
    ours: bool = False
    python: Annotated[str, Meta(max_length=20)] | None = None


class Reran(msgspec.Struct, frozen=True, array_like=True):
    """What came of it.

    Attributes:
        level: How the process was confined: a level's name, "own" or "none".
        form: How `values` holds the one value.
        values: Its bytes; meaningless if it failed.
        failure: How it failed, or None.
        output: The end of what it printed; empty if that went to the terminal.
        seconds: How long it took.
        trouble: Why it was not computed at all, or "".
    """

    level: str
    form: Annotated[int, Meta(ge=0, le=1)] = 0
    values: bytes = b""
    failure: Failure | None = None
    output: bytes = b""
    seconds: float = 0.0
    trouble: str = ""


#: The names of their files.
RERUN_FILE, RERAN_FILE = "rerun", "reran"
