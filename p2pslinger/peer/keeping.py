"""The parts of a peer that jobs are kept with, put together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from p2pslinger.peer.crew import Crew
from p2pslinger.peer.durable.custody import Custody
from p2pslinger.peer.durable.means import Means

if TYPE_CHECKING:
    from p2pslinger.peer.peer import Peer


def make_company(peer: Peer) -> Crew:
    """Return what knows the volunteers of a peer's jobs."""
    # By our own clock: the grid's is what most ids say, and anyone has a hundred.
    wall = peer.world.wall
    company = Crew(peer.id, peer.state, peer.journal, peer.events, wall)
    company.every_id_counts = peer.config.every_id_counts
    company.vouches = peer.people.vouches_for
    return company


def make_custody(peer: Peer) -> Custody:
    """Return what keeps durable jobs."""
    clock, config = peer.presence.clock, peer.config
    means = Means(
        asyncio.get_running_loop(),
        clock.now,
        peer.grid,
        peer.identity,
        peer.journal,
        peer.state.jobs,
        peer.library,
        peer.keeper,
        peer.events,
        peer.is_mine,
        peer.remembering.receipt,
        peer.company,
        peer.owner,
    )
    return Custody(
        means,
        peer.owner,
        peer.around,
        peer.notices,
        credited=peer.remembering.hand_over,
        may_sign=lambda: not clock.is_wrong,
        randbytes=peer.world.rng.randbytes,
        keeps=config.keep and not config.program_bound,
        leaves=not config.keep,
        alone=peer.world.alone,
        people=peer.people,
    )
