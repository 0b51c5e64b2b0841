"""What is looked at while a trial runs: what may never be, not even for a moment.

1. What a disk has once known to be cancelled or forgotten it may not know otherwise
   later, whatever else has happened to it.
2. Whoever is told that so many keepers hold a result may rely on it: at this moment it
   is on so many disks, or as many answers to the same tasks as there may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice

from p2pslinger.ids import JobId
from p2pslinger.peer.events import Acknowledged, Event, JobClosed
from p2pslinger.testing import virtual
from p2pslinger.testing.chaos.evidence import Evidence
from p2pslinger.testing.chaos.keeping import is_surplus
from p2pslinger.testing.machines import SimulatedPeer
from p2pslinger.wire.keeping import Kind
from p2pslinger.wire.records import Control, read

#: Virtual seconds between two looks.
LOOK = 20.0

#: Seconds for which what keepers had confirmed does not count, because one has resigned
#: or the job has come to its end.
RESIGNED = 60.0


def audit(evidence: Evidence) -> None:
    """Check every acknowledgement when it arrives, from now on."""
    for peer in evidence.grid.peers.values():
        peer.listeners.append(partial(_check, evidence, peer))


def _check(evidence: Evidence, volunteer: SimulatedPeer, event: Event) -> None:
    if not isinstance(event, Acknowledged):
        return
    peers = evidence.grid.peers.values()
    found = (peer.name for peer in peers if peer.disk.jobs.item(event.job, event.batch))
    having = list(islice(found, event.keepers))  # more need not be looked for
    if len(having) >= event.keepers:
        return
    having += [
        copy.peer.name
        for copy in evidence.archive.copies(event.job)
        if copy.peer.name not in having and is_surplus(copy, event.ranges, volunteer.id)
    ]
    now = virtual.current().now
    leaving = [
        closed
        for peer in peers
        for _, closed in peer.happened(JobClosed, now - RESIGNED)
        if closed.job == event.job
    ]
    if len(having) < event.keepers and not leaving:
        said = f"{event.keepers} keepers have a result, says {volunteer.name}'s peer"
        text = f"{said} at {now:.3f} s, and it is on the disks of {having}"
        evidence.seen[text] = None


async def watch(evidence: Evidence) -> None:
    """Look again and again; note what is wrong. Runs until it is cancelled."""
    watches = [Watch(evidence, peer) for peer in evidence.grid.peers.values()]
    while True:
        await asyncio.sleep(LOOK)
        for one in watches:
            one.look()


class Watch:
    """What one disk has known at some time, and what it knows now.

    Args:
        evidence: Takes what is wrong.
        peer: Whose disk.
    """

    def __init__(self, evidence: Evidence, peer: SimulatedPeer) -> None:
        self._evidence = evidence
        self._peer = peer
        self._cancelled: set[JobId] = set()
        self._forgotten: set[JobId] = set()
        self._seen: tuple[int, bool] | None = None

    def look(self) -> None:
        """Look at it, unless it is as it was."""
        state = self._peer.disk.changes, self._peer.is_up
        if state != self._seen:
            self._seen = state
            jobs = [stored.job for stored in self._peer.disk.jobs.jobs()]
            self._look_for_uncancelled(jobs)
            if self._peer.is_up:  # else it may have to be swept first
                self._look_for_remembered(jobs)

    def _look_for_uncancelled(self, jobs: Sequence[JobId]) -> None:
        # Who has given its copy up, and takes part again, learns it anew.
        self._cancelled.intersection_update(jobs)
        for job in jobs:
            controls = self._peer.disk.jobs.items(job, Kind.CONTROL)
            if any(read(Control, signed).cancelled for _, _, signed in controls):
                self._cancelled.add(job)
            elif job in self._cancelled:
                self._note(f"has uncancelled {self._name(job)}")

    def _look_for_remembered(self, jobs: Iterable[JobId]) -> None:
        self._forgotten.update(self._peer.disk.jobs.buried())
        for job in jobs:
            if job in self._forgotten:
                self._note(f"has {self._name(job)} again")

    def _name(self, job: JobId) -> str:
        return self._evidence.names().get(job, "a job of nobody")

    def _note(self, text: str) -> None:
        self._evidence.seen[f"{self._peer.name} {text}"] = None
