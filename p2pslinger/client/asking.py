"""What a program can ask this machine's peer, and what a notebook shows of a grid."""

from __future__ import annotations

from typing import cast

from p2pslinger.client.link import Link
from p2pslinger.client.tables import Facts, grid_html, said
from p2pslinger.errors import SlingerError
from p2pslinger.wire.control import (
    GetJobs,
    GetPeers,
    GetStatus,
    GetTally,
    GetWhy,
    Jobs,
    Peers,
    Status,
    Tally,
    Why,
)
from p2pslinger.wire.facts import JobFacts, PeerFacts, TallyFacts, WhyFacts
from p2pslinger.wire.ownfacts import StatusFacts


class Asking:
    """What a grid can be asked."""

    _link: Link

    def peers(self) -> tuple[PeerFacts, ...]:
        """Return this machine's peer, and those that it is connected to."""
        return Facts(cast(Peers, self._link.request(GetPeers())).facts)

    def tally(self) -> tuple[TallyFacts, ...]:
        """Return who has contributed what to this machine's jobs."""
        return Facts(cast(Tally, self._link.request(GetTally())).facts)

    def jobs(self) -> tuple[JobFacts, ...]:
        """Return this machine's jobs, newest first."""
        return Facts(cast(Jobs, self._link.request(GetJobs())).facts)

    def status(self) -> StatusFacts:
        """Return the state of this machine's peer."""
        return cast(Status, self._link.request(GetStatus())).facts

    def why(self) -> WhyFacts:
        """Return what this machine's peer is doing, or why it waits."""
        return cast(Why, self._link.request(GetWhy())).facts

    def __repr__(self) -> str:
        try:
            peers = self.peers()
        except SlingerError:
            return "<Grid: not connected>"
        slots = sum(peer.slots for peer in peers)
        return f"<Grid of {_counted(len(peers), 'peer')}, {_counted(slots, 'slot')}>"

    def _repr_html_(self) -> str:
        try:
            return grid_html(self.status(), self.peers())
        except SlingerError as error:
            return f"<p>grid: {said(error)}</p>"


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"
