"""The grid's time: this machine's clock, corrected if the neighbours' show another.

1. Every neighbour's hello says how far its clock is ahead. With our own that makes
   votes; the largest group that agrees is right. In a draw it is the group with the
   smallest id, so that two peers do not correct each other in a circle.
2. Within `limits.CLOCK_SLACK` everybody believes everybody, and nothing is corrected.
3. Beyond it a peer says so and goes on, on corrected time. It signs nothing that
   decides for a job: such records outlive the error.
"""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger import limits
from p2pslinger.ids import PeerId

#: Seconds by which a correction must have changed to be another.
SAME = 1.0


class GridClock:
    """Wall time as the grid has it.

    Args:
        me: Our vote's name.
        wall: This machine's clock, seconds since the epoch.
        changed: Called when the correction has changed: what others know of us by the
            old time is void.
    """

    def __init__(
        self, me: PeerId, wall: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._me = me
        self._wall = wall
        self._changed = changed
        self._ahead: dict[PeerId, float] = {}
        #: Seconds that are added to this machine's clock; 0 if it is right.
        self.correction = 0.0

    def now(self) -> float:
        """Return the grid's time, seconds since the epoch."""
        return self._wall() + self.correction

    @property
    def off(self) -> float | None:
        """Return how far the neighbours are ahead: their median; None without any."""
        from statistics import median  # brings fractions; a lone peer needs none

        return median(self._ahead.values()) if self._ahead else None

    @property
    def is_wrong(self) -> bool:
        """Return whether this machine's clock is too far off to be used as it is."""
        return self.correction != 0.0

    def heard(self, peer: PeerId, ahead: float) -> None:
        """Take a new neighbour's vote: seconds that its clock is ahead of ours."""
        self._ahead[peer] = ahead
        self._count()

    def lost(self, peer: PeerId) -> None:
        """Forget a vote."""
        self._ahead.pop(peer, None)
        self._count()

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        if not self.is_wrong:
            return []
        size = abs(self.correction)
        way = "behind" if self.correction > 0 else "ahead of"
        return [
            f"this machine's clock is {size:,.0f} s {way} its neighbours': set it, "
            "best by NTP; until then slinger goes by their time, and decides nothing "
            "for jobs"
        ]

    def _count(self) -> None:
        if not self._ahead:
            return  # alone: whatever is believed now stays as it is
        ahead = agreed(self._me, self._ahead)
        correction = ahead if abs(ahead) > limits.CLOCK_SLACK else 0.0
        if abs(correction - self.correction) > SAME:
            self.correction = correction
            self._changed()


def agreed(me: PeerId, ahead: dict[PeerId, float]) -> float:
    """Return how far ahead of `me` the largest group is that agrees.

    Args:
        me: Who is 0 ahead of itself.
        ahead: How far each of the others is, seconds.
    """
    votes = {me: 0.0, **ahead}
    if max(votes.values()) - min(votes.values()) <= limits.CLOCK_SLACK:
        return 0.0  # all agree with all, as almost always: there is one group, with us
    groups = [
        [who for who, vote in votes.items() if abs(vote - centre) <= limits.CLOCK_SLACK]
        for centre in votes.values()
    ]
    most = max(len(group) for group in groups)
    group = min((g for g in groups if len(g) == most), key=min)
    if me in group:
        return 0.0
    from statistics import median

    return median(votes[who] for who in group)
