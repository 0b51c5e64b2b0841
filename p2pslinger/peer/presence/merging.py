"""Merging: two parts of a grid that have met become one, within seconds.

1. The directory notices: somebody new names peers close to us that we have never heard
   of. A few are newcomers; a crowd is another part of the grid.
2. Then we dial one of them, and pass its card on to all our neighbours. They ask it who
   is close to *them*; whoever hears of a crowd passes the card on in turn. So every
   region of both parts meets its counterpart, and whoever is asked in vain ends it.
3. Each dials some stranger of its own soon, so that news flows between the parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from p2pslinger.errors import PeerError
from p2pslinger.ids import GridId, PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.datagrams import Place
from p2pslinger.net.exchange import Exchange
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.links import Link, Links
from p2pslinger.wire.acquainting import Cards
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import PeerCard, open_signed

#: Strangers in one answer that are another part of the grid, and no newcomers.
CROWD = 3

#: Seconds between two crowds that neighbours are told of, and after the start, when
#: everybody is a stranger.
ROUND, SETTLED = 300.0, 60.0

#: Seconds between two strangers whom neighbours can make us ask.
PAUSE = 10.0

#: Strangers remembered.
MOST = 64


class Merging:
    """Tells of other parts of the grid.

    Args:
        me: Our id.
        grid: For checking cards.
        links: Whom to tell.
        overlay: Asks strangers.
        addresses: Learns where they are.
        reach: Called with strangers: one of them is to be dialled soon.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        grid: GridId,
        links: Links,
        overlay: Overlay,
        addresses: Addresses,
        reach: Callable[[Iterable[PeerId]], None],
    ) -> None:
        self._me = me
        self._grid = grid
        self._links = links
        self._overlay = overlay
        self._addresses = addresses
        self._reach = reach
        self._loop = asyncio.get_running_loop()
        self._next_crowd = self._loop.time() + SETTLED
        self._next_card = self._loop.time()
        self._strangers: dict[PeerId, None] = {}
        self._card: Signed | None = None
        self._waiting = False

    def met(self, strangers: list[Place]) -> None:
        """Hear from the directory of peers that we should have known."""
        for one in strangers:
            assert one.peer is not None
            self._addresses.add(one.host, one.port, one.peer)
            self._strangers[one.peer] = None
            if len(self._strangers) > MOST:
                del self._strangers[next(iter(self._strangers))]
        now = self._loop.time()
        if len(strangers) >= CROWD and now >= self._next_crowd:
            self._next_crowd = now + ROUND
            self._waiting = self._card is None
            if self._card is not None:
                self._tell(self._card)
        self._reach(one.peer for one in strangers if one.peer is not None)

    def joined(self, link: Link) -> None:
        """Tell of a stranger that has become a neighbour, if it stands for a crowd."""
        if self._waiting and link.peer in self._strangers and link.card.addresses:
            self._waiting = False
            self._tell(link.signed)

    def hear(self, connection: Connection, cards: Cards, _: Exchange) -> None:
        """Hear from a neighbour of a stranger, and ask it who is close to us."""
        now = self._loop.time()
        if now < max(self._next_card, self._next_crowd):
            return
        if len(cards.cards) != 1:
            raise PeerError("told of several strangers at once")
        signed = cards.cards[0]
        card = open_signed(PeerCard, signed, self._grid)
        if signed.signer != self._me and card.addresses:
            self._next_card = now + PAUSE
            self._card = signed
            address = card.addresses[0]
            self._overlay.add_contact(signed.signer, address.host, address.port)

    def _tell(self, card: Signed) -> None:
        self._card = None
        for link in self._links.open.values():
            if link.peer != card.signer:
                link.connection.push(Cards((card,)))
