"""What a program requires of the peers that compute its functions."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.wire.needs import NOTHING, Needs


def asked(
    requires: Iterable[str] | None = None,
    platform: str | None = None,
    default: Needs = NOTHING,
    *,
    memory: int | str | None = None,
    sandbox: bool | None = None,
) -> Needs:
    """Return what is required: what is given, else the default.

    Args:
        requires: Packages, as "numpy>=2".
        platform: "linux", "linux-x86_64" and the like.
        default: What holds for all that is not given.
        memory: Bytes that a task needs, or words such as "2 GiB".
        sandbox: Confine it on this machine, too.

    Raises:
        UsageError: something in it is no requirement.
    """
    needs = default
    if memory is not None:
        needs = msgspec.structs.replace(needs, memory=memory_of(memory))
    if sandbox is not None:
        needs = msgspec.structs.replace(needs, sandbox=bool(sandbox))
    if requires is None and platform is None:
        return needs
    from p2pslinger.rules.requirements import needs_of  # few programs need it

    found = needs_of(
        needs.packages if requires is None else requires,
        needs.platform if platform is None else platform,
    )
    return msgspec.structs.replace(
        needs, packages=found.packages, platform=found.platform
    )


def memory_of(asked: int | str) -> int:
    """Return the bytes of memory that a program asks for.

    Raises:
        UsageError: they are none, too few to hold Python, or more than there can be.
    """
    from p2pslinger.rules.notation import size

    try:
        found = size(asked)
    except (ValueError, OverflowError):
        text = f'memory={asked!r} is no size such as "2 GiB", or a number of bytes'
        raise UsageError(text) from None
    if found < limits.LEAST_MEMORY:
        least = limits.LEAST_MEMORY >> 20
        raise UsageError(
            f"memory={asked!r} is too little: a process with Python and a few packages "
            f"needs {least} MiB"
        )
    if found > limits.MOST_MEMORY:
        raise UsageError(f"memory={asked!r} is more than any machine has")
    return found
