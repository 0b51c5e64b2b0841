"""One peer, put together: the only place where everything meets.

Every part is made here and given what it needs; nothing else builds anything. Leaving
`run` is the shutdown: work is given back, neighbours hear a goodbye, processes end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from p2pslinger import limits
from p2pslinger.errors import DiskError, PeerError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.discovery import grid_label
from p2pslinger.net.gossip import Notices
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.config import Config
from p2pslinger.peer.events import Events, Noted, NoticeHeard
from p2pslinger.peer.events import Listening as ListeningEvent
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.keepers import OwnKeeper, RemoteKeeper
from p2pslinger.peer.links import Link, Links
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.port import control_socket, open_port
from p2pslinger.peer.programs import Programs
from p2pslinger.peer.reports import Reports, Subjects
from p2pslinger.peer.serve import Serving
from p2pslinger.peer.submitter import RENEW, Submitter
from p2pslinger.peer.upkeep import Surroundings, Upkeep
from p2pslinger.peer.volunteer import Terms, Volunteer
from p2pslinger.peer.workplaces import Workplaces
from p2pslinger.peer.world import World
from p2pslinger.store.state import State
from p2pslinger.version import __version__
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.messages import Receipts
from p2pslinger.wire.records import Address, Notice, PeerCard, Receipt, seal

#: Seconds that a peer of a program's own waits for its first program.
FIRST_PROGRAM = 20.0

#: Seconds that it stays after the last program has gone: another may follow at once.
LINGER = 0.2

#: Seconds that goodbyes may take.
GOODBYE = 1.0


class Peer:
    """One peer of a grid.

    Args:
        config: How it is to run.
        identity: Who it is.
        authkey: The grid's.
        state: What it remembers.
        world: Everything outside.
        memory: Bytes that each slot may use.
    """

    def __init__(
        self,
        *,
        config: Config,
        identity: Identity,
        authkey: Authkey,
        state: State,
        world: World,
        memory: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._identity = identity
        self._authkey = authkey
        self._state = state
        self._world = world
        self._port = 0
        self._stopping = asyncio.Event()
        self.owner = Owner()
        self.events = Events()
        self._compose(memory)

    @property
    def id(self) -> PeerId:
        """Its id."""
        return self._identity.id

    @property
    def port(self) -> int:
        """The port that it listens on, TCP and UDP; 0 before it does."""
        return self._port

    # --- composition --------------------------------------------------------------

    def _compose(self, memory: int) -> None:
        world, grid, me = self._world, self._authkey.grid, self._identity
        self.addresses = Addresses(world.rng)
        self.keeper = Keeper(self._loop, self.events)
        self.notices = Notices(
            grid=grid,
            wall=world.wall,
            rng=world.rng,
            neighbours=lambda: [one.connection for one in self.links.open.values()],
            heard=self._heard,
        )
        self.submitter = Submitter(
            loop=self._loop,
            identity=me,
            grid=grid,
            wall=world.wall,
            rng=world.rng,
            keeper=self.keeper,
            events=self.events,
            announce=self.notices.announce,
            receipts=self._credit,
        )
        self.volunteer = Volunteer(
            loop=self._loop,
            owner=self.owner,
            source=world.slots,
            terms=Terms(
                grid,
                self._config.name,
                world.pythons,
                self._config.slot_count(),
                memory,
            ),
            events=self.events,
            at_fault=self._refuse,
        )
        own = self.keeper.sit(
            me.id,
            mine=True,
            own=True,
            revoke=lambda revoke: self.volunteer.revoke(me.id, revoke),
        )
        self.workplaces = Workplaces(
            own=OwnKeeper(self.keeper, own, self.submitter.blob),
            volunteer=self.volunteer,
            notices=self.notices,
            trusting=self._config.trust_members,
            pythons=world.pythons,
            rng=world.rng,
        )
        serving = Serving(
            me=me.id,
            grid=grid,
            owner=self.owner,
            keeper=self.keeper,
            submitter=self.submitter,
            volunteer=self.volunteer,
            notices=self.notices,
            links=lambda: self.links,
            credited=self._state.add_receipt,
        )
        self.links = Links(
            loop=self._loop,
            streams=world.streams,
            identity=me,
            grid=grid,
            wall=world.wall,
            card=self._card,
            handlers=serving.handlers(),
            joined=self._joined,
            left=self._left,
            events=self.events,
        )
        self.overlay = Overlay(
            identity=me,
            authkey=self._authkey,
            wall=world.wall,
            rng=world.rng,
            spawn=self.owner.spawn,
        )
        self.upkeep = Upkeep(
            Surroundings(
                self.links,
                self.overlay,
                self.notices,
                self.addresses,
                world.resolve,
                self._card,
                self.workplaces.wanted,
                lambda: bool(self.keeper.jobs),
            ),
            grid=grid,
            rng=world.rng,
            owner=self.owner,
            events=self.events,
        )
        self.reports = Reports(
            Subjects(
                me.id,
                grid,
                self._make_card,
                self.links,
                self.keeper,
                self.submitter,
                self.volunteer,
                self.notices,
                self._state,
                self._config.trust_members,
                world.pythons,
                self.upkeep.notes,
                lambda: (
                    self.overlay.dropped,
                    self.links.dropped,
                    self.notices.dropped,
                    self.programs.dropped,
                ),
            )
        )
        self.events.subscribe(self.reports.hear)
        self.programs = Programs(
            owner=self.owner,
            submitter=self.submitter,
            reports=self.reports,
            wall=world.wall,
            stop=self.stop,
            deserted=self._deserted,
        )

    # --- life ---------------------------------------------------------------------

    async def run(
        self,
        *,
        control: Path | None = None,
        ready: Callable[[str], None] | None = None,
    ) -> None:
        """Run until `stop` is called.

        Args:
            control: Where the control socket is to be; None for none.
            ready: Called with "host:port" once everything listens.

        Raises:
            UnavailableError: the port is taken, or the control socket can't be made.
        """
        async with self.owner:
            try:
                await self.volunteer.start()
                self.workplaces.open()
                self._port, note = await open_port(
                    self.links, self.overlay, self._config
                )
                if note:
                    self.events.emit(Noted(note))
                self.events.emit(ListeningEvent(self._config.host, self._port))
                server = await self._serve_programs(control)
                self._learn_addresses()
                self.upkeep.start()
                self.owner.spawn(self.workplaces.keep_looking())
                self.owner.spawn(self._keep_renewing())
                if self._world.discovery is not None:
                    self.owner.spawn(self._discover())
                if ready is not None:
                    card = self._make_card()
                    host = card.addresses[0].host if card.addresses else ""
                    ready(f"{host}:{self._port}")
                if self._config.program_bound:
                    self._stop_in(FIRST_PROGRAM)
                await self._stopping.wait()
                if server is not None:
                    server.close()
            finally:
                await self._close()

    def stop(self) -> None:
        """Shut down, politely."""
        self.programs.refuse()
        self._stopping.set()

    async def _close(self) -> None:
        self.submitter.close()
        leaving = [*self.programs.connections(), *self.links.connections()]
        self.programs.close()
        self.volunteer.close()
        if self._world.discovery is not None:
            await self._world.discovery.close()
        self.links.close()
        if leaving:  # what they were told last should still reach them
            await asyncio.wait([one.gone for one in leaving], timeout=GOODBYE)
        await self.overlay.close()
        self.keeper.close()
        await self._world.slots.close()
        self._state.close()

    async def _serve_programs(self, path: Path | None) -> asyncio.Server | None:
        if path is None:
            return None
        listener = control_socket(path)
        return await self._loop.create_unix_server(self.programs.make, sock=listener)

    def _learn_addresses(self) -> None:
        for neighbour in self._state.neighbours():
            address = neighbour.address
            self.addresses.add(address.host, address.port, neighbour.peer)
        for address in self._config.bootstrap:
            port = address.port or limits.PORT
            self.addresses.add(address.host, port, named=True)

    async def _discover(self) -> None:
        assert self._world.discovery is not None
        label = grid_label(self._authkey)
        note = await self._world.discovery.start(
            label, self.id, self._port, self.upkeep.found
        )
        if note:
            self.events.emit(Noted(note))

    def _deserted(self) -> None:
        if self._config.program_bound and not self._stopping.is_set():
            self._stop_in(LINGER)

    def _stop_in(self, seconds: float) -> None:
        def due() -> None:
            if not len(self.programs):
                self.stop()

        self._loop.call_later(seconds, due)

    # --- who we are ---------------------------------------------------------------

    def _make_card(self) -> PeerCard:
        now = self._world.wall()
        hosts = self._world.addresses() if self._port else []
        return PeerCard(
            self._config.name,
            tuple(Address(host, self._port) for host in hosts[: limits.ADDRESSES]),
            __version__,
            self._world.pythons,
            self._config.slot_count(),
            "none",
            int(now * 1000),
            now + limits.CARD_LIFE,
        )

    def _card(self) -> Signed:
        return seal(self._make_card(), self._identity, self._authkey.grid)

    # --- neighbours, and their work -------------------------------------------------

    def _refuse(self, peer: PeerId, error: PeerError) -> None:
        self.links.refuse(peer, error)

    def _joined(self, link: Link) -> None:
        self.keeper.sit(
            link.peer, mine=self._config.trust_members, revoke=link.connection.push
        )
        self.workplaces.add(
            RemoteKeeper(link.connection, self._identity, self._authkey.grid)
        )
        for address in link.card.addresses[:1]:
            self._remember(link.peer, address)
        self.upkeep.joined(link)

    def _remember(self, peer: PeerId, address: Address) -> None:
        try:
            self._state.remember_neighbour(peer, address, self._world.wall())
        except DiskError as error:
            self.events.emit(Noted(f"a neighbour could not be remembered: {error}"))

    def _left(self, link: Link, why: str) -> None:
        seat = self.keeper.seats.get(link.peer)
        if seat is not None:
            self.keeper.leave(seat, why)
        self.workplaces.remove(link.peer)
        self.upkeep.left(link)

    def _heard(self, notice: Notice) -> None:
        if notice.submitter == self.id:
            self._loop.call_soon(self.submitter.disown, notice)
            return
        self.events.emit(
            NoticeHeard(JobId(notice.job), PeerId(notice.submitter), notice.open)
        )
        self.workplaces.look_soon()
        self.upkeep.look()

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW * self._world.rng.uniform(0.9, 1.0))
            self.submitter.renew()

    def _credit(self, volunteer: PeerId, signed: Signed, _: Receipt) -> None:
        """Keep a receipt, and hand it to the volunteer if it is here."""
        try:
            self._state.add_receipt(signed)
        except DiskError as error:
            self.events.emit(Noted(f"a receipt could not be kept: {error}"))
        link = self.links.open.get(volunteer)
        if link is not None:
            link.connection.push(Receipts((signed,)))
