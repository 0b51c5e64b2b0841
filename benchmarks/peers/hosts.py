"""Hosts for peers: network namespaces with a card each, joined by the kernel's bridge.

The laboratory's switch is a thread of this program: made to lose packets, and too slow
to measure through. Here the kernel alone carries them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import wait_until
from p2pslinger import paths
from p2pslinger.client.grid import Grid
from p2pslinger.client.link import Link, NoPeerError
from p2pslinger.wire import authkey
from tests.lab.namespaces import PROGRAMS, Namespace

#: Addresses of the hosts, and the port of the first one's peer.
NETWORK, PORT = "10.78.0.", 8468

#: Seconds that the peers get to find each other.
JOINING = 30.0


class Hosts:
    """Some hosts and their peers, which are gone after `close`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slinger-"))
        # The others' load is that of this machine, which is one of them.
        (self._folder / "prefs.toml").write_text('foreign_load = "off"\n')
        self._key = authkey.from_random(os.urandom(40)).to_text()
        self._peers: list[subprocess.Popen[bytes]] = []
        self._switch = Namespace()
        self._hosts: list[Namespace] = []
        _run(self._switch, "ip", "link", "add", "bridge", "type", "bridge")
        _run(self._switch, "ip", "link", "set", "bridge", "up")

    @staticmethod
    def why_not() -> str:
        """Return why there can't be any here, or ""."""
        if sys.platform != "linux" or os.geteuid() != 0:
            return "network namespaces need Linux, and root"
        lacking = [one for one in PROGRAMS if shutil.which(one) is None]
        if lacking:
            return f"network namespaces need {', '.join(lacking)}"
        cable = "ip link add here type veth peer name there"
        tried = subprocess.run(
            ["unshare", "--net", "sh", "-c", cable], capture_output=True, check=False
        )
        return "" if tried.returncode == 0 else "the kernel has no veth devices"

    def up(self, slots: Sequence[int]) -> Path:
        """Start peers with so many slots; return the first one's data folder."""
        for number, count in enumerate(slots):
            self._add(number, count)
        data = self._folder / "0"
        wait_until(lambda: self._joined(data, len(slots)), JOINING, "joining")
        return data

    def close(self) -> None:
        """End the peers and remove the network."""
        for peer in self._peers:
            peer.terminate()
        for peer in self._peers:
            peer.wait(JOINING)
        for host in (*self._hosts, self._switch):
            host.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, number: int, slots: int) -> None:
        host, card, port = Namespace(), f"card{number}", f"port{number}"
        self._hosts.append(host)
        inside = host.inside()[1].removeprefix("--net=")
        pair = ["type", "veth", "peer", "name", card, "netns", inside.split("/")[2]]
        _run(self._switch, "ip", "link", "add", port, *pair)
        _run(self._switch, "ip", "link", "set", port, "master", "bridge", "up")
        address = f"{NETWORK}{number + 1}/24"
        _run(host, "ip", "address", "add", address, "brd", "+", "dev", card)
        _run(host, "ip", "link", "set", card, "up")
        words = [sys.executable, "-m", "p2pslinger", "up", "--slots", str(slots)]
        if number:
            words += ["--bootstrap", f"{NETWORK}1:{PORT}", "--trust-members"]
        settings = {
            "SLINGER_DATA": str(self._folder / str(number)),
            "SLINGER_CONFIG": str(self._folder),
            "SLINGER_AUTHKEY": self._key,
            "SLINGER_MDNS": "no",
            "SLINGER_PORT": str(PORT),
        }
        silent = subprocess.DEVNULL
        self._peers.append(
            subprocess.Popen(
                host.inside(*words),
                env={**os.environ, **settings},
                stdin=silent,
                stdout=silent,
                stderr=silent,
            )
        )

    def _joined(self, data: Path, peers: int) -> bool:
        try:  # not `connect`: that would start a peer on the folder if none runs yet
            with Grid(Link.open(paths.control_path(data))) as grid:
                return len(grid.peers()) == peers
        except NoPeerError:
            return False


def _run(host: Namespace, *command: str) -> None:
    subprocess.run(host.inside(*command), capture_output=True, check=True, timeout=30)
