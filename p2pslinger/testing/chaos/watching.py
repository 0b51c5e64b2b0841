"""What is looked at while a trial runs: what may never be, not even for a moment.

1. What a disk has once known to be cancelled or forgotten it may not know otherwise
   later, whatever else has happened to it.
2. Whoever is told that so many keepers hold a result may rely on it: at this moment it
   is on so many disks.
"""

from __future__ import annotations

import asyncio
from functools import partial

from p2pslinger.peer.events import Acknowledged, Event, JobClosed
from p2pslinger.testing import virtual
from p2pslinger.testing.chaos.evidence import Evidence
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
        peer.listeners.append(partial(_check, evidence, peer.name))


def _check(evidence: Evidence, name: str, event: Event) -> None:
    if not isinstance(event, Acknowledged):
        return
    peers = evidence.grid.peers.values()
    having = [
        peer.name for peer in peers if peer.disk.jobs.item(event.job, event.batch)
    ]
    now = virtual.current().now
    leaving = [
        closed
        for peer in peers
        for _, closed in peer.happened(JobClosed, now - RESIGNED)
        if closed.job == event.job
    ]
    if len(having) < event.keepers and not leaving:
        text = f"{event.keepers} keepers have a result, says {name}'s peer at {now:.3f}"
        evidence.seen[f"{text} s, and it is on the disks of {having}"] = None


async def watch(evidence: Evidence) -> None:
    """Look again and again; note what is wrong. Runs until it is cancelled."""
    cancelled: set[tuple[str, str]] = set()
    forgotten: set[tuple[str, bytes]] = set()
    while True:
        await asyncio.sleep(LOOK)
        _look_for_uncancelled(evidence, cancelled)
        _look_for_remembered(evidence, forgotten)


def _look_for_uncancelled(evidence: Evidence, cancelled: set[tuple[str, str]]) -> None:
    for peer in evidence.grid.peers.values():
        for stored in peer.disk.jobs.jobs():
            key = (peer.name, evidence.names().get(stored.job, "a job of nobody"))
            controls = peer.disk.jobs.items(stored.job, Kind.CONTROL)
            if any(read(Control, signed).cancelled for _, _, signed in controls):
                cancelled.add(key)
            elif key in cancelled:
                evidence.seen[f"{key[0]} has uncancelled {key[1]}"] = None


def _look_for_remembered(evidence: Evidence, forgotten: set[tuple[str, bytes]]) -> None:
    for peer in evidence.alive():
        forgotten.update((peer.name, job) for job in peer.disk.jobs.buried())
        for stored in peer.disk.jobs.jobs():
            if (peer.name, stored.job) in forgotten:
                name = evidence.names().get(stored.job, "a job of nobody")
                evidence.seen[f"{peer.name} has {name} again"] = None
