"""What is looked at while a trial runs: what may never be, not even for a moment.

What a disk has once known to be cancelled or forgotten it may not know otherwise later,
whatever else has happened to it.
"""

from __future__ import annotations

import asyncio

from p2pslinger.testing.chaos.evidence import Evidence

#: Virtual seconds between two looks.
LOOK = 20.0


async def watch(evidence: Evidence) -> None:
    """Look again and again; note what is wrong. Runs until it is cancelled."""
    cancelled: set[tuple[str, str]] = set()
    forgotten: set[tuple[str, bytes]] = set()
    while True:
        await asyncio.sleep(LOOK)
        _look_for_uncancelled(evidence, cancelled)
        _look_for_remembered(evidence, forgotten)


def _look_for_uncancelled(evidence: Evidence, cancelled: set[tuple[str, str]]) -> None:
    for work, _, copies in evidence.durable():
        for copy in copies:
            key = (copy.peer.name, work.plan.name)
            if copy.replica.standing.cancelled:
                cancelled.add(key)
            elif key in cancelled:
                evidence.seen[f"{key[0]} has uncancelled {work}"] = None


def _look_for_remembered(evidence: Evidence, forgotten: set[tuple[str, bytes]]) -> None:
    for peer in evidence.alive():
        forgotten.update((peer.name, job) for job in peer.disk.jobs.buried())
        for stored in peer.disk.jobs.jobs():
            if (peer.name, stored.job) in forgotten:
                name = evidence.names().get(stored.job, "a job of nobody")
                evidence.seen[f"{peer.name} has {name} again"] = None
