"""What a trial has left: the grid, its jobs, and what everybody says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from p2pslinger.ids import JobId
from p2pslinger.testing.chaos.plans import Plan
from p2pslinger.testing.chaos.replicas import Archive, Copy
from p2pslinger.testing.chaos.workload import Work
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.testing.programs import ProgramJob


@dataclass
class Evidence:
    """What the invariants are about.

    Attributes:
        plan: What was to happen.
        grid: The grid at its end.
        works: Its jobs, by name.
        archive: What is on its disks.
        is_gone: Whether a peer will never be back.
        quiet: Packets that each peer sends in a minute in which nothing happens.
        readers: What programs are shown at the end, by job and peer.
        seen: What was wrong on the way.
    """

    plan: Plan
    grid: SimulatedGrid
    works: Mapping[str, Work]
    archive: Archive
    is_gone: Callable[[str], bool]
    quiet: dict[str, float] = field(default_factory=dict)
    readers: dict[tuple[str, str], ProgramJob] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)

    def alive(self) -> list[SimulatedPeer]:
        """Return the peers that run."""
        return [peer for peer in self.grid.peers.values() if peer.is_up]

    @property
    def gone(self) -> int:
        """How many peers will never be back."""
        return sum(1 for name in self.grid.peers if self.is_gone(name))

    def names(self) -> dict[bytes, str]:
        """Return what peers and jobs are called, by their ids."""
        names: dict[bytes, str] = {p.id: p.name for p in self.grid.peers.values()}
        names.update((w.job.id, n) for n, w in self.works.items() if w.job)
        return names

    def packets(self) -> dict[str, int]:
        """Return how many packets each peer has sent so far."""
        return {peer.name: peer.host.packets for peer in self.grid.peers.values()}

    def throw_away(self) -> Iterator[tuple[Work, ProgramJob]]:
        """Yield the throw-away jobs that were submitted, and their program's view."""
        for work in self.works.values():
            if work.job is not None and not work.plan.durable:
                yield work, work.job

    def durable(self) -> Iterator[tuple[Work, JobId, list[Copy]]]:
        """Yield the durable jobs there are, and their copies on live peers."""
        for work in self.works.values():
            if work.job is not None and work.plan.durable:
                copies = self.archive.copies(work.job.id)
                yield work, work.job.id, [one for one in copies if one.peer.is_up]

    def is_owed(self, work: Work) -> bool:
        """Return whether a job has to be computed in the end.

        A throw-away job while its program is there; a durable one if more peers have
        confirmed to hold it than are gone.
        """
        if work.job is None or work.ordered & {"cancel", "forget"}:
            return False
        if not work.plan.durable:
            return work.survived
        paused = "pause" in work.ordered and not work.confirmed("resume")
        return work.holders > self.gone and not paused
