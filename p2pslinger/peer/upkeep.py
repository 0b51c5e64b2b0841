"""Upkeep: how a peer finds the grid, and stays in it.

Joining is tried for ever: last time's neighbours, configured addresses, the local
network. A peer keeps a few connections of its own choice, for gossip; beyond those it
dials whoever keeps a job that it could work on. It tells the directory where it is, and
compares notices with a neighbour now and then.
"""

from __future__ import annotations

import asyncio
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
from p2pslinger.peer.events import Dropped, Events, Noted
from p2pslinger.peer.links import Link, Links, OwnAddressError
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.messages import Cards, GetCards
from p2pslinger.wire.records import PeerCard, open_signed

#: Addresses that are dialled at the same time.
DIALS = 4

#: Cards that are asked of a new neighbour.
CARDS = 16

#: Seconds between two looks at whether this peer is where it should be.
LOOK = 15.0


@dataclass(frozen=True)
class Surroundings:
    """What upkeep works with; see `Upkeep`.

    Attributes:
        links: The open connections.
        overlay: The directory.
        notices: What is compared with neighbours.
        addresses: Where peers might be.
        resolve: Turns host names into addresses.
        card: Gives our signed card.
        wanted: Gives the keepers that we would work for and are not connected to.
    """

    links: Links
    overlay: Overlay
    notices: Notices
    addresses: Addresses
    resolve: Callable[[str], Awaitable[list[str]]]
    card: Callable[[], Signed]
    wanted: Callable[[], Iterable[PeerId]]


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
        self._dialling: set[tuple[str, int]] = set()
        self._seeking: set[PeerId] = set()
        self._told: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Begin."""
        self._owner.spawn(self._keep_linked())
        self._owner.spawn(self._keep_listed())
        self._owner.spawn(self._keep_comparing())

    def look(self) -> None:
        """Something has changed: see soon whether there is something to do."""
        self._changed.set()

    def found(self, host: str, port: int) -> None:
        """Learn an address from the local network."""
        if self._around.addresses.add(host, port):
            self.look()

    def joined(self, link: Link) -> None:
        """Get to know a new neighbour, and its neighbours."""
        self._learn(link.card, link.peer)
        host = link.connection.host
        if host and link.card.addresses:
            port = link.card.addresses[0].port
            self._around.addresses.add(host, port, link.peer)
            self._owner.spawn(self._list(link.peer, host, port))
        self._around.notices.compare_with(link.connection)
        link.connection.ask(GetCards(CARDS), self._got_cards)
        self.look()

    def left(self, link: Link) -> None:
        """A neighbour is gone: try to get it back, or find another."""
        self._around.addresses.soon(link.peer, self._loop.time())
        self.look()

    def notes(self) -> list[str]:
        """Return what the owner should know."""
        return [_trouble(place) for place in self._around.addresses.troubles()]

    # --- dialling -----------------------------------------------------------------

    async def _keep_linked(self) -> None:
        while True:
            self._changed.clear()
            self._dial_some()
            for peer in self._around.wanted():
                self._seek(peer)
            linked = set(self._around.links.open)
            due = self._around.addresses.next_due(linked)
            wait = LOOK if due is None else due - self._loop.time()
            try:
                async with asyncio.timeout(min(LOOK, max(0.05, wait))):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _dial_some(self) -> None:
        links = self._around.links.open
        room = limits.LINKS - len(links) - len(self._dialling)
        for place in self._around.addresses.due(self._loop.time(), set(links)):
            if len(self._dialling) >= DIALS:
                break
            if place.named or room > 0:
                room -= 1
                self._dial_soon(place)

    def _dial_soon(self, place: Place) -> None:
        key = (place.host, place.port)
        if key not in self._dialling:
            self._dialling.add(key)
            self._owner.spawn(self._dial(place))

    async def _dial(self, place: Place) -> None:
        try:
            await self._dial_each(place)
        finally:
            self._dialling.discard((place.host, place.port))
            self.look()

    async def _dial_each(self, place: Place) -> None:
        """Dial what a host name stands for, one address after the other."""
        hosts = await self._around.resolve(place.host)
        why = "" if hosts else "no such host is known"
        for host in hosts:
            try:
                peer = await self._around.links.dial(host, place.port)
            except OwnAddressError:
                self._around.addresses.forget(place)
                return
            except SlingerError as error:
                why = str(error)
            else:
                self._around.addresses.reached(place, peer)
                self._told.discard((place.host, place.port))
                return
        self._failed(place, why)

    def _failed(self, place: Place, why: str) -> None:
        self._around.addresses.failed(place, why, self._loop.time())
        key = (place.host, place.port)
        if place.named and key not in self._told:
            self._told.add(key)
            self._events.emit(Noted(_trouble(place)))

    def _seek(self, peer: PeerId) -> None:
        """Connect to one peer in particular, wherever the directory says it is."""
        if peer not in self._seeking and peer not in self._around.links.open:
            self._seeking.add(peer)
            self._owner.spawn(self._find_and_dial(peer))

    async def _find_and_dial(self, peer: PeerId) -> None:
        try:
            places = self._around.addresses.of(peer)
            if not places:
                for signed in await self._around.overlay.find(peer):
                    self._learn_signed(signed)
                places = self._around.addresses.of(peer)
            for place in places:
                if peer not in self._around.links.open:
                    await self._dial(place)
        finally:
            self._seeking.discard(peer)

    # --- learning -----------------------------------------------------------------

    def _got_cards(self, answer: msgspec.Struct | SlingerError, _: Body | None) -> None:
        if isinstance(answer, Cards):
            for signed in answer.cards:
                self._learn_signed(signed)
            self.look()

    def _learn_signed(self, signed: Signed) -> None:
        try:
            card = open_signed(PeerCard, signed, self._grid)
        except PeerError as error:
            self._events.emit(Dropped("card", str(error)))
        else:
            self._learn(card, signed.signer)

    def _learn(self, card: PeerCard, peer: PeerId) -> None:
        for address in card.addresses:
            self._around.addresses.add(address.host, address.port, peer)

    # --- directory and notices ----------------------------------------------------

    async def _list(self, peer: PeerId, host: str, port: int) -> None:
        """Bring a neighbour into the directory; the first one takes us into it."""
        first = not self._around.overlay.contacts()
        self._around.overlay.add_contact(peer, host, port)
        if first:
            await self._around.overlay.join([(host, port)])
            await self._publish()

    async def _keep_listed(self) -> None:
        while True:
            await asyncio.sleep(limits.CARD_LIFE / 2 * self._rng.uniform(0.8, 1.0))
            await self._publish()

    async def _publish(self) -> None:
        try:
            await self._around.overlay.put(self._around.card())
        except UnavailableError as error:
            self._events.emit(Noted(f"the directory can't be told of us: {error}"))

    async def _keep_comparing(self) -> None:
        while True:
            await asyncio.sleep(limits.DIGEST_EVERY * self._rng.uniform(0.9, 1.1))
            self._around.notices.compare_with_one()


def _trouble(place: Place) -> str:
    who = f" (peer {short(place.peer)})" if place.peer else ""
    return (
        f"{place.host}:{place.port}{who} can't be reached: {place.why}; "
        "trying again for ever"
    )
