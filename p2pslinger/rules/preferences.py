"""What a machine's owner lets others have of it.

Preferences govern work for others only; the machine's own work is never held back by
them. What each is called and how it is written is a row of `prefkeys`. What follows
from them is decided in `permits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2pslinger.rules.hours import ALWAYS, Hours

#: Bytes of other members' jobs on disk: a hundredth of an ordinary disk, or less.
DISK = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Preferences:
    """What others may have.

    Attributes:
        enabled: Compute for others at all.
        paused_until: Not before this wall time; infinite: not before somebody says so.
        when_idle: Only while nobody uses the machine.
        idle_after: Seconds without a key or a mouse after which nobody does.
        on_battery: On battery, too.
        foreign_load: Part of the machine's processor time that other programs may use
            before they are made room for; None: they are never waited for.
        cores: Slots that may compute for others at once; None: all that the peer has.
        core_share: Part of a core that each may use.
        memory: Part of the machine's memory that all of them may use.
        disk: Bytes of others' jobs that are kept here.
        hours: When, in local time.
        upload: Bytes a second to others for their jobs; None: as many as go.
        download: The same, from them.
        compute_for: "members": everybody in the grid; "allowed": those that the owner
            has allowed by name.
        program_peers: A peer that a program has brought along may do it as well.
    """

    enabled: bool = True
    paused_until: float = 0.0
    when_idle: bool = False
    idle_after: float = 300.0
    on_battery: bool = False
    foreign_load: float | None = 0.25
    cores: int | None = None
    core_share: float = 1.0
    memory: float = 0.25
    disk: int = DISK
    hours: Hours = ALWAYS
    upload: float | None = None
    download: float | None = None
    compute_for: str = "members"
    program_peers: bool = False


DEFAULTS = Preferences()

#: The end of a pause that somebody has to end.
UNTIL_RESUMED = math.inf
