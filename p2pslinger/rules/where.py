"""Where a task is: done, granted, granted by another keeper, or open.

A view for people: it is made when somebody asks, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from p2pslinger.ids import PeerId
from p2pslinger.rules.grants import Held


@dataclass(frozen=True, slots=True)
class Where:
    """What a board knows of one task.

    Attributes:
        done: It has an outcome, or is not wanted any more.
        held: The grant that it is in, or None.
        elsewhere: The keeper that has granted it, or None.
        alone: It has killed its process, and is to be granted alone.
        losers: Who has lost it.
        tries: How often it was lost with its process.
        before: Open tasks that are handed out before it.
        theirs: It is another keeper's to hand out.
    """

    done: bool
    held: Held | None
    elsewhere: PeerId | None
    alone: bool
    losers: Set[PeerId]
    tries: int
    before: int
    theirs: bool
