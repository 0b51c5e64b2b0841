"""One peer, put together: the only place where everything meets.

Every part is made here and given what it needs; nothing else builds anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from p2pslinger.errors import PeerError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.net.gossip import Notices
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.blobs.lending import Lending
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.blobs.shared import SharedValues
from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.governing import Governing
from p2pslinger.peer.computing.keepers import OwnKeeper
from p2pslinger.peer.computing.kinds import Kinds
from p2pslinger.peer.computing.offering import Offering
from p2pslinger.peer.computing.probing import Probing
from p2pslinger.peer.computing.terms import Terms
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.peer.computing.workplaces import Workplaces
from p2pslinger.peer.config import Config
from p2pslinger.peer.events import Events
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.keeping import make_company, make_custody
from p2pslinger.peer.life import Life
from p2pslinger.peer.links import Links
from p2pslinger.peer.membership import Membership
from p2pslinger.peer.neighbourhood import Neighbourhood
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.people import Acquaintance
from p2pslinger.peer.permitting import Permitting
from p2pslinger.peer.presence.presence import Presence
from p2pslinger.peer.programs.programs import Programs
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.peer.programs.unread import Attic
from p2pslinger.peer.reactions import Reactions
from p2pslinger.peer.remembering import Remembering
from p2pslinger.peer.serve import Serving
from p2pslinger.peer.telling import make_reports
from p2pslinger.peer.upkeep import Surroundings, Upkeep
from p2pslinger.peer.world import World
from p2pslinger.store.blobs import Blobs
from p2pslinger.store.state import State
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keyring import Keyring
from p2pslinger.wire.needs import Needs


class Peer:
    """One peer of a grid.

    Args:
        config: How it is to run.
        identity: Who it is.
        keyring: The grid's authkeys.
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
        keyring: Keyring,
        state: State,
        blobs: Blobs,
        world: World,
        memory: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.config = config
        self.identity = identity
        self._keyring = keyring
        self.state = state
        self._blobs = blobs
        self.world = world
        self.owner = Owner()
        self.life = Life(self)
        self.reactions = Reactions(self)
        self.events = Events()
        self._compose(memory)

    @property
    def id(self) -> PeerId:
        """Its id."""
        return self.identity.id

    @property
    def governing(self) -> Governing:
        """What its owner lets others have."""
        return self.permitting.governing

    @property
    def grid(self) -> GridId:
        """Id of its grid."""
        return self._keyring.grid

    @property
    def port(self) -> int:
        """The port that it listens on, TCP and UDP; 0 before it does."""
        return self.presence.card.port

    @property
    def people(self) -> Acquaintance:
        """What its owner says of others."""
        return self.membership.people

    # --- composition --------------------------------------------------------------

    def _compose(self, memory: int) -> None:
        world, grid, me = self.world, self._keyring.grid, self.identity
        self.offering = Offering(
            world.interpreters,
            self.owner,
            wanted=self._needs,
            changed=self.reactions.offer_changed,
            memory=memory,
        )
        self.presence = Presence(
            config=self.config,
            identity=me,
            authkey=self._keyring.newest,
            world=world,
            owner=self.owner,
            events=self.events,
            pythons=lambda: self.offering.pythons,
            end=self.life.end,
        )
        now = self.presence.clock.now
        self.membership = Membership(
            me.id,
            self._keyring,
            trusting=self.config.trust_members,
            world=world,
            changed=self.reactions.said,
            events=self.events,
        )
        self.addresses = Addresses(world.rng)
        self.around = Neighbourhood(me.id, self.config.name)
        self.journal = Journal(self.state, world.disk, self.owner, self._loop)
        self.company = make_company(self)
        self.keeper = Keeper(
            self._loop, self.events, world.rng.getrandbits(48), self.company
        )
        self.notices = Notices(
            grid=grid,
            wall=now,
            rng=world.rng,
            neighbours=self.around.connections,
            heard=self.reactions.heard,
            refuses=self.people.is_banned,
        )
        self.remembering = Remembering(
            self.state,
            self.journal,
            wall=now,
            events=self.events,
            connection=self.around.connection,
        )
        self.library = Library(
            me=me.id,
            blobs=self._blobs,
            owner=self.owner,
            reach=self.around.reaching,
            blame=self._refuse,
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
            receipts=self.remembering.credit,
            attic=Attic(self.library, self.owner),
        )
        self.confining = Confining(
            None if self.config.strangers else me.id,
            require=self.config.require,
            trusts_all=self.config.trust_members,
            allows=self.people.is_mine,
            serves=lambda one: self.people.serves(one) and self.governing.serves(one),
        )
        self.probing = Probing(
            self._loop,
            self.owner,
            world.probe,
            self.confining,
            needed=self.config.slot_count() > 0,
            changed=self.reactions.confined,
        )
        self.volunteer = Volunteer(
            loop=self._loop,
            owner=self.owner,
            source=world.slots,
            terms=Terms(
                grid,
                self.config.name,
                self.offering.offer,
                self.config.slot_count(),
                memory,
                self.config.memory_share,
            ),
            kinds=Kinds(self.confining, self.offering, self.probing.doubt),
            blobs=self.library,
            identity=me,
            wall=now,
            events=self.events,
            at_fault=self._refuse,
        )
        self.permitting = Permitting(self)
        self.custody = make_custody(self)
        own = self.keeper.sit(
            me.id,
            mine=not self.config.strangers,
            own=True,
            revoke=lambda revoke: self.volunteer.revoke(me.id, revoke),
            takes=lambda submitter: self.confining.of(submitter) is not None,
        )
        self.workplaces = Workplaces(
            own=OwnKeeper(
                self.keeper, own, self._blob, self.custody.delivering, self.library
            ),
            volunteer=self.volunteer,
            notices=self.notices,
            works_at=lambda keeper: self.confining.of(keeper) is not None,
            fits=lambda one: self.offering.fits(one.python, one.needs, own=True),
            rng=world.rng,
        )
        serving = Serving(
            me=me.id,
            grid=grid,
            owner=self.owner,
            keeper=self.keeper,
            lending=Lending(
                self.library, self.owner, self._blob, self.submitter.chunks
            ),
            volunteer=self.volunteer,
            notices=self.notices,
            links=lambda: self.links,
            credited=self.remembering.receipt,
            rekeyed=self.membership.rekeying.hear,
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
            joined=self.reactions.joined,
            left=self.reactions.left,
            met_self=self.presence.twins.met,
            holding=self.membership.rekeying.holds,
            refuses=self.people.is_banned,
            events=self.events,
        )
        self.overlay = Overlay(
            identity=me,
            authkey=self._keyring.newest,
            wall=now,
            rng=world.rng,
            spawn=self.owner.spawn,
            refuses=self.people.is_banned,
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
                self.people.banned,
            ),
            grid=grid,
            rng=world.rng,
            owner=self.owner,
            events=self.events,
        )
        self.around.connect(self.links, self.overlay, self.addresses, self.upkeep)
        self.explaining, self.reports, self.jobreports = make_reports(self)
        self.events.subscribe(self.reports.hear)
        self.programs = Programs(
            owner=self.owner,
            submitter=self.submitter,
            deposits=self.custody.deposits,
            shared=SharedValues(self.library, self.owner),
            reports=self.reports,
            jobreports=self.jobreports,
            wall=world.wall,
            stop=self.stop,
            deserted=self.life.deserted,
            more=self.permitting.add_to,
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
        await self.life.run(control, ready)

    def stop(self) -> None:
        """Shut down, politely."""
        self.life.stop()

    # --- what its parts ask of each other -------------------------------------------

    def is_mine(self, peer: PeerId) -> bool:
        """Tell whether what a peer has computed counts as this machine's own."""
        stranger = self.config.strangers and peer == self.id
        return self.people.is_mine(peer) and not stranger

    def _refuse(self, peer: PeerId, error: PeerError) -> None:
        self.links.refuse(peer, error)

    def _blob(self, job: JobId, digest: bytes) -> bytes:
        data = self.custody.blob(job, digest)
        return data if data is not None else self.submitter.blob(job, digest)

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        parts = (self.presence, self.membership, self.governing, self.offering)
        return [note for part in parts for note in part.notes()]

    def _needs(self) -> Iterator[Needs]:
        """Yield what open jobs need, ours first."""
        yield from (job.needs for job in self.keeper.jobs.values())
        yield from (notice.needs for notice in self.notices.open_notices())
