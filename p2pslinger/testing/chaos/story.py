"""A trial's story: what happened when, in words, for whoever has to find out why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from p2pslinger.peer.events import (
    Dropped,
    Event,
    JobClosed,
    JobOpened,
    Noted,
    SlotDied,
    TakenBack,
)
from p2pslinger.testing.loop import VirtualLoop
from p2pslinger.testing.machines import SimulatedPeer

#: Events of peers that belong into a story; the others are everyday life.
TOLD = (JobOpened, JobClosed, TakenBack, SlotDied, Dropped, Noted)

Line = tuple[float, str]


class Story:
    """What has happened so far.

    Args:
        loop: Gives the time.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.lines: list[Line] = []

    def tell(self, text: str) -> None:
        """Add what happens now."""
        self.lines.append((self._loop.now, text))


def written(
    lines: Iterable[Line], peers: Iterable[SimulatedPeer], jobs: Mapping[bytes, str]
) -> list[str]:
    """Write down a story and what peers have noticed, in the order of events.

    Args:
        lines: The story's.
        peers: Whose events belong to it.
        jobs: Names for jobs, by id.
    """
    peers = list(peers)
    names = dict(jobs)
    names.update((peer.id, peer.name) for peer in peers)
    seen = [
        (when, f"    {peer.name}: {_in_words(event, names)}")
        for peer in peers
        for when, event in peer.history
        if isinstance(event, TOLD)
    ]
    together = sorted([*lines, *seen], key=lambda line: line[0])
    return [f"{when:9.3f} s  {text}" for when, text in together]


def _in_words(event: Event, names: Mapping[bytes, str]) -> str:
    """Return an event with names where it has ids."""
    parts = [type(event).__name__]
    for name in event.__struct_fields__:
        value = getattr(event, name)
        shown = names.get(value, value.hex()[:8]) if isinstance(value, bytes) else value
        parts.append(f"{name}={shown}")
    return " ".join(parts)
