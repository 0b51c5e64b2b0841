"""A peer as a process: the real world around `p2pslinger.peer.peer`.

Files, sockets, signals and processes begin here. Everything that can be wrong with them
is an error with a sentence before the peer runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from p2pslinger import paths
from p2pslinger.errors import AuthkeyError
from p2pslinger.net.discovery import LanDiscovery
from p2pslinger.net.streams import TlsStreams
from p2pslinger.peer.blobs.arriving import gathering
from p2pslinger.peer.computing.wishes import WrittenWishes
from p2pslinger.peer.config import Config
from p2pslinger.peer.disk import ThreadDisk
from p2pslinger.peer.peer import Peer
from p2pslinger.peer.people import Written
from p2pslinger.peer.rekeying import KeyFile
from p2pslinger.peer.world import World
from p2pslinger.sandbox.interpreters import Interpreters
from p2pslinger.sandbox.launcher import Launcher
from p2pslinger.sandbox.level import Finding
from p2pslinger.sandbox.sensors.machine import Machine
from p2pslinger.store.blobs import Blobs
from p2pslinger.store.folder import DataFolder
from p2pslinger.store.keyfile import load_or_create_identity
from p2pslinger.store.people import NAME as PEOPLE
from p2pslinger.store.prefsfile import NAME as PREFERENCES
from p2pslinger.store.salvage import open_state
from p2pslinger.wire import authkey as authkeys
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keyring import Keyring

LOOPBACK = "127.0.0.1"


def run(config: Config, *, ready: Callable[[str], None] | None = None) -> None:
    """Run a peer in this process until SIGINT, SIGTERM or `slinger down`.

    Args:
        config: How.
        ready: Called with "host:port" once it can be used.

    Raises:
        AuthkeyError: there is no authkey, and no program has brought this peer along.
        FolderBusyError: a peer runs on this data folder already.
        UnavailableError, DiskError: a port, a file or a socket can't be had.
    """
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
    )
    folder = DataFolder.make(config.data)
    # In the data folder, so that what a killed peer has left is found by the next one.
    scratch = folder.path / "scratch"
    with folder.lock():
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            asyncio.run(_run(config, folder, scratch, ready))
        finally:
            left = folder.path if config.throw_away else scratch
            shutil.rmtree(left, ignore_errors=True)


def _own_authkey(identity: Identity) -> Authkey:
    """Return the authkey of a grid of one: always the same, as its jobs are kept."""
    seed = hashlib.sha512(b"p2pslinger alone v1" + identity.secret).digest()
    return authkeys.from_random(seed[: authkeys.GRID_BYTES + authkeys.SECRET_BYTES])


async def _run(
    config: Config,
    folder: DataFolder,
    scratch: Path,
    ready: Callable[[str], None] | None,
) -> None:
    chance = random.SystemRandom()
    keyring = config.find_keyring()
    alone = keyring is None
    identity = load_or_create_identity(folder.path)
    if keyring is None:
        if not config.program_bound:
            raise AuthkeyError(
                "this machine belongs to no grid yet: run `slinger init` to found one, "
                "or `slinger init --join` with the authkey of one that exists"
            )
        keyring = Keyring(_own_authkey(identity))
        # Nobody else will ever join: no open port, and none that `slinger up` wants.
        config = replace(config, host=LOOPBACK, port=config.port * config.port_fixed)
    disk = ThreadDisk()
    wishes = paths.config_folder() / PREFERENCES
    world = World(
        streams=TlsStreams(identity, keyring.newest),
        slots=Launcher(scratch, polite=config.polite),
        probe=partial(_probe, scratch),
        disk=disk,
        wall=time.time,
        rng=chance,
        discovery=LanDiscovery(config.host) if config.mdns and not alone else None,
        resolve=_resolve,
        addresses=lambda: _addresses(config.host),
        interpreters=Interpreters(
            config.pythons or (),
            search=config.pythons is None and not config.program_bound,
        ),
        sayings=Written(paths.config_folder() / PEOPLE),
        wishes=WrittenWishes(wishes),
        sensors=Machine() if wishes.exists() or not config.throw_away else None,
        keys=None if config.authkey or alone else KeyFile(config.data),
        alone=alone,
    )
    control = paths.control_path(folder.path)
    peer = Peer(
        config=config,
        identity=identity,
        keyring=keyring,
        state=open_state(folder.state),
        blobs=Blobs(folder.blobs, gather=gathering),
        world=world,
        memory=_memory(config),
    )
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with contextlib.suppress(AttributeError, NotImplementedError):
            loop.add_signal_handler(getattr(signal, name), peer.stop)
    try:
        await peer.run(control=control, ready=ready)
    finally:
        disk.close()
        control.unlink(missing_ok=True)


async def _probe(scratch: Path) -> Finding:
    """Find how well slots can be confined; what is needed for it is loaded then."""
    from p2pslinger.sandbox.probe import probe

    return await probe(scratch / "probe")  # its slots have numbers of their own


async def _resolve(host: str) -> list[str]:
    """Return a host's addresses, those of IPv4 first; none if it is unknown."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, None, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):  # unknown, or no host name at all
        return []
    addresses = dict.fromkeys(str(info[4][0]) for info in found)
    return sorted(addresses, key=lambda address: ":" in address)


def _addresses(host: str) -> list[str]:
    """Return where this machine can be dialled: not by loopback, if there is else."""
    if host not in {"", "0.0.0.0", "::"}:
        return [host]
    import psutil  # costs 15 ms, and a peer for one program never gets here

    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
        and "%" not in address.address  # link-local: means nothing elsewhere
    ]
    outside = [a for a in found if not a.startswith("127.") and a != "::1"]
    return sorted(outside or [LOOPBACK], key=lambda address: ":" in address)


def _memory(config: Config) -> int:
    return int(_total_memory() * config.memory_share / max(1, config.slot_count()))


def _total_memory() -> int:
    """Return the bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows, or a system without these
        import psutil

        return int(psutil.virtual_memory().total)
