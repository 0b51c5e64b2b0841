"""Messages between a program and its peer about durable jobs: what only they can do."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger.wire.records import Count, Id, Text

Handle = Annotated[int, Meta(ge=0, le=2**31)]
IdText = Annotated[str, Meta(max_length=64)]


class AwaitKept(msgspec.Struct, frozen=True, array_like=True, tag=33):
    """Ask when a durable job that was sealed is safe. Answered by `KeptBy`.

    The answer comes when all wanted keepers hold it on disk, or after `timeout` s.
    """

    handle: Handle
    timeout: Annotated[float, Meta(ge=0, le=3600)]


class KeptBy(msgspec.Struct, frozen=True, array_like=True, tag=34):
    """How many keepers hold all of a job durably, this peer included, and of how many.

    Attributes:
        have: Keepers that hold it.
        wanted: Keepers that were asked for.
        why: A sentence if some are missing, else "".
    """

    have: Count
    wanted: Count
    why: Text = ""


class ChangeJob(msgspec.Struct, frozen=True, array_like=True, tag=35):
    """Change a durable job. Answered by `Done` once it is durable here.

    Attributes:
        job: Its id, or the start of one that this peer knows.
        change: "cancel", "pause", "resume", "priority", "extend" or "forget".
        value: The priority; or for "extend" the seconds from now that it is kept.
    """

    job: IdText
    change: Annotated[str, Meta(max_length=20)]
    value: float | None = None


class GetTicket(msgspec.Struct, frozen=True, array_like=True, tag=36):
    """Ask for a job's ticket. Answered by `Ticket`.

    Attributes:
        job: Its id, or the start of one.
        owner: With the job key: its holder may do all that the submitter may.
    """

    job: IdText
    owner: bool


class Ticket(msgspec.Struct, frozen=True, array_like=True, tag=37):
    """A ticket; also told by a program, to make this peer an owner of its job.

    Told by a program it is answered by `Attached`, once the job has been found.

    Attributes:
        job: The job's id.
        grid: The grid's.
        key: The secret half of the job key, 32 bytes, or empty.
    """

    job: Id
    grid: Annotated[bytes, Meta(min_length=8, max_length=8)]
    key: Annotated[bytes, Meta(max_length=32)] = b""


OwningMessage = AwaitKept | KeptBy | ChangeJob | GetTicket | Ticket
