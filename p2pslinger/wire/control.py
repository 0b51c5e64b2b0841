"""Messages between a program (or the command line) and its machine's peer.

They travel in the same frames as between peers, over a Unix socket that only its owner
can open. A program names its jobs by handles of its own, so that it can append
arguments before the answer to `OpenJob` has come back.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.wire.facts import JobFacts, PeerFacts, TallyFacts, WhyFacts
from p2pslinger.wire.glimpse import Glimpsed
from p2pslinger.wire.manifest import Function, Policy
from p2pslinger.wire.messages import Codec
from p2pslinger.wire.needs import NOTHING, Needs
from p2pslinger.wire.ownfacts import CheckFacts, StatusFacts
from p2pslinger.wire.owning import Handle, IdText, OwningMessage
from p2pslinger.wire.permitting import PermitMessage
from p2pslinger.wire.records import (
    Count,
    Digest,
    Failure,
    Id,
    Name,
    SharedBlobs,
    Text,
)
from p2pslinger.wire.replay import ReplayMessage
from p2pslinger.wire.resigning import ResignMessage

#: Names memory that is handed over on this machine: an inode number.
MemoryName = Annotated[int, Meta(ge=0)]


class OpenJob(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Submit a job. Answered by `Opened`.

    A function that is too big for the message follows as the request's body.

    Attributes:
        handle: What the program calls it.
        name: What people call it.
        function: What each task calls.
        policy: How.
        keepers: Of a durable job: keepers wanted besides this peer.
        keep_for: Of a durable job: seconds that it is kept, or None for the default.
        priority: Higher first among this machine's jobs.
        needs: What it needs besides the function's Python.
    """

    handle: Handle
    name: Name
    function: Function
    policy: Policy
    keepers: Annotated[int, Meta(ge=0, le=limits.KEEPERS - 1)] = 2
    keep_for: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    needs: Needs = NOTHING


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The id of a new job."""

    job: Id


class ShardIn(msgspec.Struct, frozen=True, array_like=True):
    """One shard of arguments, as the program packed it.

    Attributes:
        count: Tasks in it.
        form: How `data` holds their arguments (`p2pslinger.wire.packed`).
        data: The bytes, or empty if they came as a body.
        shared: The shared values that they refer to; this program has shared them.
    """

    count: Annotated[int, Meta(ge=1, le=limits.SHARD_TASKS)]
    form: Annotated[int, Meta(ge=0, le=3)]
    data: Annotated[bytes, Meta(max_length=limits.INLINE)]
    shared: SharedBlobs = ()


class Append(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Pushed: more arguments, numbered on from the last."""

    handle: Handle
    shards: Annotated[tuple[ShardIn, ...], Meta(max_length=limits.BATCH)]


class AppendBig(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A shard that is too big for a message: its bytes follow as the request's body.

    Answered by `Done` when the peer holds it.

    Attributes:
        handle, count, form, shared: As of any shard.
        size: Its bytes.
        memory: Names the memory that comes beside the message instead of a body, or 0.
    """

    handle: Handle
    count: Annotated[int, Meta(ge=1, le=limits.SHARD_TASKS)]
    form: Annotated[int, Meta(ge=0, le=3)]
    size: Annotated[int, Meta(ge=0, le=limits.BLOB)]
    shared: SharedBlobs = ()
    memory: MemoryName = 0


class ShareBlob(msgspec.Struct, frozen=True, array_like=True, tag=50):
    """Hold a value that tasks of this program's jobs will share.

    Its bytes follow as the request's body. Answered by `Done` when the peer holds it;
    it does so until `Unshare`, the end of the connection, or of jobs that refer to it.

    Attributes:
        digest: Its name.
        size: Its bytes.
        memory: Names the memory that comes beside the message instead of a body, or 0.
    """

    digest: Digest
    size: Annotated[int, Meta(ge=1, le=limits.BLOB)]
    memory: MemoryName = 0


class Unshare(msgspec.Struct, frozen=True, array_like=True, tag=51):
    """Pushed: nothing to come will refer to a shared value."""

    digest: Digest


class Seal(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Pushed: nothing more will be appended."""

    handle: Handle


class Withdraw(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Pushed: the tasks [start, stop) are no longer wanted."""

    handle: Handle
    start: Count
    stop: Count


class CloseJob(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Pushed: the program wants nothing more of this job; a throw-away one ends."""

    handle: Handle


class RangeOut(msgspec.Struct, frozen=True, array_like=True):
    """Accepted results of the tasks [start, stop).

    Attributes:
        start: Index of the first task.
        stop: One after the last.
        form: How `values` holds the values (`p2pslinger.wire.packed`).
        values: Their bytes, or empty if they are a blob.
        digest: The blob, or empty.
        size: Bytes of the values.
        failures: Tasks among them that failed.
        peer: Who computed them.
        mine: It was a slot of this machine, or of a peer trusted like it.
        wall: Seconds they took.
        cpu: CPU seconds.
        output: The end of what they printed.
        only: The tasks among them that count, or None if all do: for the others, other
            results were accepted.
    """

    start: Count
    stop: Count
    form: Annotated[int, Meta(ge=0, le=1)]
    values: bytes
    digest: Annotated[bytes, Meta(max_length=32)]
    size: Count
    failures: tuple[Failure, ...]
    peer: Id
    mine: bool
    wall: float
    cpu: float
    output: bytes
    only: tuple[Count, Count] | None = None


class Results(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Pushed to the program: results, in the order in which they were accepted."""

    handle: Handle
    ranges: tuple[RangeOut, ...]


class JobEnded(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Pushed to the program: no more results will come, and why.

    Attributes:
        handle: The job.
        kind: "cancelled", or whose fault it was: "usage", "unavailable".
        text: A sentence for a person.
    """

    handle: Handle
    kind: Annotated[str, Meta(max_length=40)]
    text: Text


class GetValues(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Ask for values that are a blob. Answered by `Blob`, and a body or memory.

    Attributes:
        handle: The job.
        digest: The blob.
        memory: They may come as memory.
        wanted: If not, nobody will ask for them again; answered by `Done`.
    """

    handle: Handle
    digest: Digest
    memory: bool = False
    wanted: bool = True


class Blob(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """A blob's size in bytes; its bytes follow as the answer's body, or come as memory.

    Attributes:
        size: Bytes.
        memory: Names the memory that has come beside the message, or 0.
    """

    size: Count
    memory: MemoryName = 0


class Attach(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Follow a durable job: its results come from the first on.

    Answered by `Attached`; `job` is an id, or the start of one that this peer knows.
    A job that it does not know is looked for in the grid, which takes up to
    `limits.FIND_JOB` seconds.
    """

    handle: Handle
    job: IdText


class Attached(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """The job that is followed now."""

    facts: JobFacts


class GetStatus(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Ask for this peer's state. Answered by `Status`."""


class Status(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """This peer's state."""

    facts: StatusFacts


class GetPeers(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """Ask for the peers that this one is connected to. Answered by `Peers`."""


class Peers(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """This peer first, then those that it is connected to."""

    facts: tuple[PeerFacts, ...]


class GetJobs(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """Ask for this peer's jobs, or for those whose id starts with `job`."""

    job: IdText = ""


class Jobs(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """Jobs, newest first."""

    facts: tuple[JobFacts, ...]


class GetTally(msgspec.Struct, frozen=True, array_like=True, tag=26):
    """Ask who contributed what: to all jobs, or to those whose id starts with `job`."""

    job: IdText = ""


class Tally(msgspec.Struct, frozen=True, array_like=True, tag=27):
    """Contributions, greatest first."""

    facts: tuple[TallyFacts, ...]


class CancelJob(msgspec.Struct, frozen=True, array_like=True, tag=28):
    """Cancel the job whose id starts with `job`. Answered by `Done`."""

    job: IdText


class Stop(msgspec.Struct, frozen=True, array_like=True, tag=29):
    """Shut the peer down. Answered by `Done`, before it goes."""


class GetChecks(msgspec.Struct, frozen=True, array_like=True, tag=30):
    """Ask the peer to examine itself (`slinger doctor`). Answered by `Checks`."""


class Checks(msgspec.Struct, frozen=True, array_like=True, tag=31):
    """What the peer found about itself."""

    facts: tuple[CheckFacts, ...]


class Reread(msgspec.Struct, frozen=True, array_like=True, tag=70):
    """Read anew what the owner says of other peers. Answered by `Done`."""


class GetWhy(msgspec.Struct, frozen=True, array_like=True, tag=72):
    """Ask why this peer, a job or a task waits. Answered by `Why`.

    Attributes:
        job: Id of the job, or the start of it; "" for this peer.
        task: Index of the task, or None for the job.
    """

    job: IdText = ""
    task: Count | None = None


class Why(msgspec.Struct, frozen=True, array_like=True, tag=73):
    """What it is doing, or why it waits."""

    facts: WhyFacts


class Done(msgspec.Struct, frozen=True, array_like=True, tag=32):
    """Yes, and there is nothing more to say about it."""


ControlMessage = (
    OpenJob
    | Opened
    | Append
    | AppendBig
    | ShareBlob
    | Unshare
    | Seal
    | Withdraw
    | CloseJob
    | Results
    | JobEnded
    | GetValues
    | Blob
    | Attach
    | Attached
    | GetStatus
    | Status
    | GetPeers
    | Peers
    | GetJobs
    | Jobs
    | GetTally
    | Tally
    | CancelJob
    | OwningMessage
    | ReplayMessage
    | Glimpsed
    | Stop
    | GetChecks
    | Checks
    | Reread
    | PermitMessage
    | ResignMessage
    | GetWhy
    | Why
    | Done
)

CONTROL_CODEC = Codec(ControlMessage)
