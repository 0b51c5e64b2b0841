"""What a job needs of whoever computes it, and what a volunteer's slots can be.

A requirement is text as `pip` takes it ("numpy>=2"), in one form for each meaning
(`p2pslinger.rules.requirements`): so whoever compares two of them compares text. Only
the volunteer, which has the packages, ever takes one apart.

What a volunteer gives depends on whose job it is: others' get what its owner's
preferences leave them.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from p2pslinger import limits

#: A minor version, as "3.12".
Minor = Annotated[str, Meta(max_length=8)]
#: A system, or a system and a machine: "linux", "linux-x86_64".
Platform = Annotated[str, Meta(max_length=40)]
#: Bytes of memory of one slot.
Memory = Annotated[int, Meta(ge=0, le=limits.MOST_MEMORY)]
#: A package and its versions: "numpy>=2".
Requirement = Annotated[str, Meta(max_length=limits.REQUIREMENT)]


class Needs(msgspec.Struct, frozen=True, array_like=True):
    """What a job needs besides the Python version of its function.

    Attributes:
        packages: All of these, in one interpreter.
        platform: What its machine must be, or "" for any.
        memory: Bytes that a slot must give, and gives no more than; 0: whatever it has.
        sandbox: Also its submitter's own slots must be confined, as strangers' are.
    """

    packages: Annotated[tuple[Requirement, ...], Meta(max_length=limits.REQUIRED)] = ()
    platform: Platform = ""
    memory: Memory = 0
    sandbox: bool = False


#: What most jobs need.
NOTHING = Needs()


class Offered(msgspec.Struct, frozen=True, array_like=True):
    """One interpreter that slots can be of.

    Attributes:
        python: Its minor version.
        has: Which it meets of the requirements of open jobs.
    """

    python: Minor
    has: Annotated[tuple[Requirement, ...], Meta(max_length=limits.OFFERED)] = ()


class Offer(msgspec.Struct, frozen=True, array_like=True, tag=60):
    """Pushed by a volunteer before its first request, and whenever it has changed.

    Attributes:
        platform: Of the machine: "linux-x86_64".
        slots: What they can be, the preferred interpreter first.
        memory: Bytes that each has for others' jobs, or for confined ones.
        own: Bytes that each has for this peer's own jobs.
        sandbox: They can be confined as well as their owner requires.
    """

    platform: Platform = ""
    slots: Annotated[tuple[Offered, ...], Meta(max_length=limits.PYTHONS)] = ()
    memory: Memory = 0
    own: Memory = 0
    sandbox: bool = False
