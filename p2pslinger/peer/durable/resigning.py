"""Handing over all that this peer keeps, because its owner wants it to stop.

For each job that it keeps for others it appoints another peer in its place, as it does
with `keep = false`, and deletes its copy once those who hold the places have all of it.
A job whose tasks are being computed here stays on disk: whoever computes them turns to
the other keepers when this peer goes. Jobs that were submitted here are safe when they
have the keepers that they want.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.durable.appointing import Appointing
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.resigning import Resign, Resigning

#: Seconds between two looks at whether others have taken in what they should.
LOOK = 0.5


class HandingOver:
    """Gives this peer's jobs to others, when it is asked to.

    Args:
        vault: The jobs.
        me: This peer.
        appointing: Finds who keeps them instead.
        owner: Owns the task that looks after it.
        is_kept: Tells whether a job that was submitted here has enough keepers.
    """

    def __init__(
        self,
        vault: Vault,
        me: PeerId,
        appointing: Appointing,
        owner: Owner,
        is_kept: Callable[[Held], bool],
    ) -> None:
        self._vault = vault
        self._me = me
        self._appointing = appointing
        self._owner = owner
        self._is_kept = is_kept
        self._jobs = 0

    def add_to(self, table: Handlers) -> None:
        """Take the question of the owner's command."""
        table.on(Resign, self._resign)

    def _resign(self, _: Connection, __: Resign, exchange: Exchange) -> None:
        if not self._vault.quota.leaving:
            self._vault.quota.leaving = True
            self._jobs = len(self._left())
            self._owner.spawn(self._hand_over())
        left = self._left()
        stuck = [held for held in left if not self._appointing.finds_somebody(held)]
        exchange.reply(Resigning(max(self._jobs, len(left)), len(left), len(stuck)))

    async def _hand_over(self) -> None:
        while True:
            for held in self._jobs_here():
                if self._appointing.is_due(held):
                    self._owner.spawn(self._appointing.fill(held))
                if _is_others(held) and _is_with_others(held, self._me):
                    if not held.job.kept.board.grants:
                        self._vault.resign(held)
                elif held.job.is_keeper:
                    held.fellows.compare_all()
            await asyncio.sleep(LOOK)

    def _jobs_here(self) -> list[Held]:
        return list(self._vault.held.values())  # meanwhile they come and go

    def _left(self) -> list[Held]:
        """Return the jobs that others do not keep well enough without us."""
        return [held for held in self._jobs_here() if self._is_left(held)]

    def _is_left(self, held: Held) -> bool:
        if held.forgetting or held.job.replica.standing.cancelled:
            return False
        if _is_others(held):
            return not _is_with_others(held, self._me)
        return held.job.key is not None and not self._is_kept(held)


def _is_others(held: Held) -> bool:
    return held.job.is_keeper and held.job.key is None


def _is_with_others(held: Held, me: PeerId) -> bool:
    """Tell whether somebody has our place, and all who have one hold what we do."""
    named = held.places.keepers
    there = [fellow for fellow in held.fellows.there() if fellow.peer in named]
    return me not in named and bool(there) and all(one.holds_all for one in there)
