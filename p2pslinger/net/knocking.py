"""Knocking: datagrams to a peer from a port that it has never heard of.

A router or firewall lets in what answers something. So whether a peer hears what it has
not asked for can only be seen from a port that it never wrote to.
"""

from __future__ import annotations

import asyncio

from p2pslinger.ids import PeerId
from p2pslinger.net.calls import KNOCK
from p2pslinger.net.datagrams import Seals

#: Seconds before each knock: one may be lost on the way.
PAUSES = (0.0, 0.5)

#: Bytes of a token, which shows the knocked-at which of its questions this answers.
TOKEN = 16


async def knock(
    seals: Seals, local: str, to: tuple[str, int], peer: PeerId, token: bytes
) -> bool:
    """Send some knocks; return whether this machine could.

    Args:
        seals: Our own: it is we who knock.
        local: The address that our own port is open on, which says IPv4 or IPv6.
        to: Where the peer should be.
        peer: Who.
        token: What it has asked us to bring.
    """
    if (":" in local) != (":" in to[0]):
        return False
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=(local, 0)
        )
    except OSError:
        return False
    try:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            for datagram in seals.copies(KNOCK + token, peer):
                transport.sendto(datagram, to)
    finally:
        transport.close()
    return True
