"""The grid around this peer: who is connected, who can be reached, what is listed."""

from __future__ import annotations

import asyncio

from p2pslinger.ids import PeerId, short
from p2pslinger.net.connection import Connection
from p2pslinger.net.overlay import Overlay
from p2pslinger.peer.addresses import Addresses
from p2pslinger.peer.blobs.reaching import Reaching
from p2pslinger.peer.links import Links
from p2pslinger.peer.upkeep import Upkeep
from p2pslinger.rules.keeping import Applicant
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Address


class Neighbourhood:
    """What the parts of a peer ask of the grid around it.

    Args:
        me: This peer.
        name: What people call it.
    """

    links: Links
    _overlay: Overlay
    _addresses: Addresses
    _upkeep: Upkeep

    def __init__(self, me: PeerId, name: str) -> None:
        self._me = me
        self._own_name = name
        self.reaching = Reaching(lambda: self.links)

    def connect(
        self, links: Links, overlay: Overlay, addresses: Addresses, upkeep: Upkeep
    ) -> None:
        """Take in by what others are reached."""
        self.links = links
        self._overlay = overlay
        self._addresses = addresses
        self._upkeep = upkeep

    def connection(self, peer: PeerId) -> Connection | None:
        """Return the open connection to a peer."""
        link = self.links.open.get(peer)
        return None if link is None else link.connection

    def connections(self) -> list[Connection]:
        """Return all open connections."""
        return [link.connection for link in self.links.open.values()]

    def name(self, peer: PeerId) -> str:
        """Return a peer's name, or its short id if it is not connected."""
        if peer == self._me:
            return self._own_name
        link = self.links.open.get(peer)
        return link.card.name if link is not None else short(peer)

    def applicants(self) -> list[Applicant]:
        """Return who could keep a job: is connected, and can be dialled by others."""
        now = asyncio.get_running_loop().time()
        return [
            Applicant(link.peer, now - link.connection.opened_at)
            for link in self.links.open.values()
            if link.card.addresses
        ]

    async def reach(self, peer: PeerId) -> Connection:
        """Connect to a peer, wherever the directory says that it is.

        Raises:
            UnavailableError: it is not there.
        """
        if peer not in self.links.open:
            await self._upkeep.learn(peer)
        places = self._addresses.of(peer)
        where = [Address(place.host, place.port) for place in places]
        return await self.reaching(peer, where)

    async def put(self, record: Signed) -> int:
        """Put a record into the directory; return how many peers took it.

        Raises:
            UnavailableError: nobody did.
        """
        return await self._overlay.put(record)

    async def find(self, key: bytes) -> list[Signed]:
        """Look up the records under a key of the directory."""
        return await self._overlay.find(key)
