"""What a peer says about itself when it starts: who it is, where, and with whom.

The foreground peer is busy being a peer, so a thread asks it through the control
socket, as any program would. The thread ends by itself after a few seconds.
"""

from __future__ import annotations

import threading
from pathlib import Path

import click

from p2pslinger import paths
from p2pslinger.cli.ask import PATIENCE, put
from p2pslinger.cli.naming import of_name
from p2pslinger.cli.words import counted, of_id, printable
from p2pslinger.client.link import Link
from p2pslinger.errors import PeerError, UnavailableError
from p2pslinger.wire.control import GetPeers, GetStatus, Peers, Status
from p2pslinger.wire.ownfacts import StatusFacts

#: Seconds in which a peer should have found its neighbours (design.md: 1 s by a known
#: address, 3 s on the LAN).
FINDING = 3.0

#: Seconds between two looks.
LOOK = 0.2

#: Neighbours that are named.
NAMED = 5


class Announcer:
    """Tells the terminal once that the peer is there, and who its neighbours are.

    Args:
        data: The peer's data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def listening(self, address: str) -> None:
        """Say where the peer listens, and the rest as soon as it is known."""
        click.echo(f"listening on {printable(address)}" if address else "not listening")
        self._thread = threading.Thread(target=self._tell, name="announcer")
        self._thread.start()

    def end(self) -> None:
        """Stop waiting for neighbours."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _tell(self) -> None:
        try:
            with Link.open(paths.control_path(self._data), PATIENCE) as link:
                click.echo(who(put(link, GetStatus(), Status).facts))
                facts = with_neighbours(link, FINDING, self._over)
                click.echo(company(link, facts))
        except (UnavailableError, PeerError):
            pass  # the peer is ending already; its own error is the one to show
        except BrokenPipeError:
            pass  # nobody reads any more, and the peer goes on


def with_neighbours(
    link: Link, patience: float, over: threading.Event | None = None
) -> StatusFacts:
    """Return a peer's status once it has neighbours, or so many seconds are over."""
    over = over or threading.Event()
    looks = int(patience / LOOK)
    while not (facts := put(link, GetStatus(), Status).facts).neighbours:
        looks -= 1
        if looks <= 0 or over.wait(LOOK):
            break
    return facts


def who(facts: StatusFacts) -> str:
    """Return who a peer is."""
    return printable(
        f"peer {of_id(facts.peer)} ({facts.name}) of grid {of_id(facts.grid)}, "
        f"{counted(facts.slots, 'slot')}"
    )


def company(link: Link, facts: StatusFacts) -> str:
    """Return which neighbours a peer has, or that it is alone and why."""
    if not facts.neighbours:
        alone = "alone: no other peer of the grid has answered yet; it goes on looking"
        return "\n".join([alone, *(f"note: {printable(note)}" for note in facts.notes)])
    others = [peer for peer in put(link, GetPeers(), Peers).facts if not peer.this]
    named = [
        f"{of_id(peer.peer)} ({of_name(peer.name, peer.petname)})"
        for peer in others[:NAMED]
    ]
    if len(others) > NAMED:
        named.append(f"{len(others) - NAMED} more")
    found = counted(facts.neighbours, "neighbour")
    return printable(f"{found}: {', '.join(named)}" if named else found)
