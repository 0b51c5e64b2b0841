"""How long to wait before so many bytes, so that a rate is kept.

What has not been used is saved up for a second; what is used in advance is waited for
afterwards. So each transfer may begin at once, and all together keep the rate.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds of a rate that may be saved up.
SAVED = 1.0


@dataclass(slots=True)
class Bucket:
    """One rate.

    Attributes:
        rate: Bytes a second; None: as many as go.
        left: Bytes that may go now; below 0, what was used in advance.
        when: When that was so, seconds.
    """

    rate: float | None = None
    left: float = 0.0
    when: float = 0.0

    def take(self, size: int, now: float) -> float:
        """Use some bytes; return the seconds to wait before they may go."""
        if self.rate is None:
            return 0.0
        self.left = min(SAVED * self.rate, self.left + self.rate * (now - self.when))
        self.when = now
        wait = max(0.0, -self.left / self.rate)
        self.left -= size
        return wait

    def give_back(self, size: int) -> None:
        """Take back what was not used after all."""
        self.left += size

    def change(self, rate: float | None, now: float) -> None:
        """Keep another rate from now on, and forget what was saved or owed."""
        if rate != self.rate:
            self.rate, self.left, self.when = rate, 0.0, now
