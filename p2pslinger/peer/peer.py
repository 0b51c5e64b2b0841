"""One peer, put together: the only place where everything meets.

Every part is made here and given what it needs; nothing else builds anything. Leaving
`run` is the shutdown: work is given back, neighbours hear a goodbye, processes end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from p2pslinger import limits
from p2pslinger.errors import PeerError, UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.gossip import Notices
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.config import Config
from p2pslinger.peer.custody import Custody
from p2pslinger.peer.durable import Means
from p2pslinger.peer.events import Events, Noted, NoticeHeard
from p2pslinger.peer.events import Listening as ListeningEvent
from p2pslinger.peer.jobreports import JobReports
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.keepers import OwnKeeper, RemoteKeeper
from p2pslinger.peer.lending import Lending
from p2pslinger.peer.library import Library
from p2pslinger.peer.links import Link, Links
from p2pslinger.peer.neighbourhood import Neighbourhood
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.port import control_socket, open_port
from p2pslinger.peer.presence import Presence
from p2pslinger.peer.programs import Programs
from p2pslinger.peer.remembering import Remembering
from p2pslinger.peer.reports import Reports, Subjects
from p2pslinger.peer.serve import Serving
from p2pslinger.peer.submitter import RENEW, Submitter
from p2pslinger.peer.upkeep import Surroundings, Upkeep
from p2pslinger.peer.volunteer import Terms, Volunteer
from p2pslinger.peer.workplaces import Workplaces
from p2pslinger.peer.world import World
from p2pslinger.store.blobs import Blobs
from p2pslinger.store.state import State
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.records import Notice

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
        blobs: Its big data.
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
        blobs: Blobs,
        world: World,
        memory: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._identity = identity
        self._authkey = authkey
        self._state = state
        self._blobs = blobs
        self._world = world
        self._stopping = asyncio.Event()
        self._twin: UsageError | None = None
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
        return self.presence.card.port

    # --- composition --------------------------------------------------------------

    def _compose(self, memory: int) -> None:
        world, grid, me = self._world, self._authkey.grid, self._identity
        self.presence = Presence(
            config=self._config,
            identity=me,
            authkey=self._authkey,
            world=world,
            owner=self.owner,
            events=self.events,
            end=self._end,
        )
        now = self.presence.clock.now
        self.addresses = Addresses(world.rng)
        self.around = Neighbourhood(me.id, self._config.name)
        self.keeper = Keeper(self._loop, self.events)
        self.notices = Notices(
            grid=grid,
            wall=now,
            rng=world.rng,
            neighbours=self.around.connections,
            heard=self._heard,
        )
        self.journal = Journal(self._state, world.disk, self.owner, self._loop)
        self.remembering = Remembering(
            self._state,
            self.journal,
            wall=now,
            events=self.events,
            connection=self.around.connection,
        )
        self.submitter = Submitter(
            loop=self._loop,
            identity=me,
            grid=grid,
            wall=now,
            rng=world.rng,
            keeper=self.keeper,
            events=self.events,
            announce=self.notices.announce,
            is_known=lambda job: (
                job in self.submitter.jobs or job in self.custody.vault.held
            ),
            receipts=self.remembering.credit,
        )
        self.library = Library(
            me=me.id,
            blobs=self._blobs,
            owner=self.owner,
            reach=self.around.reaching,
            blame=self._refuse,
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
            blobs=self.library,
            identity=me,
            wall=now,
            events=self.events,
            at_fault=self._refuse,
        )
        self.custody = self._make_custody()
        own = self.keeper.sit(
            me.id,
            mine=True,
            own=True,
            revoke=lambda revoke: self.volunteer.revoke(me.id, revoke),
        )
        self.workplaces = Workplaces(
            own=OwnKeeper(
                self.keeper, own, self._blob, self.custody.delivering, self.library
            ),
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
            lending=Lending(self.library, self.owner, self._blob),
            volunteer=self.volunteer,
            notices=self.notices,
            links=lambda: self.links,
            credited=self.remembering.receipt,
            custody=self.custody,
        )
        self.links = Links(
            loop=self._loop,
            streams=world.streams,
            identity=me,
            grid=grid,
            wall=world.wall,
            card=self.presence.card.sign,
            handlers=(handlers := serving.handlers()),
            joined=self._joined,
            left=self._left,
            met_self=self.presence.twins.met,
            events=self.events,
        )
        self.overlay = Overlay(
            identity=me,
            authkey=self._authkey,
            wall=now,
            rng=world.rng,
            spawn=self.owner.spawn,
        )
        self.presence.connect(self.links, self.overlay, self.addresses, handlers)
        self.upkeep = Upkeep(
            Surroundings(
                self.links,
                self.overlay,
                self.notices,
                self.addresses,
                world.resolve,
                self.presence.listing,
                self.workplaces.wanted,
                self.custody.vault.partners,
                lambda: bool(self.keeper.jobs),
            ),
            grid=grid,
            rng=world.rng,
            owner=self.owner,
            events=self.events,
        )
        self.around.connect(self.links, self.overlay, self.addresses, self.upkeep)
        self.reports = Reports(
            Subjects(
                me.id,
                grid,
                self.presence.card.make,
                self.links,
                self.keeper,
                self.submitter,
                self.volunteer,
                self.notices,
                self._state,
                self._config.trust_members,
                world.pythons,
                self.presence.notes,
                lambda: (
                    self.overlay.dropped,
                    self.links.dropped,
                    self.notices.dropped,
                    self.programs.dropped,
                ),
                self.presence,
            )
        )
        self.events.subscribe(self.reports.hear)
        self.programs = Programs(
            owner=self.owner,
            submitter=self.submitter,
            deposits=self.custody.deposits,
            reports=self.reports,
            jobreports=JobReports(
                me.id,
                submitter=self.submitter,
                vault=self.custody.vault,
                keeper=self.keeper,
                state=self._state,
                name=self.around.name,
            ),
            wall=world.wall,
            stop=self.stop,
            deserted=self._deserted,
        )

    def _make_custody(self) -> Custody:
        means = Means(
            self._loop,
            self.presence.clock.now,
            self._authkey.grid,
            self._identity,
            self.journal,
            self._state.jobs,
            self.library,
            self.keeper,
            self.events,
            lambda peer: peer == self.id or self._config.trust_members,
        )
        return Custody(
            means,
            self.owner,
            self.around,
            self.notices,
            credited=self.remembering.credit,
            may_sign=lambda: not self.presence.clock.is_wrong,
            randbytes=self._world.rng.randbytes,
            keeps=self._config.keep and not self._config.program_bound,
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
                self.custody.start()
                card = self.presence.card
                card.port, note = await open_port(
                    self.links, self.overlay, self._config
                )
                if note:
                    self.events.emit(Noted(note))
                self.events.emit(ListeningEvent(self._config.host, self.port))
                server = await self._serve_programs(control)
                self._learn_addresses()
                self.presence.start(self.upkeep, self.submitter.renew)
                self.owner.spawn(self.workplaces.keep_looking())
                self.owner.spawn(self._keep_renewing())
                if ready is not None:
                    addresses = card.make().addresses
                    host = addresses[0].host if addresses else ""
                    ready(f"{host}:{self.port}")
                if self._config.program_bound:
                    self._stop_in(FIRST_PROGRAM)
                await self._stopping.wait()
                if server is not None:
                    server.close()
                if self._twin is not None:
                    raise self._twin
            finally:
                await self._close()

    def stop(self) -> None:
        """Shut down, politely."""
        self.programs.refuse()
        self._stopping.set()

    async def _close(self) -> None:
        self.submitter.close()
        self.custody.close()
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
        await self.journal.close()
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

    def _deserted(self) -> None:
        if self._config.program_bound and not self._stopping.is_set():
            self._stop_in(LINGER)

    def _stop_in(self, seconds: float) -> None:
        def due() -> None:
            if not len(self.programs):
                self.stop()

        self._loop.call_later(seconds, due)

    def _end(self, why: UsageError) -> None:
        """Stop: another process has our identity."""
        self._twin = why
        self.stop()

    # --- neighbours, and their work -------------------------------------------------

    def _refuse(self, peer: PeerId, error: PeerError) -> None:
        self.links.refuse(peer, error)

    def _joined(self, link: Link) -> None:
        self.presence.joined(link)
        self.keeper.sit(
            link.peer, mine=self._config.trust_members, revoke=link.connection.push
        )
        self.workplaces.add(
            RemoteKeeper(
                link.connection, self._identity, self._authkey.grid, self.library
            )
        )
        for address in link.card.addresses[:1]:
            self.remembering.neighbour(link.peer, address)
        self.custody.joined(link.connection)
        self.upkeep.joined(link)

    def _blob(self, job: JobId, digest: bytes) -> bytes:
        data = self.custody.blob(job, digest)
        return data if data is not None else self.submitter.blob(job, digest)

    def _left(self, link: Link, why: str) -> None:
        self.presence.left(link)
        seat = self.keeper.seats.get(link.peer)
        if seat is not None:
            self.keeper.leave(seat, why)
        self.workplaces.remove(link.peer)
        self.custody.left(link.peer)
        self.upkeep.left(link)

    def _heard(self, notice: Notice) -> None:
        if notice.keeper == self.id:
            self._loop.call_soon(self.submitter.disown, notice)
            return
        self.events.emit(
            NoticeHeard(JobId(notice.job), PeerId(notice.keeper), notice.open)
        )
        self.workplaces.look_soon()
        self.upkeep.look()

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW * self._world.rng.uniform(0.9, 1.0))
            self.submitter.renew()
