"""Dialling: from an address, or from no more than a peer's id, to a link.

Several addresses are tried at once, each peer by one of them. A peer that we look for
in particular is tried wherever it might be, and looked up in the directory.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from p2pslinger.errors import SlingerError
from p2pslinger.ids import PeerId
from p2pslinger.peer.addresses import FIRST_RETRY, LAST_RETRY, Addresses, Place
from p2pslinger.peer.links import Links, OwnAddressError
from p2pslinger.peer.owner import Owner

#: Addresses that are dialled at the same time.
DIALS = 4


@dataclass(eq=False, slots=True)
class Search:
    """A peer that we look for: when to try it next, and how long after that."""

    due: float = 0.0
    wait: float = FIRST_RETRY


class Dialling:
    """Makes links.

    Args:
        links: Where they are made, and kept.
        addresses: Where peers might be.
        resolve: Turns host names into addresses.
        look_up: Asks the directory where a peer is; `addresses` know afterwards.
        rng: Spreads the tries.
        owner: Owns the tasks that dial.
        failed: Called with an address at which nobody answers.
        ended: Called after every try.
        banned: Gives those who are never dialled.
    """

    def __init__(
        self,
        *,
        links: Links,
        addresses: Addresses,
        resolve: Callable[[str], Awaitable[list[str]]],
        look_up: Callable[[PeerId], Awaitable[None]],
        rng: random.Random,
        owner: Owner,
        failed: Callable[[Place], None],
        ended: Callable[[], None],
        banned: Callable[[], Iterable[PeerId]] = tuple,
    ) -> None:
        self._links = links
        self._addresses = addresses
        self._resolve = resolve
        self._look_up = look_up
        self._rng = rng
        self._owner = owner
        self._failed = failed
        self._ended = ended
        self._banned = banned
        self._loop = asyncio.get_running_loop()
        self._searches: dict[PeerId, Search] = {}
        #: Addresses that are being dialled.
        self.places: set[Place] = set()
        #: When the next search is due.
        self.next_search = math.inf

    @property
    def full(self) -> bool:
        """Whether as many are being dialled as may be."""
        return len(self.places) >= DIALS

    def peers(self) -> set[PeerId | None]:
        """Return who is not to be dialled: connected, being dialled, or banned."""
        dialled = (place.peer for place in self.places if place.peer is not None)
        return {*dialled, *self._links.open, *self._banned()}

    def dial_soon(self, place: Place) -> None:
        """Start dialling an address."""
        self._note(place)
        self._owner.spawn(self._dial(place))

    # --- peers in particular ------------------------------------------------------

    def seek(self, wanted: Iterable[PeerId], most: int) -> None:
        """Look for peers that are not connected, until `most` of them are.

        It takes another call at `next_search`, and when a try has ended.
        """
        now, linked = self._loop.time(), self._links.open
        banned = set(self._banned())
        peers = dict.fromkeys(peer for peer in wanted if peer not in banned)
        self._searches = {
            peer: search
            for peer, search in self._searches.items()
            if peer in peers and peer not in linked
        }
        searching = [s for s in self._searches.values() if s.due == math.inf]
        most -= len(searching) + sum(1 for peer in peers if peer in linked)
        self.next_search = math.inf
        for peer in peers:
            if most <= 0:
                break
            if peer in linked:
                continue
            search = self._searches.setdefault(peer, Search())
            if search.due <= now:
                most -= 1
                search.due = math.inf
                self._owner.spawn(self._search(peer, search))
            self.next_search = min(self.next_search, search.due)

    async def _search(self, peer: PeerId, search: Search) -> None:
        try:
            places = self._addresses.of(peer)
            due = min((place.due for place in places), default=-math.inf)
            if due <= self._loop.time():
                await self._try_each(peer)
                if peer not in self._links.open:
                    await self._look_up(peer)
                    await self._try_each(peer)
        finally:
            pause = search.wait * self._rng.uniform(0.75, 1.25)
            search.due = self._loop.time() + pause
            search.wait = min(LAST_RETRY, search.wait * 2)
            self._ended()

    async def _try_each(self, peer: PeerId) -> None:
        """Dial every address where a peer might be, until it is connected."""
        for place in self._addresses.of(peer):
            if peer in self._links.open:
                return
            if place.due <= self._loop.time():
                self._note(place)
                await self._dial(place)

    # --- one address --------------------------------------------------------------

    def _note(self, place: Place) -> None:
        self.places.add(place)
        self._addresses.trying(place)

    async def _dial(self, place: Place) -> None:
        try:
            await self._dial_each(place)
        finally:
            self.places.discard(place)
            self._ended()

    async def _dial_each(self, place: Place) -> None:
        """Dial what a host name stands for, one address after the other."""
        hosts = await self._resolve(place.host)
        why = "" if hosts else "no such host is known"
        for host in hosts:
            try:
                peer = await self._links.dial(host, place.port)
            except OwnAddressError:
                self._addresses.forget(place)
                return
            except SlingerError as error:
                why = str(error)
            else:
                self._addresses.reached(place, peer, self._loop.time())
                return
        self._addresses.failed(place, why, self._loop.time())
        self._failed(place)
