"""A peer's life: from the first slot to the last goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from p2pslinger import limits
from p2pslinger.errors import UsageError
from p2pslinger.peer.events import Listening, Noted
from p2pslinger.peer.port import control_socket, open_port

if TYPE_CHECKING:
    from p2pslinger.peer.peer import Peer

#: Seconds that a peer of a program's own waits for its first program.
FIRST_PROGRAM = 20.0

#: Seconds that it stays after the last program has gone: another may follow at once.
LINGER = 0.2

#: Seconds that it stays at most, and between two looks, while jobs that were submitted
#: here lack keepers.
HAND_OVER, LOOK = 60.0, 1.0

#: Seconds that goodbyes may take.
GOODBYE = 1.0


class Life:
    """Starts a peer, and ends it.

    Args:
        peer: Whose life it is.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._why: UsageError | None = None

    async def run(
        self, control: Path | None, ready: Callable[[str], None] | None
    ) -> None:
        """Run until `stop` is called; see `Peer.run`."""
        peer = self._peer
        async with peer.owner:
            try:
                await self._begin(control, ready)
                await self._stopping.wait()
                if self._why is not None:
                    raise self._why
            finally:
                await self._close()

    def stop(self) -> None:
        """Shut down, politely."""
        self._peer.programs.refuse()
        self._stopping.set()

    def end(self, why: UsageError) -> None:
        """Shut down, and have `run` raise the reason."""
        self._why = why
        self.stop()

    def deserted(self) -> None:
        """The last program has gone: go too, if that is all that the peer is for."""
        if self._peer.config.program_bound and not self._stopping.is_set():
            self._leave_in(LINGER, self._loop.time() + HAND_OVER)

    # --- beginning --------------------------------------------------------------------

    async def _begin(
        self, control: Path | None, ready: Callable[[str], None] | None
    ) -> None:
        peer = self._peer
        peer.membership.rekeying.connect(peer.links, peer.overlay, peer.upkeep.moved)
        await peer.volunteer.start()
        peer.governing.begin()
        peer.workplaces.open()
        peer.custody.start()
        card = peer.presence.card
        card.port, note = await open_port(peer.links, peer.overlay, peer.config)
        if note:
            peer.events.emit(Noted(note))
        peer.events.emit(Listening(peer.config.host, peer.port))
        if control is not None:
            await self._loop.create_unix_server(
                peer.programs.make, sock=control_socket(control)
            )
        self._learn_addresses()
        peer.presence.start(peer.upkeep, peer.submitter.renew)
        peer.owner.spawn(peer.workplaces.keep_looking())
        peer.owner.spawn(self._keep_renewing())
        peer.owner.spawn(peer.governing.keep_governing())
        peer.owner.spawn(peer.offering.find())
        peer.owner.spawn(peer.explaining.keep_looking())
        if peer.config.strangers:
            peer.probing.now()
        elif not peer.config.program_bound:
            peer.probing.begin()
        peer.owner.spawn(peer.membership.keep_looking())
        if ready is not None:
            addresses = card.make().addresses
            ready(f"{addresses[0].host if addresses else ''}:{peer.port}")
        if peer.config.program_bound:
            self._leave_in(FIRST_PROGRAM, self._loop.time())

    def _learn_addresses(self) -> None:
        addresses = self._peer.addresses
        for neighbour in self._peer.state.neighbours():
            address = neighbour.address
            addresses.add(address.host, address.port, neighbour.peer)
        for address in self._peer.config.bootstrap:
            addresses.add(address.host, address.port or limits.PORT, named=True)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(
                limits.NOTICE_EVERY * self._peer.world.rng.uniform(0.9, 1.0)
            )
            self._peer.submitter.renew()

    # --- ending -----------------------------------------------------------------------

    def _leave_in(self, seconds: float, latest: float) -> None:
        """Go after a while, unless a program comes; at last when it is `latest`.

        Jobs that outlive their program need keepers that outlive this peer.
        """

        def due() -> None:
            if len(self._peer.programs):
                return
            safe = self._peer.custody.is_settled or not self._peer.links.open
            if safe or self._loop.time() >= latest:
                self.stop()
            else:
                self._leave_in(LOOK, latest)

        self._loop.call_later(seconds, due)

    async def _close(self) -> None:
        peer = self._peer
        peer.submitter.close()
        peer.custody.close()
        leaving = [*peer.programs.connections(), *peer.links.connections()]
        peer.programs.close()
        peer.probing.close()
        peer.volunteer.close()
        if peer.world.discovery is not None:
            await peer.world.discovery.close()
        peer.links.close()
        if leaving:  # what they were told last should still reach them
            await asyncio.wait([one.gone for one in leaving], timeout=GOODBYE)
        await peer.overlay.close()
        peer.keeper.close()
        await peer.world.slots.close()
        await peer.journal.close()
        peer.state.close()
