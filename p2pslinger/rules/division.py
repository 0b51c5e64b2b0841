"""Which keeper hands out which tasks, so that two of them hardly ever grant the same.

Every shard is cut into as many equal parts as there are places for keepers, turned by
one place from shard to shard, so that a job of a single shard has work for all of them.
The part of a keeper that is silent falls to the next one that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from p2pslinger.ids import PeerId
from p2pslinger.rules.spans import Span


def foreign(
    shards: Iterable[tuple[int, int, int]],
    places: Sequence[PeerId],
    me: PeerId,
    silent: Set[PeerId],
) -> list[Span]:
    """Return the tasks that other keepers hand out.

    Args:
        shards: Of each its number, its first task and its count of tasks.
        places: The job's keepers.
        me: This one. Without a place it leaves everything to those that are heard of.
        silent: Keepers that have not been heard of for a while.
    """
    heirs = _heirs(places, silent)
    if not heirs:
        return []
    spans: list[Span] = []
    n = len(places)
    for number, base, count in shards:
        for part in range(n):
            low, high = base + count * part // n, base + count * (part + 1) // n
            if low < high and heirs[(number + part) % n] != me:
                spans.append((low, high))
    return spans


def _heirs(places: Sequence[PeerId], silent: Set[PeerId]) -> list[PeerId]:
    """Return for each place who hands out its part; none if everybody is silent."""
    n = len(places)
    heirs = []
    for place in range(n):
        turn = (places[(place + step) % n] for step in range(n))
        heir = next((peer for peer in turn if peer not in silent), None)
        if heir is None:
            return []
        heirs.append(heir)
    return heirs
