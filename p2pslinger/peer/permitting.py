"""How the owner's preferences reach the parts of a peer, and how the owner asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from p2pslinger.ids import JobId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.computing.governing import Governing, Ground
from p2pslinger.wire.permitting import GetPermit, Permitted

if TYPE_CHECKING:
    from p2pslinger.peer.peer import Peer


class Permitting:
    """Puts governing together, and answers for it.

    Args:
        peer: What is governed; its volunteer is there already.

    Attributes:
        governing: What decides.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._meter = peer.library.meter
        self._meter.is_own = self._is_own
        peer.volunteer.halting.before_sending = self._meter.before_sending
        config = peer.config
        ground = Ground(
            config.slot_count(),
            possible=self._is_there_work,
            used=lambda: peer.volunteer.halting.used,
            programs=self._programs,
            short_lived=config.program_bound and not config.throw_away,
            listed=peer.people.is_mine,
            unsure=lambda: peer.people.why_unsure,
            wall=peer.world.wall,
        )
        self.governing = Governing(
            asyncio.get_running_loop(),
            wishes=peer.world.wishes,
            sensors=peer.world.sensors,
            ground=ground,
            apply=peer.volunteer.halting.apply,
            changed=peer.reactions.permitted,
            events=peer.events,
        )

    def add_to(self, table: Handlers) -> None:
        """Take the messages of the owner's commands."""
        self._peer.membership.add_to(table)
        self._peer.custody.handing_over.add_to(table)
        table.on(GetPermit, self._asked)

    def _asked(self, _: Connection, __: GetPermit, exchange: Exchange) -> None:
        async def tell() -> None:
            exchange.reply(Permitted(await self.governing.report()))

        self._peer.owner.spawn(tell())

    def limit(self) -> None:
        """Apply the preferences about disk and network."""
        wishes = self.governing.preferences
        self._peer.custody.vault.quota.most = wishes.disk
        self._meter.limit(wishes.upload, wishes.download)

    def _is_own(self, job: JobId) -> bool:
        """Tell whether a job is this machine's."""
        peer = self._peer
        kept, held = peer.keeper.jobs.get(job), peer.custody.vault.held.get(job)
        if kept is None and held is not None:
            kept = held.job.kept
        return kept is not None and kept.submitter == peer.id

    def _programs(self) -> set[int]:
        return self._peer.programs.processes()

    def _is_there_work(self) -> bool:
        """Tell whether there is anything that others could want computed."""
        peer = self._peer
        works = peer.volunteer.halting.works_for_others
        return (
            any(map(works, peer.volunteer.stations))
            or any(job.submitter != peer.id for job in peer.keeper.jobs.values())
            or any(one.keeper != peer.id for one in peer.notices.open_notices())
        )
