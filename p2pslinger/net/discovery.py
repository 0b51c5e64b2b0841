"""Peers of this grid on the local network, found by multicast DNS.

- A service is called by a hash of the grid's id and the peer's short id. Two grids on
  one network never mix, and strangers learn no more than that there is a grid, which
  its ports tell them as well. It stays the same when the grid gets another authkey.
- What is found is a hint: somebody to dial. Who answers proves membership by TLS.
- A machine without network or multicast is no error. It is noted, and the other ways
  to join go on.
- No task runs here: zeroconf calls back when records arrive. A peer announces all of
  its records in one packet, so there is nothing to ask for.

zeroconf and psutil are imported when they are used: they cost 80 and 15 ms.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from ipaddress import IPv4Address
from socket import AF_INET, inet_aton
from typing import TYPE_CHECKING

from p2pslinger import limits
from p2pslinger.ids import GridId, PeerId, short

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

log = logging.getLogger(__name__)

SERVICE = "_p2pslinger._udp.local."

#: Services that are looked at, at most: any machine on the network can invent some.
SERVICES = 1024

#: Seconds that opening the sockets or saying goodbye may take.
PATIENCE = 5.0

#: Called with host and port of a peer that may be dialled.
OnFound = Callable[[str, int], None]


def grid_label(grid: GridId) -> str:
    """Return what this grid's services are called by: 14 letters and digits."""
    digest = hashlib.sha256(b"p2pslinger lan discovery v1" + grid).digest()
    return short(digest) + short(digest[5:])


class LanDiscovery:
    """Makes this peer known on the local network, and finds others.

    Args:
        host: The address that the peer listens on; "" for all of the machine.

    Attributes:
        note: Why it does not work, as a sentence, or None.
    """

    def __init__(self, host: str = "") -> None:
        self._host = host
        self._label = ""
        self._own_name = ""
        self._on_found: OnFound | None = None
        self._seen: dict[str, set[tuple[str, int]]] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self.note: str | None = None

    async def start(
        self, label: str, peer: PeerId, port: int, on_found: OnFound
    ) -> str | None:
        """Announce `peer` and begin to look; return the note if that does not work.

        `on_found` is called once per address of a peer, again when it comes back.
        """
        from zeroconf import Error

        self._label = label
        self._own_name = f"{label}-{short(peer)}.{SERVICE}"
        self._on_found = on_found
        try:
            async with asyncio.timeout(PATIENCE):
                await self._open(port)
        except (OSError, Error, TimeoutError) as error:
            await self.close()
            self.note = (
                "peers on the local network can't be found "
                f"({str(error) or type(error).__name__}): "
                "name one with --bootstrap HOST"
            )
            log.info("no discovery on the local network: %s", error)
        return self.note

    async def close(self) -> None:
        """Say goodbye and close. Does nothing if it has not started."""
        from zeroconf import Error

        zeroconf, self._zeroconf = self._zeroconf, None
        self._browser = self._on_found = None
        self._seen.clear()
        if zeroconf is None:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await zeroconf.async_close()
        except (OSError, Error, TimeoutError) as error:
            log.debug("no goodbye on the local network: %s", error)

    async def _open(self, port: int) -> None:
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        on_all = self._host in {"", "0.0.0.0", "::"}
        addresses = [a for a in _own_addresses() if on_all or a == self._host]
        if not addresses:  # checked here: zeroconf would leave sockets open
            raise OSError(f"this machine has no IPv4 address {self._host}".rstrip())
        self._zeroconf = AsyncZeroconf(interfaces=addresses)
        await self._zeroconf.zeroconf.async_wait_for_start()
        self._browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf, SERVICE, handlers=[self._changed]
        )
        # Names hold a peer id, so nobody need be asked whether ours is taken.
        await self._zeroconf.async_register_service(
            _service(self._own_name, _outward(addresses), port),
            cooperating_responders=True,
        )

    def _changed(
        self,
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        """Take news of a service (zeroconf passes these arguments by name)."""
        from zeroconf import ServiceStateChange

        ours = name.startswith(f"{self._label}-") and name != self._own_name
        if not ours or self._on_found is None:
            return
        if state_change is ServiceStateChange.Removed:
            self._seen.pop(name, None)
        elif name in self._seen or len(self._seen) < SERVICES:
            self._look_at(zeroconf, name)

    def _look_at(self, zeroconf: Zeroconf, name: str) -> None:
        from zeroconf import IPVersion
        from zeroconf.asyncio import AsyncServiceInfo

        info = AsyncServiceInfo(SERVICE, name)
        if not info.load_from_cache(zeroconf) or not info.port:
            return  # incomplete: we are called again when the rest arrives
        seen = self._seen.setdefault(name, set())
        hosts = info.parsed_scoped_addresses(IPVersion.V4Only)
        for host in hosts[: limits.ADDRESSES]:
            address = (host, info.port)
            if address not in seen and len(seen) < limits.ADDRESSES:
                seen.add(address)
                if self._on_found is not None:
                    self._on_found(host, info.port)


def _service(name: str, addresses: list[str], port: int) -> AsyncServiceInfo:
    from zeroconf.asyncio import AsyncServiceInfo

    return AsyncServiceInfo(
        SERVICE,
        name,
        port=port,
        addresses=[inet_aton(a) for a in addresses[: limits.ADDRESSES]],
        server=name,
    )


def _own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine that are up, loopback's last."""
    import psutil

    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = [
        IPv4Address(entry.address)
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if name in up and entry.family == AF_INET
    ]
    return [str(ip) for ip in sorted(found, key=lambda ip: ip.is_loopback)]


def _outward(addresses: list[str]) -> list[str]:
    """Return what others may dial; loopback if there is nothing else."""
    ips = [IPv4Address(text) for text in addresses]
    outward = [ip for ip in ips if not ip.is_loopback and not ip.is_link_local]
    return [str(ip) for ip in outward or ips]
