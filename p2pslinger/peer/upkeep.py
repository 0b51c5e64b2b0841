"""Upkeep: how a peer finds the grid, and stays in it.

1. Joining is tried for ever: last time's neighbours, configured addresses, the local
   network. The first neighbour takes us into the directory, and the directory names
   peers from all over the grid.
2. A peer keeps a few connections for gossip: it dials while it has fewer than
   `limits.LINKS`, and parts from the oldest when it has more than `KEPT`. So whoever
   everyone joins by is not connected with everyone for ever.
3. Beyond those it dials whoever keeps a job that it could work on, or one that it
   keeps too.
4. Now and then it dials somebody else, sooner if connections have broken, or if there
   are strangers in the directory: so the halves of a grid grow together, however
   content each is with itself.
5. After a sleep it starts over: the other ends have given its connections up.
6. It compares notices with a neighbour.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import GridId, PeerId, short
from p2pslinger.net.body import Body
from p2pslinger.net.gossip import Notices
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses, Place
from p2pslinger.peer.dialling import Dialling
from p2pslinger.peer.events import Dropped, Events, Unreached
from p2pslinger.peer.links import Link, Links
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.presence.listing import Listing
from p2pslinger.wire.acquainting import Cards, GetCards
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import PeerCard, open_signed, read

#: Cards that are asked of a new neighbour when we know hardly anybody.
CARDS = 16

#: Links until the directory has named peers from all over the grid: the first ones are
#: with whoever came just before us, and a grid of such links alone would be a chain.
FIRST_LINKS = 2

#: Links that a peer with nothing to compute keeps: twice what it looks for, because
#: others have looked for it, and a margin. Each costs the kernel a packet now and then.
KEPT = 12

#: Seconds after its last own job for which a peer keeps its volunteers' links as well:
#: the next job may follow.
LINGER = 600.0

#: Seconds between two looks at whether this peer is where it should be. Whatever can be
#: foreseen or heard of is looked at when it happens.
LOOK = 60.0

#: Seconds until somebody else is dialled: after connections have broken, then doubled
#: each time until it is a habit.
REACH_FIRST, REACH_LAST = 5.0, 300.0

#: Seconds within which a connection that breaks was probably refused: the reason that
#: the other end gave can be lost with what was on its way to it.
REFUSED = 2.0

#: Peers whose connections have broken, or strangers, who are dialled first.
LOST = 16

#: Seconds between two occasions on which strangers are dialled: in a grid that grows
#: fast, newcomers are strangers to each other.
STRANGERS = 60.0

#: Seconds within which an address found on the local network is tried: all who find it
#: at the same moment should not come at once.
GREET = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What upkeep works with; see `Upkeep`.

    Attributes:
        links: The open connections.
        overlay: The directory.
        notices: What is compared with neighbours.
        addresses: Where peers might be.
        resolve: Turns host names into addresses.
        listing: Brings neighbours into the directory, and us.
        wanted: Gives the keepers that we would work for, connected or not.
        partners: Gives the other keepers of durable jobs here, likewise.
        busy: Whether others may be at work for us.
        banned: Gives those who are never dialled.
    """

    links: Links
    overlay: Overlay
    notices: Notices
    addresses: Addresses
    resolve: Callable[[str], Awaitable[list[str]]]
    listing: Listing
    wanted: Callable[[], Iterable[PeerId]]
    partners: Callable[[], Iterable[PeerId]]
    busy: Callable[[], bool]
    banned: Callable[[], Iterable[PeerId]] = tuple


class Upkeep:
    """Keeps this peer connected.

    Args:
        around: What there is to work with.
        grid: For checking others' cards.
        rng: Spreads what is periodical.
        owner: Owns the tasks that dial.
        events: Where to report.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        grid: GridId,
        rng: random.Random,
        owner: Owner,
        events: Events,
    ) -> None:
        self._around = around
        self._grid = grid
        self._rng = rng
        self._owner = owner
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._dialling = Dialling(
            links=around.links,
            addresses=around.addresses,
            resolve=around.resolve,
            look_up=self.learn,
            rng=rng,
            owner=owner,
            failed=self._failed,
            ended=self.look,
            banned=around.banned,
        )
        self._told: set[Place] = set()
        self._lost: dict[PeerId, None] = {}
        self._given_up: set[PeerId] = set()
        self._met_at = self._loop.time()
        self._reach_wait = REACH_LAST
        self._reach_at = self._loop.time() + REACH_LAST * rng.uniform(0.5, 1.0)
        self._busy_until = -math.inf

    def start(self) -> None:
        """Begin."""
        self._owner.spawn(self._keep_linked())
        self._owner.spawn(self._keep_comparing())

    def look(self) -> None:
        """Something has changed: see soon whether there is something to do."""
        self._changed.set()

    def found(self, host: str, port: int) -> None:
        """Learn an address from the local network.

        Whoever is there is asked by datagram as well: with neighbours enough, nobody
        would dial it, and it may belong to a part of the grid that we don't know.
        """
        if self._around.addresses.add(host, port):
            self.look()
            greet = self._around.overlay.add_contact
            pause = GREET * self._rng.random()
            self._loop.call_later(pause, greet, None, host, port)

    def reach(self, strangers: Iterable[PeerId]) -> None:
        """Dial one of these soon: they are of another part of the grid."""
        for peer in strangers:
            if peer not in self._around.links.open:
                self._prefer(peer)
        now = self._loop.time()
        if now - self._met_at > STRANGERS:
            self._met_at = now
            self._reach_soon()
            self.look()

    def woke(self) -> None:
        """Start over: the other ends have given up our connections, or soon will."""
        for link in list(self._around.links.open.values()):
            self._given_up.add(link.peer)
            link.connection.close(UnavailableError("this machine was asleep"))
        self.look()

    def moved(self) -> None:
        """The network is another: who could not be reached may be now."""
        self._around.addresses.hurry(self._loop.time())
        self.look()

    def joined(self, link: Link) -> None:
        """Get to know a new neighbour, and its neighbours if we know few."""
        self._lost.pop(link.peer, None)
        self._told.difference_update(self._around.addresses.of(link.peer))
        self._learn(link.card, link.peer)
        host = link.connection.host
        if host and link.card.addresses:
            port = link.card.addresses[0].port
            self._around.addresses.add(host, port, link.peer)
            self._owner.spawn(self._list(link.peer, host, port))
        self._around.notices.compare_with(link.connection)
        if self._around.addresses.untried(self._dialling.peers()) < CARDS:
            link.connection.ask(GetCards(CARDS), self._got_cards)
        self.look()

    async def _list(self, peer: PeerId, host: str, port: int) -> None:
        if await self._around.listing.join_by(peer, host, port):
            self.look()

    def left(self, link: Link) -> None:
        """A neighbour is gone: try to get it back, or find another."""
        now = self._loop.time()
        settled = now - link.connection.opened_at > REFUSED
        given_up = link.peer in self._given_up
        self._given_up.discard(link.peer)
        if given_up or (link.connection.broke and settled):
            self._around.addresses.lost(link.peer, now)
            self._prefer(link.peer)
            self._reach_soon()
        else:
            self._around.addresses.parted(link.peer, now)
        self.look()

    def _prefer(self, peer: PeerId) -> None:
        """Dial a peer before others."""
        self._lost[peer] = None
        if len(self._lost) > LOST:
            del self._lost[next(iter(self._lost))]

    def _reach_soon(self) -> None:
        """Dial somebody soon, however many links there are."""
        self._reach_wait = REACH_FIRST
        self._reach_at = min(self._reach_at, self._loop.time() + self._reach_pause())

    def notes(self) -> list[str]:
        """Return what the owner should know: who is met elsewhere is no trouble."""
        places, met = self._around.addresses.troubles(), self._around.links.open
        return [_trouble(place) for place in places if place.peer not in met]

    # --- links --------------------------------------------------------------------

    async def _keep_linked(self) -> None:
        while True:
            self._changed.clear()
            self._part_from_some()
            partners = list(self._around.partners())
            self._dialling.seek(
                [*partners, *self._around.wanted()], limits.PARKED_AT + len(partners)
            )
            self._dial_some()
            timer = self._loop.call_at(self._next(), self.look)
            try:
                await self._changed.wait()
            finally:
                timer.cancel()

    def _room(self) -> int:
        """Return how many links are lacking."""
        wanted = limits.LINKS if self._around.listing.done else FIRST_LINKS
        return wanted - len(self._around.links.open) - len(self._dialling.places)

    def _dial_some(self) -> None:
        now, dialling = self._loop.time(), self._dialling
        if dialling.full or self._next() > now:
            return
        room = self._room()
        due = self._around.addresses.due(now, dialling.peers())
        if now >= self._reach_at:
            self._reach_wait = min(REACH_LAST, self._reach_wait * 2)
            self._reach_at = now + self._reach_pause()
            due.sort(key=lambda place: (place.peer not in self._lost, place.met))
            room = max(1, room)
        for place in due:
            if dialling.full:
                break
            if (room > 0 or place.urgent) and place.peer not in dialling.peers():
                room -= 1
                dialling.dial_soon(place)

    def _reach_pause(self) -> float:
        return self._reach_wait * self._rng.uniform(0.75, 1.25)

    def _next(self) -> float:
        """Return when there is something to do, unless something happens before."""
        times = [self._loop.time() + LOOK, self._dialling.next_search]
        if not self._dialling.full:
            addresses, avoid = self._around.addresses, self._dialling.peers()
            times.append(addresses.next_due(avoid, urgent=self._room() <= 0))
            times.append(self._reach_at)
        return min(times)

    def _part_from_some(self) -> None:
        """Close the oldest of too many links, those that others have made first."""
        now = self._loop.time()
        if self._around.busy():
            self._busy_until = now + LINGER
        links = [li for li in self._around.links.open.values() if li.connection.is_open]
        surplus = len(links) - KEPT
        if surplus <= 0 or now < self._busy_until:
            return
        wanted = {*self._around.wanted(), *self._around.partners()}
        idle = [link for link in links if link.peer not in wanted]
        idle.sort(key=lambda link: link.dialled)
        for link in idle[:surplus]:
            link.connection.close(UnavailableError("the peer has neighbours enough"))

    def _failed(self, place: Place) -> None:
        """Tell the owner, once, that an address which he named does not answer."""
        if place.named and place not in self._told:
            self._told.add(place)
            self._events.emit(Unreached(_trouble(place)))

    async def learn(self, peer: PeerId) -> None:
        """Find out where a peer is, if the directory knows it."""
        for signed in await self._around.overlay.find(peer):
            self._learn_signed(signed)

    # --- learning -----------------------------------------------------------------

    def _got_cards(self, answer: msgspec.Struct | SlingerError, _: Body | None) -> None:
        if isinstance(answer, Cards):
            for signed in answer.cards:
                self._learn_signed(signed)
            self.look()

    def _learn_signed(self, signed: Signed) -> None:
        try:
            card = read(PeerCard, signed)
            if not self._knows(card, signed.signer):  # most are known: check the rest
                open_signed(PeerCard, signed, self._grid)
        except PeerError as error:
            self._events.emit(Dropped("card", str(error)))
        else:
            self._learn(card, signed.signer)

    def _knows(self, card: PeerCard, peer: PeerId) -> bool:
        """Return whether a card would tell us nothing new."""
        places = {(p.host, p.port) for p in self._around.addresses.of(peer)}
        return places >= {(a.host, a.port) for a in card.addresses}

    def _learn(self, card: PeerCard, peer: PeerId) -> None:
        for address in card.addresses:
            self._around.addresses.add(address.host, address.port, peer)

    # --- notices ------------------------------------------------------------------

    async def _keep_comparing(self) -> None:
        while True:
            await asyncio.sleep(limits.DIGEST_EVERY * self._rng.uniform(0.9, 1.1))
            self._around.notices.compare_with_one()


def _trouble(place: Place) -> str:
    address = f"{place.host}:{place.port}"
    who = f" (peer {short(place.peer)})" if place.peer else ""
    why = place.why.removeprefix(f"{address} can't be reached: ")
    said = (
        why if why.startswith(f"{address} ") else f"{address} can't be reached: {why}"
    )
    return f"{said.replace(address, address + who, 1)}; trying again for ever"
