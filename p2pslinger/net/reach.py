"""Which addresses can mean anything to us, and what names stand for."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket


async def resolve(host: str, port: int) -> list[str]:
    """Return the numeric addresses of a name, for datagrams; none if it is unknown."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # unknown, or no host name at all
        return []
    return [str(entry[4][0]) for entry in found]


def is_usable(host: str, named_by: str) -> bool:
    """Return whether an address may be that of a peer that `named_by` knows.

    A loopback address means the other's own machine, unless it is ours as well.
    """
    reach = _reach(host)
    return reach == "anywhere" or reach == _reach(named_by) == "loopback"


@functools.lru_cache(4096)
def _reach(host: str) -> str:
    """Return from where an address can be reached: anywhere, loopback, nowhere."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "nowhere"
    if address.is_multicast or address.is_unspecified:
        return "nowhere"
    return "loopback" if address.is_loopback else "anywhere"
