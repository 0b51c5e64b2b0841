"""What a runner gives up before the first task of a stranger.

The order matters. Files of the system are read first; then the user changes, which
unties the bond with the parent; then come the bond, the limits, and last Landlock and
the filter, after which little of the above would work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from p2pslinger.sandbox.confine import (
    descriptors,
    landlock,
    priority,
    privileges,
    rlimits,
    scratch,
    seccomp,
)
from p2pslinger.sandbox.confine.confinement import Confinement
from p2pslinger.sandbox.confine.recipe import Bounds, Means, bind

#: Threads and processes of a sandbox of its own besides the runner's.
_OTHERS_INSIDE = 8


def means(bounds: Bounds) -> Iterator[Means]:
    """Yield every means, in order."""
    running = _running(bounds)
    yield "descriptors", lambda: descriptors.close_others(bounds.kept)
    yield "priority", priority.offer_to_the_oom_killer
    yield "user", lambda: _change_user(bounds)
    yield "privileges", lambda: _give_up_privileges(bounds)
    yield "bond with the zygote", lambda: bind(bounds)
    yield "priority", lambda: _step_back(bounds)
    yield "limits", lambda: _limit(bounds, running)
    yield "hidden memory", privileges.hide_memory
    yield "no_new_privs", privileges.gain_nothing
    yield "Landlock", lambda: _restrict(bounds)
    yield "seccomp", lambda: seccomp.refuse(own=os.getpid(), writing=_writes(bounds))


def _running(bounds: Bounds) -> int:
    """Return how many threads the kernel counts that are not this slot's."""
    if bounds.confinement is Confinement.STRONG or bounds.user:
        return _OTHERS_INSIDE
    return rlimits.tasks_of(os.getuid())


def _step_back(bounds: Bounds) -> None:
    if bounds.polite:
        priority.be_last()
    else:
        os.nice(bounds.nice)


def _change_user(bounds: Bounds) -> None:
    if bounds.user:
        if bounds.folder:
            os.chown(bounds.folder, bounds.user, bounds.user)
        privileges.become(bounds.user, searching=bounds.searching)


def _give_up_privileges(bounds: Bounds) -> None:
    if os.getuid() == 0 or not bounds.searching:
        privileges.hold()  # else it has only what it must keep


def _limit(bounds: Bounds, running: int) -> None:
    rlimits.limit_memory(bounds.memory, rlimits.MAPPED_BY_OTHERS)
    size = scratch.BYTES if _writes(bounds) else 0
    rlimits.limit_the_rest(running=running, file_bytes=size)


def _restrict(bounds: Bounds) -> None:
    if bounds.confinement is Confinement.GOOD:
        landlock.require(landlock.TRUNCATION)
    writable = [*bounds.devices, *([bounds.folder] if bounds.folder else [])]
    landlock.restrict(readable=bounds.readable, writable=writable)


def _writes(bounds: Bounds) -> bool:
    return bool(bounds.folder)
