"""When a process gives up what it could do.

    zygote   settle    once: the scratch folder, and the user, of a sandbox of its own
    runner   confine   before its first task: everything else

The machine's own work gets limits only, listed here; what confines the work of others
is in `p2pslinger.sandbox.confine.others`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from p2pslinger.sandbox.confine import priority, privileges, rlimits
from p2pslinger.sandbox.confine.confinement import Confinement, ConfinementError
from p2pslinger.sandbox.confine.kinship import adopt_orphans, die_with_parent

#: Name of a means, and how to take it.
Means = tuple[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a runner is confined to.

    Attributes:
        memory: Bytes of private data.
        nice: By how much to be nicer than the zygote, if not polite.
        parent: Process id of the zygote.
        folder: Where it may write, or "".
        polite: Take the idle class of processor and disk.
        user: The user id to take, or 0 to keep the zygote's.
        searching: Only root may enter where Python lies.
        readable: Paths that it may read.
        devices: Devices that it may read and write.
        kept: Descriptors that are its own.
    """

    confinement: Confinement
    memory: int
    nice: int
    parent: int
    folder: str = ""
    polite: bool = False
    user: int = 0
    searching: bool = False
    readable: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    kept: Collection[int] = ()


def settle(confinement: Confinement, user: int) -> None:
    """Make a zygote's sandbox its own, and keep no right over it.

    Raises:
        ConfinementError: A means fails.
    """
    if confinement is Confinement.STRONG:
        from p2pslinger.sandbox.confine import scratch

        _take(("scratch folder", lambda: scratch.mount_scratch(user or os.getuid())))
        leave = (lambda: privileges.become(user)) if user else privileges.hold
        _take(("privileges", leave))


def confine(bounds: Bounds) -> None:
    """Take every means, as a runner just forked.

    Raises:
        ConfinementError: A means fails that must hold.
    """
    for means in _means(bounds):
        try:
            _take(means)
        except ConfinementError:
            if bounds.confinement.full:
                raise


def _take(means: Means) -> None:
    name, take = means
    try:
        take()
    except (OSError, ValueError, AttributeError) as error:
        # AttributeError: a system whose Python lacks the function.
        raise ConfinementError(f"{name}: {error}") from error


def _means(bounds: Bounds) -> Iterator[Means]:
    if bounds.confinement is Confinement.OWN:
        return _for_own(bounds)
    # Not loaded for the machine's own work, where the start has a budget.
    from p2pslinger.sandbox.confine import others

    return others.means(bounds)


def _for_own(bounds: Bounds) -> Iterator[Means]:
    yield "bond with the zygote", lambda: bind(bounds)
    yield "priority", lambda: os.nice(bounds.nice)
    yield "priority", priority.offer_to_the_oom_killer
    yield "limits", lambda: rlimits.limit_memory(bounds.memory)


def bind(bounds: Bounds) -> None:
    die_with_parent(bounds.parent, signal.SIGKILL)
    adopt_orphans()  # so that the zygote gets a dead runner's, and no living one's
