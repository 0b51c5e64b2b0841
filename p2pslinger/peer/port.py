"""Where a peer can be reached: its one port, TCP and UDP, and its control socket.

The port is the wanted one, or the next that is free. The control socket is a file that
only its owner can open, from the moment that it exists.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from p2pslinger import limits
from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.net.overlay import Overlay
from p2pslinger.net.ports import PortTakenError
from p2pslinger.peer.config import Config
from p2pslinger.peer.links import Links
from p2pslinger.sandbox.passing import PassingListener


async def open_port(links: Links, overlay: Overlay, config: Config) -> tuple[int, str]:
    """Listen with both on the same port.

    Returns:
        The port, and what the owner should know about it, or "".

    Raises:
        PortTakenError: somebody has it, and the owner wants this one and no other.
        UnavailableError: no port is free.
    """
    for port in _candidates(config):
        try:
            found = await _try(links, overlay, config.host, port)
        except PortTakenError:
            if config.port_fixed and config.port:
                raise
            continue
        if config.port and found != config.port:
            return found, f"port {config.port} was taken: listening on {found}"
        return found, ""
    raise UnavailableError(
        f"none of the ports {config.port} to {config.port + limits.PORT_TRIES - 1} is "
        "free: name one with --port"
    )


def _candidates(config: Config) -> Iterator[int]:
    if config.port_fixed and config.port:
        yield config.port
        return
    for offset in range(limits.PORT_TRIES):
        yield config.port + offset if config.port else 0


async def _try(links: Links, overlay: Overlay, host: str, port: int) -> int:
    found = await links.listen(host, port)
    try:
        return await overlay.open(host or "0.0.0.0", found)
    except UnavailableError:
        links.deafen()
        raise


def control_socket(path: Path) -> socket.socket:
    """Make the control socket, mode 0600; one that is there already is a dead peer's.

    Raises:
        DiskError: it can't be made.
    """
    listener = PassingListener(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)  # the data folder is locked: nobody uses it
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise DiskError(
            f"the control socket {path} can't be made: {error.strerror}"
        ) from None
    finally:
        os.umask(umask)
    return listener
