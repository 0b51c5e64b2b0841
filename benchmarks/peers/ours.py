"""p2pslinger, in three ways: over TLS, in slots of the own machine, on three hosts.

Over TLS is the honest one: every task leaves the program's peer, which computes nothing
here, for one of two others, as it would if they were other machines.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.peers.contender import WORKERS, ByExecutor, NotMeasuredError
from benchmarks.peers.hosts import Hosts

SMALL = "small tasks as they are, `map` sizes its chunks by itself"


class OverTls(ByExecutor):
    """Two other peers on this machine, with a slot each."""

    title = "p2pslinger, two peers"
    package = "p2pslinger"
    settings = f"`slinger.local(peers=3, slots=[0, 1, 1])`; {SMALL}"

    def start(self) -> None:
        """See `Contender.start`."""
        slinger = importlib.import_module("p2pslinger")
        self.executor = slinger.local(peers=1 + WORKERS, slots=[0] + WORKERS * [1])


class OwnMachine(ByExecutor):
    """The peer that a program without any brings along, with two slots."""

    title = "p2pslinger, own slots"
    package = "p2pslinger"
    settings = f"`slinger.connect()` without a running peer, {WORKERS} slots; {SMALL}"

    def start(self) -> None:
        """See `Contender.start`."""
        self._end = ExitStack()
        folder = tempfile.mkdtemp(prefix="slinger-")
        self._end.callback(shutil.rmtree, folder, ignore_errors=True)
        own = {"SLINGER_DATA": folder, "SLINGER_CONFIG": folder, "SLINGER_MDNS": "no"}
        os.environ.update(own, SLINGER_SLOTS=str(WORKERS))
        slinger = importlib.import_module("p2pslinger")
        self.executor = slinger.connect()

    def close(self) -> None:
        """See `Contender.close`."""
        control = importlib.import_module("p2pslinger.wire.control")
        paths = importlib.import_module("p2pslinger.paths")
        link = importlib.import_module("p2pslinger.client.link")
        with link.Link.open(paths.control_path(Path(os.environ["SLINGER_DATA"]))) as to:
            super().close()
            to.request(control.Stop(), timeout=5.0)
        self._end.close()


class ThreeHosts(ByExecutor):
    """Two other peers, each in a network namespace of its own."""

    title = "p2pslinger, two hosts"
    package = "p2pslinger"
    settings = (
        "`slinger up` in three network namespaces joined by a bridge, the program's "
        "with `--slots 0`, the others' with `--slots 1 --trust-members` and "
        f"`foreign_load` off; {SMALL}"
    )
    has_cold_start = False  # a grid of hosts runs before a program does

    def start(self) -> None:
        """See `Contender.start`."""
        why = Hosts.why_not()
        if why:
            raise NotMeasuredError(why)
        slinger = importlib.import_module("p2pslinger")
        self._hosts = Hosts()
        try:
            data = self._hosts.up(slots=[0] + WORKERS * [1])
            self.executor = slinger.connect(data=data, trust="pickle")
        except BaseException:
            self._hosts.close()
            raise

    def close(self) -> None:
        """See `Contender.close`."""
        super().close()
        self._hosts.close()
