"""Reaching a peer that somebody has named: by the link that there is, or another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import PeerId, short
from p2pslinger.net.connection import Connection
from p2pslinger.peer.links import Links
from p2pslinger.wire.records import Address

#: Seconds that a connection which the other end makes at the same moment may take
#: longer than ours to be refused.
CROSSING = 1.0


class Reaching:
    """Connects to peers by the addresses that others have heard from them.

    Args:
        links: The open connections.
    """

    def __init__(self, links: Callable[[], Links]) -> None:
        self._links = links

    async def __call__(self, peer: PeerId, addresses: Sequence[Address]) -> Connection:
        """Return a connection to a peer.

        Raises:
            UnavailableError: it is not at any of these addresses.
        """
        links = self._links()
        why = "nobody knows where it can be dialled"
        for address in addresses:
            if peer in links.open:
                break
            try:
                await links.dial(address.host, address.port)
            except SlingerError as error:
                why = str(error)
        if addresses and peer not in links.open:
            await asyncio.sleep(CROSSING)
        if peer not in links.open:
            raise UnavailableError(f"peer {short(peer)} can't be reached: {why}")
        return links.open[peer].connection
