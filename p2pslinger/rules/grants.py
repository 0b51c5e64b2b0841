"""Grants: who may compute which tasks, until when, and the proof of it.

A grant is a lease. Volunteers vanish without a word, so nothing here waits for a
goodbye: one that is not renewed is simply over, and its tasks go back. Its MAC comes
back with the result, under a key that the job's keepers share; so a late result, or one
delivered to another keeper, still shows that it was asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from blake3 import blake3

from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import LEASE
from p2pslinger.rules.spans import Span

#: Bytes of a MAC: 128 bits are beyond guessing.
MAC_BYTES = 16


@dataclass(slots=True)
class Held:
    """One live grant.

    Attributes:
        number: Names it at its keeper.
        volunteer: Who holds it.
        start: First task.
        stop: One after the last.
        expires: When it lapses, on the keeper's monotonic clock.
        index: The task that the volunteer is at, as far as it has told.
        since: When it was granted, on that clock; 0 if another keeper has granted it.
        suspended: It stands still, as its holder's owner prefers.
    """

    number: int
    volunteer: PeerId
    start: int
    stop: int
    expires: float
    index: int
    since: float = 0.0
    suspended: bool = False


def grant_mac(
    key: bytes, job: bytes, number: int, volunteer: bytes, granted: Span
) -> bytes:
    """Return the MAC that goes with a grant.

    Args:
        key: The keepers' secret, 32 bytes.
        job: Id of the job.
        number: The grant's.
        volunteer: Id of who holds it.
        granted: Its tasks.
    """
    text = job + struct.pack("!QQQ", number, *granted) + volunteer
    return blake3(text, key=key).digest(length=MAC_BYTES)


class Ledger:
    """The live grants of one job.

    Args:
        job: Its id.
        key: The keepers' secret, 32 bytes.
        lease: Seconds a grant lives without renewal.
        numbers: Where grants get their numbers: one source for all jobs of a keeper.
    """

    def __init__(
        self,
        job: JobId,
        key: bytes,
        lease: float = LEASE,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._job = job
        self._key = key
        self._lease = lease
        self._numbers = numbers or count(1)
        self._held: dict[int, Held] = {}
        self._of: dict[PeerId, set[int]] = {}

    def make(self, volunteer: PeerId, start: int, stop: int, now: float) -> Held:
        """Grant [start, stop) to `volunteer`."""
        number = next(self._numbers)
        held = Held(number, volunteer, start, stop, now + self._lease, start, now)
        self._held[held.number] = held
        self._of.setdefault(volunteer, set()).add(held.number)
        return held

    def mac(self, number: int, volunteer: bytes, start: int, stop: int) -> bytes:
        """Return the MAC that goes with a grant of at most [start, stop)."""
        return grant_mac(self._key, self._job, number, volunteer, (start, stop))

    def adopt(self, held: Held) -> bool:
        """Take over a grant that another keeper has made; False if it is here."""
        if held.number in self._held:
            return False
        self._held[held.number] = held
        self._of.setdefault(held.volunteer, set()).add(held.number)
        return True

    def renew(
        self,
        number: int,
        volunteer: PeerId,
        index: int,
        now: float,
        *,
        suspended: bool = False,
    ) -> bool:
        """Take a heartbeat; return whether the grant is still live."""
        held = self._held.get(number)
        if held is None or held.volunteer != volunteer:
            return False
        held.expires = now + self._lease
        held.index = min(max(held.start, index), held.stop - 1)
        held.suspended = suspended
        return True

    def end(self, number: int, volunteer: PeerId) -> Held | None:
        """Take a grant back from its holder; None if it is not live or another's."""
        held = self._held.get(number)
        if held is None or held.volunteer != volunteer:
            return None
        return self._drop(held)

    def lapse(self, now: float) -> list[Held]:
        """Take back what was not renewed in time."""
        late = [held for held in self._held.values() if held.expires <= now]
        return [self._drop(held) for held in late]

    def leave(self, volunteer: PeerId) -> list[Held]:
        """Take back all that a volunteer holds."""
        numbers = sorted(self._of.get(volunteer, ()))
        return [self._drop(self._held[number]) for number in numbers]

    def clear(self) -> list[Held]:
        """Take back everything."""
        return [self._drop(held) for held in list(self._held.values())]

    def live(self) -> list[Held]:
        """Return the live grants."""
        return list(self._held.values())

    def next_lapse(self) -> float | None:
        """Return when the first grant lapses unless it is renewed."""
        return min((held.expires for held in self._held.values()), default=None)

    def __len__(self) -> int:
        return len(self._held)

    def _drop(self, held: Held) -> Held:
        del self._held[held.number]
        numbers = self._of[held.volunteer]
        numbers.discard(held.number)
        if not numbers:
            del self._of[held.volunteer]
        return held
