"""How long `slinger up` takes until the peer has joined its grid.

From the start of the process to the moment at which the peer says that it has a
neighbour: through a bootstrap address, and through a neighbour that it knows from last
time. Discovery on the LAN is not measured here: this stays on the loopback device.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from benchmarks.figures import show, wait_until
from p2pslinger import paths
from p2pslinger.client.link import Link
from p2pslinger.errors import UnavailableError
from p2pslinger.wire import authkey
from p2pslinger.wire.control import GetStatus, Status, Stop

RUNS = 7

PATIENCE = 30.0


class Up:
    """A `slinger up` of its own.

    Args:
        folder: For its data.
        key: The authkey, as text.
        bootstrap: Where to join, or "" to rely on old neighbours.
    """

    def __init__(self, folder: Path, key: str, bootstrap: str = "") -> None:
        self._control = paths.control_path(folder)
        environment = {
            **os.environ,
            "SLINGER_DATA": str(folder),
            "SLINGER_CONFIG": str(folder),
            "SLINGER_AUTHKEY": key,
            "SLINGER_HOST": "127.0.0.1",
        }
        command = ["up", "--slots", "1", "--port", "0", "--no-mdns"]
        command += ["--bootstrap", bootstrap] if bootstrap else []
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "p2pslinger", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._link = wait_until(self._open, PATIENCE, "the start of a peer")
        #: Seconds until it answered on its control socket.
        self.answered = time.perf_counter() - self._started

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._status().facts.address

    def joined(self) -> float:
        """Wait until it has a neighbour; return the seconds since it was started."""
        wait_until(lambda: self._status().facts.neighbours, PATIENCE, "joining")
        return time.perf_counter() - self._started

    def end(self) -> None:
        """End it."""
        with self._link as link:
            link.request(Stop(), timeout=5.0)
        self._process.wait(PATIENCE)

    def _open(self) -> Link | None:
        try:
            return Link.open(self._control)
        except UnavailableError:
            assert self._process.poll() is None, "slinger up has failed"
            return None

    def _status(self) -> Status:
        return cast(Status, self._link.request(GetStatus()))


@contextmanager
def ending(up: Up) -> Iterator[Up]:
    """End a peer with the block."""
    try:
        yield up
    finally:
        up.end()


def main() -> None:
    """Join through a bootstrap address, then again through the known neighbour."""
    key = authkey.from_random(os.urandom(40)).to_text()
    answers, bootstrapped, neighbourly = [], [], []
    with tempfile.TemporaryDirectory(prefix="slinger-") as name:
        folder = Path(name)
        with ending(Up(folder / "node", key)) as node:
            for run in range(RUNS):
                with ending(Up(folder / str(run), key, node.address)) as up:
                    bootstrapped.append(up.joined())
                with ending(Up(folder / str(run), key)) as up:
                    neighbourly.append(up.joined())
                    answers.append(up.answered)
    show("slinger up to joined, by bootstrap address", bootstrapped, "s", most=1.0)
    show("slinger up to joined, by known neighbour", neighbourly, "s", most=1.0)
    show("slinger up to answering its control socket", answers, "s")


if __name__ == "__main__":
    main()
