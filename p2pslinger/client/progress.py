"""How far a job or a map is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Tasks with an outcome.
        total: Tasks in all.
        failed: Tasks among the done ones that failed.
        by_peer: Tasks done, by the short id of the peer.
        within: How far running tasks are that say so, 0 to 1, by number.
    """

    done: int
    total: int
    failed: int
    by_peer: dict[str, int]
    within: dict[int, float] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1, with what running tasks say of themselves."""
        done = self.done + sum(self.within.values())
        return done / self.total if self.total else 1.0
