"""Listing: this peer's card, in the directory and at its neighbours.

1. The first neighbour takes us into the directory; the others are tried as contacts.
2. The card is put again long before it expires, and at once when it has changed. Then
   neighbours are told as well.
3. Before that we look who else signs cards as we do: a copy of our data folder would.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from p2pslinger import limits
from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.ids import PeerId
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.events import Events, Noted
from p2pslinger.peer.links import Links
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.acquainting import NewCard
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import PeerCard, read

#: Contacts that are taken over from the directory.
TAKEN = 16


class Listing:
    """Keeps this peer listed.

    Args:
        me: Our id.
        links: Whom to tell.
        overlay: The directory.
        addresses: Learns who is in it.
        card: Gives our signed card.
        seen: Called with every card of ours that others hold.
        rng: Spreads what is periodical.
        owner: Owns the tasks.
        events: Where to report.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        links: Links,
        overlay: Overlay,
        addresses: Addresses,
        card: Callable[[], Signed],
        seen: Callable[[PeerCard], None],
        rng: random.Random,
        owner: Owner,
        events: Events,
    ) -> None:
        self._me = me
        self._links = links
        self._overlay = overlay
        self._addresses = addresses
        self._card = card
        self._seen = seen
        self._rng = rng
        self._owner = owner
        self._events = events
        self._joining = False
        #: The directory has been asked to take us in; perhaps in vain.
        self.done = False

    async def keep(self) -> None:
        """Put the card again in good time, for ever."""
        while True:
            await asyncio.sleep(limits.CARD_LIFE / 2 * self._rng.uniform(0.8, 1.0))
            await self._look_for_twins()
            await self._publish()

    def announce(self) -> None:
        """Our card has changed, or nobody may remember it: tell everybody."""
        card = self._card()
        for link in self._links.open.values():
            link.connection.push(NewCard(card))
        self._owner.spawn(self._publish())

    async def join_by(self, peer: PeerId, host: str, port: int) -> bool:
        """Bring a neighbour into the directory; return whether it has taken us in."""
        self._overlay.add_contact(peer, host, port)
        if self._joining or (self.done and self._overlay.contacts()):
            return False
        self._joining = True
        try:
            await self._overlay.join([(host, port)], self._card())
            contacts = self._overlay.contacts()
            for contact in self._rng.sample(contacts, min(TAKEN, len(contacts))):
                self._addresses.add(contact[1], contact[2], contact[0])
        finally:
            self._joining = False
            self.done = True  # also if datagrams do not pass: links must do then
        return True

    async def _publish(self) -> None:
        try:
            await self._overlay.put(self._card())
        except UnavailableError as error:
            self._events.emit(Noted(f"the directory can't be told of us: {error}"))

    async def _look_for_twins(self) -> None:
        for signed in await self._overlay.find(self._me):
            try:
                self._seen(read(PeerCard, signed))
            except PeerError:
                continue  # a notice can lie under our id, if somebody wants it to
