"""What a peer remembers for its next start: receipts, and where neighbours were."""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.errors import DiskError
from p2pslinger.ids import PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.peer.events import Events, Noted
from p2pslinger.peer.journal import Journal
from p2pslinger.store.state import State
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.messages import Receipts
from p2pslinger.wire.records import Address, Receipt


class Remembering:
    """Writes down what is learnt on the way.

    Args:
        state: Where it goes.
        journal: Writes it.
        wall: Gives the wall time, seconds.
        events: Where to report.
        connection: Gives the open connection to a peer.
    """

    def __init__(
        self,
        state: State,
        journal: Journal,
        *,
        wall: Callable[[], float],
        events: Events,
        connection: Callable[[PeerId], Connection | None],
    ) -> None:
        self._state = state
        self._journal = journal
        self._wall = wall
        self._events = events
        self._connection = connection

    def neighbour(self, peer: PeerId, address: Address) -> None:
        """Remember where a peer could be reached."""
        seen = self._wall()
        self._journal.write(
            lambda: self._state.remember_neighbour(peer, address, seen),
            lambda error: self._note("a neighbour could not be remembered", error),
        )

    def receipt(self, signed: Signed) -> None:
        """Remember a receipt that somebody has given us."""
        self._journal.write(
            lambda: self._state.add_receipt(signed),
            lambda error: self._note("a receipt could not be kept", error),
        )

    def credit(self, volunteer: PeerId, signed: Signed, _: Receipt) -> None:
        """Remember a receipt of ours, and hand it to the volunteer if it is here."""
        self.receipt(signed)
        self.hand_over(volunteer, signed)

    def hand_over(self, volunteer: PeerId, signed: Signed) -> None:
        """Hand a receipt to its volunteer, if that is connected."""
        found = self._connection(volunteer)
        if found is not None:
            found.push(Receipts((signed,)))

    def _note(self, what: str, error: DiskError | None) -> None:
        if error is not None:
            self._events.emit(Noted(f"{what}: {error}"))
