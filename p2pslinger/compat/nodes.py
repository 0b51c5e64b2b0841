"""The peers behind minimalcluster's nodes: a process each, for as long as the node is.

A cluster is a grid of its own, whose authkey is stretched from the cluster's. Each peer
has a throw-away data folder and ends with the program that started it, however that
ends. A worker's name tells the master its host and process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from socket import getfqdn
from typing import cast

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from p2pslinger import limits, paths
from p2pslinger.client.children import start_peer
from p2pslinger.client.link import Link
from p2pslinger.errors import SlingerError, UsageError
from p2pslinger.wire import authkey
from p2pslinger.wire.control import GetPeers, GetStatus, Peers, Stop
from p2pslinger.wire.facts import PeerFacts

#: Seconds that a peer gets to start.
START = 30.0

#: Seconds that a worker gets to join its master.
JOIN = 10.0

#: Seconds between two looks at something that another process does.
LOOK = 0.02

#: What two clusters with the same authkey have in common, and no other grid.
SALT = b"p2pslinger minimalcluster v1"

#: Where a master listens whose worker on the same machine finds it at 127.0.0.1.
HERE = {"", "0.0.0.0", "localhost"}

#: The name of the master's peer.
MASTER = "minimalcluster master"

_WORKER = re.compile(r"(?P<host>.*) \(worker (?P<pid>\d+)\)")

#: A worker as minimalcluster shows it: host, cores, process, and whether it is busy.
Worker = tuple[str, int, int, int]


class Node:
    """A peer of a cluster, in a process of its own, and the connection to it.

    Args:
        key: The cluster's authkey.
        name: What the others see.
        slots: Cores that it computes with.
        host: Address that it listens on; "" for all of them.
        port: Port that it listens on; 0 for any.
        bootstrap: Where it joins, or "".

    Raises:
        UnavailableError: it can't start; the text says why.
    """

    def __init__(
        self,
        key: bytes,
        *,
        name: str,
        slots: int,
        host: str = "",
        port: int = 0,
        bootstrap: str = "",
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slinger-"))
        self._child = start_peer(
            {
                "SLINGER_DATA": str(self._folder),
                "SLINGER_CONFIG": str(self._folder),
                "SLINGER_AUTHKEY": stretched(key),
                "SLINGER_NAME": name[: limits.NAME],
                "SLINGER_HOST": host,
                "SLINGER_PORT": str(port),
                "SLINGER_BOOTSTRAP": bootstrap,
                "SLINGER_SLOTS": str(slots),
                "SLINGER_MDNS": "no",
                "SLINGER_TRUST_MEMBERS": "yes",
                "SLINGER_THROW_AWAY": "yes",
            }
        )
        try:
            self._child.wait_until_ready(START)
            self.link = Link.open(paths.control_path(self._folder))
            self.link.request(GetStatus(), timeout=START)
        except BaseException:
            self._child.end()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def pid(self) -> int:
        """The process of the peer."""
        return self._child.pid

    def peers(self) -> tuple[PeerFacts, ...]:
        """Return the peers that it sees, itself included."""
        return cast(Peers, self.link.request(GetPeers())).facts

    def wait_for(self, there: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; return whether it is, in time."""
        deadline = time.monotonic() + seconds
        while not there():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK)
        return True

    def close(self) -> None:
        """End the peer."""
        with contextlib.suppress(SlingerError):
            self.link.request(Stop(), timeout=1.0)
        self.link.close()
        self._child.end()
        shutil.rmtree(self._folder, ignore_errors=True)


def master_node(key: bytes, host: str, port: int) -> Node:
    """Start the peer that others join and that computes nothing."""
    everywhere = host in {"", "0.0.0.0", "::"}
    return Node(key, name=MASTER, slots=0, host="" if everywhere else host, port=port)


def worker_node(key: bytes, host: str, port: int, slots: int) -> Node:
    """Start a peer that joins a master and computes for it."""
    nearby = "127.0.0.1" if host in HERE else host
    mine = nearby if is_loopback(nearby) else ""
    place = f"[{nearby}]:{port}" if ":" in nearby else f"{nearby}:{port}"
    name = f"{getfqdn()} (worker {os.getpid()})"
    return Node(key, name=name, slots=slots, host=mine, bootstrap=place)


def workers_among(peers: tuple[PeerFacts, ...], *, busy: bool) -> list[Worker]:
    """Return those peers that are workers."""
    found = ((_WORKER.fullmatch(one.name), one.slots) for one in peers)
    return [
        (match["host"], slots, int(match["pid"]), int(busy))
        for match, slots in found
        if match is not None
    ]


def has_master(peers: tuple[PeerFacts, ...]) -> bool:
    """Whether the master is among those peers."""
    return any(one.name == MASTER for one in peers)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which no other machine reaches."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def key_bytes(key: str | bytes) -> bytes:
    """Return a cluster's authkey as bytes.

    Raises:
        UsageError: it is neither bytes nor text.
    """
    if not isinstance(key, str | bytes):
        raise UsageError("AUTHKEY must be either string or byte string.")
    return key.encode() if isinstance(key, str) else key


def stretched(key: bytes) -> str:
    """Return the text form of the grid's authkey for a cluster's, which may be weak."""
    kdf = Scrypt(salt=SALT, length=40, n=authkey.SCRYPT_COST, r=8, p=1)
    return authkey.from_random(kdf.derive(key)).to_text()


def warn_of_weak(key: bytes) -> None:
    """Say once that a cluster's authkey can be guessed."""
    bits = authkey.estimated_bits(key.decode("utf-8", "replace"))
    if bits < authkey.PASSPHRASE_BITS and not _warned:
        _warned.append(True)
        warnings.warn(
            f"this AUTHKEY is weak (about {bits:.0f} bits): whoever can see the "
            "network can guess it and run programs on every worker; use six unrelated "
            "words, or leave it out and have one made",
            stacklevel=3,  # who makes the node
        )


_warned: list[bool] = []
