"""One machine of the laboratory: its peer, its programs, and what its owner sees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from p2pslinger import paths
from p2pslinger.client.grid import Grid
from p2pslinger.client.link import Link, NoPeerError
from p2pslinger.limits import PORT
from tests.grid.place import HANGING, output, until

if TYPE_CHECKING:
    from p2pslinger.wire.ownfacts import StatusFacts
    from tests.grid.place import Place
    from tests.lab.namespaces import Namespace

#: Seconds that a peer may take to answer its owner.
PATIENCE = 10.0

#: Bytes of a peer's log that are shown when a test has failed.
TAIL = 3000


class Machine:
    """A host of the laboratory.

    Args:
        name: What it is called, by its peer as well.
        address: Its IP address.
        host: Its network.
        place: Where its folders are, and who ends its processes.
    """

    def __init__(self, name: str, address: str, host: Namespace, place: Place) -> None:
        self.name = name
        self.address = address
        self._host = host
        self._place = place
        self._peer: subprocess.Popen[str] | None = None
        self.folder = place.folder / f"{name}'s"
        self.folder.mkdir()
        self.data = self.folder / "data"
        self.log = self.folder / "peer.log"

    def __repr__(self) -> str:
        return self.name

    # --- processes ----------------------------------------------------------------

    def start(
        self, *words: str, log: Path | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        """Start Python with these arguments; it is ended with the laboratory.

        Args:
            words: The arguments.
            log: A file that gets what it prints, which is read from pipes otherwise.
            variables: More environment.
        """
        environment = self._place.environment | {
            "SLINGER_HOST": "",
            "SLINGER_DATA": str(self.data),
            "SLINGER_NAME": self.name,
            "SLINGER_AUTHKEY": self._place.key,
            "SLINGER_TRUST_MEMBERS": "yes",
        }
        # Whatever ends the tests ends this as well.
        safely = ("setpriv", "--pdeathsig", "KILL", sys.executable)
        out = subprocess.PIPE if log is None else log.open("a")
        process = subprocess.Popen(
            self._host.inside(*safely, *words),
            env=environment | variables,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            text=True,
        )
        if not isinstance(out, int):
            out.close()
        self._place.started.append(process)
        return process

    def run(self, *words: str) -> str:
        """Run Python to its end; return what it printed."""
        return output(self.start(*words))

    def program(self, text: str) -> subprocess.Popen[str]:
        """Write a program into a file and start it."""
        file = self.folder / f"program{len(self._place.started)}.py"
        file.write_text(text)
        return self.start(file.name)

    def slinger(self, *words: str) -> str:
        """Type a `slinger` command that works; return what it printed."""
        return self.run("-m", "p2pslinger", *words)

    # --- its peer -----------------------------------------------------------------

    def up(self, *friends: Machine, slots: int = 1, **variables: str) -> Machine:
        """Start its peer; return when it answers its owner.

        Args:
            friends: Machines to join through.
            slots: How many tasks it computes at once.
            variables: More settings, as environment.
        """
        words = ["up", "--verbose", "--slots", str(slots)]
        for friend in friends:
            words += ["--bootstrap", f"{friend.address}:{PORT}"]
        self._peer = self.start("-m", "p2pslinger", *words, log=self.log, **variables)
        until(self._answers)
        return self

    def kill(self) -> None:
        """End its peer at once, by SIGKILL, slots included."""
        assert self._peer is not None
        self._peer.kill()
        self._peer.wait(HANGING)
        paths.control_path(self.data).unlink(missing_ok=True)

    def _answers(self) -> bool:
        assert self._peer is not None
        assert self._peer.poll() is None, self.said()
        try:
            self.grid().shutdown()
        except NoPeerError:
            return False
        return True

    # --- what its owner sees ------------------------------------------------------

    def grid(self) -> Grid:
        """Connect as a program on this machine, to the peer that runs."""
        return Grid(Link.open(paths.control_path(self.data), PATIENCE))

    def status(self) -> StatusFacts:
        """Return the state of its peer."""
        with self.grid() as grid:
            return grid.status()

    def sees(self) -> set[str]:
        """Return the names of the other peers that its peer is connected to."""
        with self.grid() as grid:
            return {peer.name for peer in grid.peers() if not peer.this}

    def meets(self, *others: Machine, seconds: float = HANGING) -> None:
        """Wait until its peer is connected to these machines' peers, and no others."""
        names = {other.name for other in others} - {self.name}
        until(lambda: self.sees() == names, seconds)

    def json(self, *words: str) -> object:
        """Type a command with --json; return what it says."""
        return json.loads(self.slinger(*words, "--json"))

    def said(self) -> str:
        """Return the end of what its peer has printed."""
        return self.log.read_text()[-TAIL:] if self.log.exists() else ""
