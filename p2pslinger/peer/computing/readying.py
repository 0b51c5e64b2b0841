"""Gets what an assignment lacks: what was too big for a message is fetched first."""

from __future__ import annotations

from collections.abc import Callable

from p2pslinger.errors import PeerError, SlingerError
from p2pslinger.ids import PeerId
from p2pslinger.peer.computing.assignments import Assignment
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.peer.computing.station import Station
from p2pslinger.peer.events import Dropped, Events


class Readying:
    """Makes assignments complete.

    Args:
        events: Where to report.
        at_fault: Called with a keeper that broke the protocol, and how.
        begin: Called when nothing is missing.
        fail: Called when something can't be had.
    """

    def __init__(
        self,
        events: Events,
        *,
        at_fault: Callable[[PeerId, PeerError], None],
        begin: Callable[[Station, Assignment], None],
        fail: Callable[[Station, Assignment], None],
    ) -> None:
        self._events = events
        self._at_fault = at_fault
        self._begin = begin
        self._fail = fail

    async def get_ready(self, station: Station, assignment: Assignment) -> None:
        """Fetch what is missing, then begin."""
        while assignment in station.assignments:
            keeper = assignment.keeper
            try:
                if not await assignment.fetch_next():
                    self._begin(station, assignment)
                    return
            except SlingerError as error:
                self.blame(keeper, error)
                if assignment.keeper is not keeper:
                    continue  # another one has taken over, and may have it
                if assignment in station.assignments:
                    self._fail(station, assignment)

    def blame(self, keeper: KeeperLink, error: SlingerError) -> None:
        """Report what a keeper could not do, or should not have done."""
        self._events.emit(Dropped("work", str(error)))
        if isinstance(error, PeerError):
            self._at_fault(keeper.peer, error)
