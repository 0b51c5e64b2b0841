"""Presence: who and where this peer is, as far as it can find out.

    card <- reachability <- neighbours that dial back
     |  <- clock <- neighbours' hellos
     +-> listing -> directory, neighbours

What changes here is told to those whom it concerns: the directory, the neighbours, the
owner. It is put together in three steps, since the parts need each other: what the
links need, what needs the links, what needs the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from p2pslinger.errors import UsageError
from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.discovery import grid_label
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.config import Config
from p2pslinger.peer.events import ClockOff, Events, Noted, Woke
from p2pslinger.peer.links import Link, Links
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.presence.clock import GridClock
from p2pslinger.peer.presence.dialback import DialBacks
from p2pslinger.peer.presence.listing import Listing
from p2pslinger.peer.presence.merging import Merging
from p2pslinger.peer.presence.owncard import OwnCard
from p2pslinger.peer.presence.reachability import Reachability
from p2pslinger.peer.presence.twins import Twins
from p2pslinger.peer.presence.wakeup import Wakeup
from p2pslinger.peer.upkeep import Upkeep
from p2pslinger.peer.world import World
from p2pslinger.store.keyfile import IDENTITY
from p2pslinger.wire.acquainting import Cards, DialBack, NewCard
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.records import Address, PeerCard, open_signed


class Presence:
    """What a peer knows of itself.

    Args:
        config: How it runs.
        identity: Who it is.
        authkey: The grid's.
        world: Everything outside.
        owner: Owns the tasks.
        events: Where to report.
        pythons: Gives the minor versions that slots can be of.
        end: Called if this process must stop, with the reason.
    """

    def __init__(
        self,
        *,
        config: Config,
        identity: Identity,
        authkey: Authkey,
        world: World,
        owner: Owner,
        events: Events,
        pythons: Callable[[], tuple[str, ...]],
        end: Callable[[UsageError], None],
    ) -> None:
        self._identity = identity
        self._authkey = authkey
        self._world = world
        self._owner = owner
        self._events = events
        self._discovering = asyncio.Lock()
        loop = asyncio.get_running_loop()
        born, started = loop.time(), int(world.wall() * 1e6)
        self.clock = GridClock(identity.id, world.wall, self._clock_changed)
        self.card = OwnCard(
            config=config,
            identity=identity,
            grid=authkey.grid,
            pythons=pythons,
            now=self.clock.now,
            started=started,
            hosts=self._hosts,
        )
        self.twins = Twins(
            started=started,
            age=lambda: loop.time() - born,
            now=self.clock.now,
            key=config.data / IDENTITY,
            end=end,
            events=events,
        )

    def connect(
        self, links: Links, overlay: Overlay, addresses: Addresses, handlers: Handlers
    ) -> None:
        """Take in whom others are met by, and hear what they say of us."""
        self._links, self._overlay, self._addresses = links, overlay, addresses
        self.merging = Merging(
            me=self._identity.id,
            grid=self._authkey.grid,
            links=links,
            overlay=overlay,
            addresses=addresses,
            reach=self._dial_one,
        )
        self.reach = Reachability(
            links=links,
            port=lambda: self.card.port,
            addresses=self._world.addresses,
            rng=self._world.rng,
            changed=self._reach_changed,
            events=self._events,
        )
        self.listing = Listing(
            me=self._identity.id,
            links=links,
            overlay=overlay,
            addresses=addresses,
            card=self.card.sign,
            seen=self.twins.seen,
            rng=self._world.rng,
            owner=self._owner,
            events=self._events,
        )
        dialbacks = DialBacks(links, overlay, self._owner)
        handlers.on(DialBack, dialbacks.answer)
        handlers.on(NewCard, self._new_card)
        handlers.on(Cards, self.merging.hear)

    def start(self, upkeep: Upkeep, renew: Callable[[], None]) -> None:
        """Begin, once this peer listens.

        Args:
            upkeep: Keeps us connected.
            renew: Tells others anew of our jobs.
        """
        self._upkeep, self._renew = upkeep, renew
        self._overlay.listen(self.merging.met, self.reach.knocked)
        self.wakeup = Wakeup(
            mono=asyncio.get_running_loop().time,
            wall=self._world.wall,
            addresses=self._world.addresses,
            woke=self._woke,
            moved=self._moved,
        )
        upkeep.start()
        self._owner.spawn(self.listing.keep())
        self._owner.spawn(self.reach.keep_checking())
        self._owner.spawn(self.wakeup.watch())
        self._owner.spawn(self._discover())

    # --- neighbours -----------------------------------------------------------------

    def joined(self, link: Link) -> None:
        """Hear what a new neighbour has to say of us."""
        self.clock.heard(link.peer, link.clock)
        self.reach.joined(link)
        self.merging.joined(link)

    def left(self, link: Link) -> None:
        """Forget it."""
        self.clock.lost(link.peer)
        self.reach.left(link)

    def _new_card(self, connection: Connection, new: NewCard, _: Exchange) -> None:
        """Hear that a neighbour's card has changed, or of a twin of ours."""
        peer = connection.peer
        assert peer is not None
        if new.card.key == self._identity.public:
            self.twins.seen(open_signed(PeerCard, new.card, self._authkey.grid))
            return
        self._links.update(peer, new.card)
        if peer in self._links.open and not self._links.open[peer].card.addresses:
            self._addresses.drop(peer)
            self._overlay.drop_contact(peer)

    # --- what we have found out -------------------------------------------------------

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        return [*self._upkeep.notes(), *self.clock.notes()]

    def listening(self) -> tuple[Address, ...]:
        """Return where this peer listens, whether others get there or not."""
        port = self.card.port
        own = self._world.addresses() if port else []
        return tuple(Address(host, port) for host in own)

    def _dial_one(self, strangers: Iterable[PeerId]) -> None:
        self._upkeep.reach(strangers)

    def _hosts(self) -> list[str]:
        return self.reach.hosts()

    def _reach_changed(self) -> None:
        self._overlay.serve(self.reach.standing.serves)
        self.listing.announce()

    def level_found(self, level: str) -> None:
        """Say on our card how well we can confine others' work."""
        if self.card.sandbox != level:
            self.card.sandbox = level
            self.listing.announce()

    def _clock_changed(self) -> None:
        self._events.emit(ClockOff(self.clock.correction))
        self._overlay.renew()
        self.listing.announce()

    def _woke(self, seconds: float) -> None:
        """Start over: time has passed, and others have given up on us."""
        self._events.emit(Woke(seconds))
        self._overlay.renew()
        self._upkeep.woke()
        self.listing.announce()
        self._renew()
        self._moved()

    def _moved(self) -> None:
        """See whom we can reach from here, and who can reach us."""
        self.reach.moved()
        self._upkeep.moved()
        self._owner.spawn(self._discover())

    async def _discover(self) -> None:
        """Make us known on the local network, the one that is here now."""
        discovery = self._world.discovery
        if discovery is None:
            return
        label = grid_label(self._authkey.grid)
        async with self._discovering:  # the machine may move twice in a moment
            await discovery.close()
            note = await discovery.start(
                label, self._identity.id, self.card.port, self._upkeep.found
            )
        if note:
            self._events.emit(Noted(note))
