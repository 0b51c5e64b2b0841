"""What happens to packets between two hosts: how long they take, whether they arrive.

Every pair of hosts has a latency of its own, drawn once and the same both ways, as if
each host had its place on a map. So datagrams keep their order unless reordering is
asked for, and measured round trips mean something.

Faults are looked at when a packet leaves: what is under way when a link is cut arrives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from p2pslinger.errors import UsageError

#: Seconds between two sockets of one host.
LOOPBACK_LATENCY = 0.000_05

#: Seconds until a lost stream segment is first sent again; doubles each time. TCP's
#: lower bound on Linux.
RETRANSMIT_AFTER = 0.2

#: Seconds that a stream waits for a silent network before it gives up. Real ones take
#: up to 15 minutes; peers set theirs to about this.
BREAK_AFTER = 20.0


class Place(Protocol):
    """What a link must know of a host.

    Attributes:
        number: Which host it is; each of a network has its own.
        place: Where it is: 0 to 1, round a circle.
        asleep: Whether it sleeps: then nothing leaves it, and nothing gets in.
    """

    number: int
    place: float

    @property
    def asleep(self) -> bool: ...


@dataclass
class Links:
    """The state of all links of one network.

    Args:
        chance: Where luck comes from.
        latency: Lowest and highest one-way delay, seconds.
        loss: Share of packets that vanish, 0 to 1.
    """

    chance: Random
    latency: tuple[float, float]
    loss: float
    _groups: dict[int, int] = field(default_factory=dict)
    _cuts: set[tuple[int, int]] = field(default_factory=set)
    _latencies: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    _losses: dict[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_latency(self.latency)
        check_share("loss", self.loss)

    def partition(self, groups: Iterable[Iterable[Place]]) -> None:
        """Let packets pass within each group only; all others form one more group."""
        self._groups = {
            host.number: group
            for group, hosts in enumerate(groups, start=1)
            for host in hosts
        }

    def cut(self, source: Place, target: Place) -> None:
        """Let nothing pass from `source` to `target`; the way back stays open."""
        self._cuts.add((source.number, target.number))

    def mend(self, source: Place, target: Place) -> None:
        """Undo `cut`."""
        self._cuts.discard((source.number, target.number))

    def heal(self) -> None:
        """Undo every partition and cut."""
        self._groups.clear()
        self._cuts.clear()

    def become(self, latency: tuple[float, float] | None, loss: float | None) -> None:
        """Give all links that have none of their own another latency or loss."""
        if latency is not None:
            _check_latency(latency)
            self.latency = latency
        if loss is not None:
            check_share("loss", loss)
            self.loss = loss

    def tune(
        self,
        one: Place,
        other: Place,
        *,
        latency: tuple[float, float] | None,
        loss: float | None,
    ) -> None:
        """Give the link between two hosts, both ways, its own latency or loss."""
        for pair in ((one.number, other.number), (other.number, one.number)):
            if latency is not None:
                _check_latency(latency)
                self._latencies[pair] = latency
            if loss is not None:
                check_share("loss", loss)
                self._losses[pair] = loss

    def blocked(self, source: Place, target: Place) -> bool:
        """Whether a partition, a cut or sleep keeps `source` from `target`."""
        if source is target:
            return False
        if source.asleep or target.asleep:
            return True
        here, there = source.number, target.number
        groups = self._groups
        if groups and groups.get(here) != groups.get(there):
            return True
        return bool(self._cuts) and (here, there) in self._cuts

    def loses(self, source: Place, target: Place) -> bool:
        """Draw whether this one packet gets lost on an open link."""
        loss = self.loss
        if self._losses:
            loss = self._losses.get((source.number, target.number), loss)
        return loss > 0 and source is not target and self.chance.random() < loss

    def delay(self, source: Place, target: Place) -> float:
        """Seconds that a packet takes from `source` to `target`."""
        if source is target:
            return LOOPBACK_LATENCY
        low, high = self.latency
        if self._latencies:
            pair = (source.number, target.number)
            low, high = self._latencies.get(pair, self.latency)
        return low + (high - low) * ((source.place + target.place) % 1.0)

    def stream_delay(self, source: Place, target: Place) -> float:
        """Seconds until a segment arrives, sent again while lost; inf for never.

        Acknowledgements must come back, so a cut either way stops a stream.
        """
        if self.blocked(source, target) or self.blocked(target, source):
            return math.inf
        waited, pause = 0.0, RETRANSMIT_AFTER
        while self.loses(source, target):
            waited += pause
            pause *= 2
            if waited > BREAK_AFTER:
                return math.inf
        return waited + self.delay(source, target)


def check_share(what: str, share: float) -> None:
    """Refuse what is no share of one."""
    if not 0 <= share <= 1:
        raise UsageError(f"{what} is a share from 0 to 1, not {share}")


def _check_latency(latency: tuple[float, float]) -> None:
    low, high = latency
    if not 0 <= low <= high < math.inf:
        raise UsageError(f"latency is (lowest, highest) in seconds, not {latency}")
