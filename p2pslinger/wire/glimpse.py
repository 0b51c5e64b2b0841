"""What running tasks show before they have an outcome: how far they are, new output.

Nothing of it is signed or kept, and nothing follows from it: it is for people who wait.
A volunteer tells with its heartbeat, so at a bounded rate, and only if there is
something; a keeper tells the programs that follow the job, and the job's other keepers.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits
from p2pslinger.wire.owning import Handle
from p2pslinger.wire.records import Count, Id, Number


class Glimpse(msgspec.Struct, frozen=True, array_like=True):
    """How one range goes on.

    Attributes:
        job: Its job.
        grant: The grant under which it is computed.
        start: The grant's first task.
        index: The task being computed.
        share: How far that task is, 0 to 1, or None if it does not say.
        offset: Where `text` lies in what the range has printed so far.
        text: The end of what is new in that.
    """

    job: Id
    grant: Number
    start: Count
    index: Count
    share: Annotated[float, Meta(ge=0, le=1)] | None
    offset: Annotated[int, Meta(ge=0, le=1 << 62)]
    text: Annotated[bytes, Meta(max_length=limits.GLIMPSE)]


class Glimpses(msgspec.Struct, frozen=True, array_like=True, tag=70):
    """Pushed by a volunteer to the keeper of these grants."""

    shown: Annotated[tuple[Glimpse, ...], Meta(max_length=limits.GLIMPSES)]


class Relayed(msgspec.Struct, frozen=True, array_like=True, tag=71):
    """Pushed by a keeper to those who keep or own the job with it.

    Attributes:
        volunteer: Who computes.
        shown: What it has shown.
    """

    volunteer: Id
    shown: Glimpse


class Glimpsed(msgspec.Struct, frozen=True, array_like=True, tag=62):
    """Pushed by a peer to a program that follows the job.

    Attributes:
        handle: The job.
        peer: Who computes.
        shown: What it has shown.
    """

    handle: Handle
    peer: Id
    shown: Glimpse


GlimpseMessage = Glimpses | Relayed
