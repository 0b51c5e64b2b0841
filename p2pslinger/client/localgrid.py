"""A throw-away grid on this machine: real peers, real sockets, gone with the program.

Every peer has a data folder of its own, which it removes at its end, and ends when the
program's connection to it does: so nothing is left, however the program ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from p2pslinger import paths
from p2pslinger.client.children import Child, start_peer
from p2pslinger.client.link import Link
from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.wire import authkey
from p2pslinger.wire.control import GetPeers, GetStatus, Peers, Status, Stop

#: Seconds that all peers get to start and to find each other.
START = 30.0

#: How peers treat each other, and the program.
_FRIENDS = {"SLINGER_TRUST_MEMBERS": "yes", "SLINGER_STRANGERS": "no"}
_STRANGERS = {"SLINGER_TRUST_MEMBERS": "no", "SLINGER_STRANGERS": "yes"}

#: Seconds between two looks at whether they have.
LOOK = 0.01


class LocalGrid:
    """Starts the peers and ends them.

    Args:
        slots: For each peer, how many slots it has.
        strangers: Whether they are strangers to each other and to the program.
        prefs: What their owners prefer, if they prefer anything.

    Raises:
        UsageError: a preference is none, or none that can be.
    """

    def __init__(
        self,
        slots: Sequence[int],
        *,
        strangers: bool = False,
        prefs: Mapping[str, object] | None = None,
    ) -> None:
        from p2pslinger.rules.prefkeys import in_words  # seldom needed

        wishes = None if prefs is None else in_words(prefs)
        self._children: list[Child] = []
        self._links: list[Link] = []
        self._folders: list[Path] = []
        key = authkey.from_random(os.urandom(40)).to_text()
        port = _free_port()
        try:
            for number, count in enumerate(slots):
                folder = Path(tempfile.mkdtemp(prefix="slinger-"))
                self._folders.append(folder)
                if wishes is not None:
                    (folder / "prefs.toml").write_text(wishes)
                settings = _settings(folder, number, count, key, port)
                settings |= _STRANGERS if strangers else _FRIENDS
                self._children.append(start_peer(settings))
            for child, folder in zip(self._children, self._folders, strict=True):
                child.wait_until_ready(START)
                self._links.append(Link.open(paths.control_path(folder)))
            self._wait_until_joined(len(slots))
            if strangers:
                self._wait_until_confined()
        except BaseException:
            self.close()
            raise

    @property
    def link(self) -> Link:
        """The connection to the first peer."""
        return self._links[0]

    def close(self) -> None:
        """End all peers."""
        for link in self._links:
            try:
                link.request(Stop(), timeout=1.0)
            except SlingerError:
                link.close()  # it ends when it sees that
        for link in self._links:
            link.close()
        for child in self._children:
            child.end()
        for folder in self._folders:
            _remove(folder)

    def _wait_until_confined(self) -> None:
        """Wait until all peers know how to confine the tasks of strangers.

        Raises:
            UnavailableError: not well enough.
        """

        def confined() -> bool:
            return all(_is_confined(link) for link in self._links)

        _wait(confined, "the local peers do not find out how they can confine tasks")

    def _wait_until_joined(self, peers: int) -> None:
        """Wait until the first peer knows all others, and all slots are ready."""

        def joined() -> bool:
            return len(cast(Peers, self.link.request(GetPeers())).facts) == peers

        def staffed() -> bool:
            states = [cast(Status, link.request(GetStatus())) for link in self._links]
            return not any(
                state.facts.idle_because is not None
                and state.facts.idle_because.code == "slots-starting"
                for state in states
            )

        _wait(joined, "the local peers do not find each other")
        _wait(staffed, "the slots of the local peers do not start")


def _is_confined(link: Link) -> bool:
    """Tell whether a peer is ready for the tasks of strangers.

    Raises:
        UnavailableError: it never will be.
    """
    facts = cast(Status, link.request(GetStatus())).facts
    if not facts.slots or facts.sandbox is None or facts.sandbox.for_members:
        return True
    if facts.sandbox.tried:
        missing = "; ".join(facts.sandbox.missing)
        raise UnavailableError(f"no strangers here: {facts.sandbox.text} ({missing})")
    return False


def _remove(folder: Path) -> None:
    """Remove what a peer has left that was killed before it could."""
    if folder.exists():
        with contextlib.suppress(OSError, SlingerError):
            paths.control_path(folder).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(done: Callable[[], bool], trouble: str) -> None:
    deadline = time.monotonic() + START
    while not done():
        if time.monotonic() > deadline:
            raise UnavailableError(f"{trouble} within {START:.0f} s")
        time.sleep(LOOK)


def _settings(
    folder: Path, number: int, slots: int, key: str, port: int
) -> dict[str, str]:
    return {
        "SLINGER_DATA": str(folder),
        "SLINGER_CONFIG": str(folder),
        "SLINGER_AUTHKEY": key,
        "SLINGER_NAME": f"peer {number + 1}",
        "SLINGER_HOST": "127.0.0.1",
        "SLINGER_PORT": str(port if number == 0 else 0),
        "SLINGER_BOOTSTRAP": "" if number == 0 else f"127.0.0.1:{port}",
        "SLINGER_SLOTS": str(slots),
        "SLINGER_MDNS": "no",
        "SLINGER_THROW_AWAY": "yes",
    }


def _free_port() -> int:
    """Return a port that is free now, for TCP and UDP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
