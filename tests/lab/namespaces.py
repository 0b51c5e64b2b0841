"""Network namespaces: hosts without any network but the cards that they are given.

A namespace has no name that could be left behind. A process holds it, and ends when
this one does, in whatever way; programs that are started inside are killed then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.lab.switch import TUN, Port

#: Seconds that a command which configures something may take on a busy machine.
CONFIGURING = 30.0

#: Programs of util-linux, iproute2 and nftables.
PROGRAMS = ("unshare", "nsenter", "setpriv", "ip", "nft")

#: What makes a router of a host: whoever is inside (eth1) reaches the world (eth0) with
#: the router's address; what comes from the world uninvited is dropped.
ROUTER = """
table ip router {
  chain leaving {
    type nat hook postrouting priority 100
    oifname "eth0" masquerade
  }
  chain passing {
    type filter hook forward priority 0; policy drop
    iifname "eth1" accept
    ct state established,related accept
  }
  chain arriving {
    type filter hook input priority 0
    iifname "eth0" ct state new drop
  }
}
"""


def why_not() -> str:
    """Return why this process can't make namespaces, or ""."""
    if os.geteuid() != 0:
        return "needs root"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"needs namespaces, so {program!r}: install iproute2 and nftables"
    tried = subprocess.run(
        ["unshare", "--net", "test", "-r", TUN],
        capture_output=True,
        timeout=CONFIGURING,
        check=False,
    )
    return "" if tried.returncode == 0 else f"needs namespaces and {TUN}"


class Namespace:
    """One host's network."""

    def __init__(self) -> None:
        self._cards = 0
        self._holder = subprocess.Popen(
            ["unshare", "--net", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
        )
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.write(b"\n")
        self._holder.stdin.flush()
        assert self._holder.stdout.read(1), "no namespace could be made"
        self._configure("ip", "link", "set", "lo", "up")

    def inside(self, *command: str) -> list[str]:
        """Return the command that runs a command here."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *command]

    def give(self, port: Port, address: str, *routes: str) -> None:
        """Put a switch's port in as the next card: eth0, eth1.

        Args:
            port: The port.
            address: As 10.0.0.1/24.
            routes: What `ip route add` takes.
        """
        card, pid = f"eth{self._cards}", str(self._holder.pid)
        self._cards += 1
        _run(["ip", "link", "set", port.device, "netns", pid, "name", card])
        self._configure("ip", "address", "add", address, "brd", "+", "dev", card)
        self._configure("ip", "link", "set", card, "up")
        for route in routes:
            self._configure("ip", "route", "add", *route.split())

    def become_router(self) -> None:
        """Pass on what comes from eth1 to eth0, and the answers."""
        self._configure("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self._configure("nft", "-f", "-", said=ROUTER)

    def close(self) -> None:
        """Let it go; it is gone when the last process in it is."""
        self._holder.communicate(timeout=CONFIGURING)

    def _configure(self, *command: str, said: str = "") -> None:
        _run(self.inside(*command), said)


def _run(command: Sequence[str], said: str = "") -> None:
    done = subprocess.run(
        command,
        input=said,
        capture_output=True,
        text=True,
        timeout=CONFIGURING,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
