"""minimalcluster's worker: a process that computes for a master until that is gone."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from socket import getfqdn

from p2pslinger.compat.nodes import (
    JOIN,
    Node,
    has_master,
    key_bytes,
    warn_of_weak,
    worker_node,
)
from p2pslinger.errors import SlingerError, UsageError

#: Seconds between two looks at whether the master is still there.
WATCH = 0.25


class WorkerNode:
    """Computes for a master.

    Args:
        IP: The master's host name or address.
        PORT: The master's port.
        AUTHKEY: The cluster's secret.
        nprocs: Processors to use: as many as there are if it is more, or less than 1.
        quiet: Say less.
    """

    def __init__(
        self,
        IP: str,  # noqa: N803  # minimalcluster's own names
        PORT: int,  # noqa: N803
        AUTHKEY: str | bytes,  # noqa: N803
        nprocs: int,
        quiet: bool = False,
    ) -> None:
        self.IP = IP
        self.PORT = PORT
        self.AUTHKEY = key_bytes(AUTHKEY)
        warn_of_weak(self.AUTHKEY)
        self.nprocs = _clamped(nprocs)
        self.connected = False
        self.worker_hostname = getfqdn()
        self.quiet = quiet
        self._node: Node | None = None

    def connect(self) -> None:
        """Join the master; `connected` says whether that worked."""
        where = f"{self.IP}:{self.PORT}"
        self._say(f"Building connection to {where}")
        node = worker_node(self.AUTHKEY, self.IP, self.PORT, self.nprocs)
        if not node.wait_for(lambda: has_master(node.peers()), JOIN):
            node.close()
            print(
                "[ERROR] No connection could be made. Please check the network or your "
                "configuration."
            )
            return
        self._node, self.connected = node, True
        self._say(f"Client connected to {where}")

    def join_cluster(self) -> None:
        """Join the master and compute for it, until it is gone or someone interrupts.

        Raises:
            SystemExit: the master is gone.
        """
        self.connect()
        if self._node is None:
            return
        self._say(f"Listening to Master node {self.IP}:{self.PORT}")
        try:
            while has_master(self._node.peers()):
                time.sleep(WATCH)
        except SlingerError as error:
            print(f"[{datetime.now()}] {error}")
        finally:
            self._node.close()
            self._node, self.connected = None, False
        print(f"[{datetime.now()}] Lost connection with Master node.")
        sys.exit(1)

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(f"[{datetime.now()}] {text}")


def _clamped(nprocs: int) -> int:
    if type(nprocs) is not int:
        raise UsageError("'nprocs' must be an integer.")
    cores = os.cpu_count() or 1
    if 1 <= nprocs <= cores:
        return nprocs
    wrong = "more than the # of cores of this node" if nprocs > cores else "not valid"
    print(
        f"[WARNING] nprocs specified is {wrong}. "
        f"Using the # of cores ({cores}) instead."
    )
    return cores
