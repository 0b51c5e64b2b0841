"""The parts of a peer that tell about it, put together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from p2pslinger.peer.explaining import Explaining, Known
from p2pslinger.peer.programs.jobreports import JobReports
from p2pslinger.peer.programs.whyjobs import WhyTasks
from p2pslinger.peer.reports import Reports, Subjects

if TYPE_CHECKING:
    from p2pslinger.peer.peer import Peer


def make_reports(peer: Peer) -> tuple[Explaining, Reports, JobReports]:
    """Return what explains why a peer waits, and what reports on it and its jobs."""
    now = peer.presence.clock.now
    explaining = Explaining(
        Known(
            peer.id,
            peer.keeper,
            peer.volunteer,
            peer.notices,
            peer.offering,
            lambda: peer.links,
            peer.confining,
            now,
            peer.presence.card,
            lambda: peer.governing.reason,
        )
    )
    reports = Reports(
        Subjects(
            peer.id,
            peer.grid,
            peer.presence.card.make,
            peer.links,
            peer.keeper,
            peer.submitter,
            peer.volunteer,
            peer.notices,
            peer.state,
            peer.confining,
            explaining,
            peer.offering,
            peer.notes,
            lambda: (
                peer.overlay.dropped,
                peer.links.dropped,
                peer.notices.dropped,
                peer.programs.dropped,
            ),
            peer.presence,
            peer.people.petname,
            peer.membership.rekeying.facts,
            peer.custody.vault.quota.facts,
        )
    )
    jobs = JobReports(
        peer.id,
        submitter=peer.submitter,
        vault=peer.custody.vault,
        keeper=peer.keeper,
        state=peer.state,
        name=peer.around.name,
        petname=peer.people.petname,
        explaining=explaining,
        tasks=WhyTasks(
            explaining,
            name=peer.around.name,
            wall=now,
            now=asyncio.get_running_loop().time,
        ),
    )
    return explaining, reports, jobs
