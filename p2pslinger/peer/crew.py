"""Who computes for this peer's jobs: since when it is known, from where, how well.

Inside the grid anyone can have a hundred ids. So a peer may check another's results
only if it is *independent*: met a day ago or more, or vouched for by this machine's
owner, and at another network address than everyone whom it checks. This machine's own
slots are always both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from p2pslinger.errors import DiskError
from p2pslinger.ids import PeerId
from p2pslinger.peer.events import Events, Noted
from p2pslinger.peer.journal import Journal
from p2pslinger.rules.reputation import Record, Reputation
from p2pslinger.store.state import State
from p2pslinger.store.volunteers import REMEMBERED, Volunteer

#: Seconds that a peer must have been known before it may check others: a day.
KNOWN = 86_400.0

#: Bits of an IPv6 address that one household or machine has for itself.
NETWORK_V6 = 64


class Crew:
    """What this peer knows of volunteers; a `p2pslinger.peer.seats.Company`.

    Args:
        me: This peer.
        state: Where it is remembered.
        journal: Writes it.
        events: Where to report.
        wall: Gives the wall time, seconds.
    """

    def __init__(
        self,
        me: PeerId,
        state: State,
        journal: Journal,
        events: Events,
        wall: Callable[[], float],
    ) -> None:
        self._me = me
        self._store = state.volunteers
        self._journal = journal
        self._wall = wall
        self._events = events
        #: Every id counts as an independent peer: for tests of many peers on one host.
        self.every_id_counts = False
        #: Tells whether this machine's owner vouches for a peer.
        self.vouches: Callable[[PeerId], bool] = lambda _: False
        #: Called when a peer was struck.
        self.on_strike: Callable[[], None] = lambda: None
        self._met: dict[PeerId, float] = {}
        self._networks: dict[PeerId, str] = {}
        self.reputation = Reputation()
        for one in self._store.all():
            self._met[one.peer] = one.met
            if one.agreed or one.strikes:
                record = Record(one.agreed, one.strikes, one.barred)
                self.reputation.records[one.peer] = record

    # --- who they are -----------------------------------------------------------------

    def joined(self, peer: PeerId, host: str) -> None:
        """A connection to a peer has opened."""
        self._networks.pop(peer, None)
        self._networks[peer] = network_of(host)
        while len(self._networks) > REMEMBERED:
            del self._networks[next(iter(self._networks))]
        if peer not in self._met:
            self._met[peer] = self._wall()
            self._write(peer)
            self._forget_some()

    @property
    def known(self) -> int:
        """How many volunteers are known, here and now."""
        return len(self._met)

    def is_independent(self, peer: PeerId) -> bool:
        """Tell whether a peer's word counts besides another's."""
        if peer == self._me or self.every_id_counts or self.vouches(peer):
            return True
        met = self._met.get(peer)
        return met is not None and met + KNOWN <= self._wall()

    def apart(self, volunteer: PeerId, other: PeerId) -> bool:
        """Tell whether a volunteer can check another one."""
        if volunteer == other or not self.is_independent(volunteer):
            return False
        if self.every_id_counts or self._me in {volunteer, other}:
            return True
        networks = self._networks.get(volunteer), self._networks.get(other)
        return None not in networks and networks[0] != networks[1]

    # --- how well they compute --------------------------------------------------------

    def is_barred(self, volunteer: PeerId, submitter: PeerId) -> bool:
        """Tell whether a volunteer gets no work of a submitter for now."""
        mine = submitter == self._me and bool(self.reputation.records)
        return mine and self.reputation.bars(volunteer, self._wall())

    def record(self, volunteer: PeerId) -> tuple[Record, float]:
        """Return how well a volunteer computes, and for how long it gets no work."""
        record = self.reputation.of(volunteer)
        return record, max(0.0, record.barred - self._wall())

    def learn(self, volunteer: PeerId, record: Record) -> None:
        """Remember what is known of a volunteer now."""
        self.reputation.records[volunteer] = record
        self._write(volunteer)

    def struck(self, volunteer: PeerId) -> Record:
        """Strike a volunteer that has lied."""
        record = self.reputation.of(volunteer).struck(self._wall())
        self.learn(volunteer, record)
        self.on_strike()
        return record

    def barred(self) -> list[PeerId]:
        """Return who gets no work of this peer's now."""
        wall, reputation = self._wall(), self.reputation
        return [one for one in reputation.records if reputation.bars(one, wall)]

    # --- inside -----------------------------------------------------------------------

    def _forget_some(self) -> None:
        """Forget, when they are twice as many as are kept, who is forgotten on disk."""
        if len(self._met) > 2 * REMEMBERED:
            of, met = self.reputation.of, self._met
            order = sorted(
                met, key=lambda p: (-of(p).strikes, not of(p).agreed, met[p])
            )
            for peer in order[REMEMBERED:]:
                del self._met[peer]
                self.reputation.records.pop(peer, None)

    def _write(self, peer: PeerId) -> None:
        record = self.reputation.of(peer)
        met = self._met.setdefault(peer, self._wall())
        one = Volunteer(peer, met, record.agreed, record.strikes, record.barred)
        self._journal.write(lambda: self._store.put(one), self._written)

    def _written(self, error: DiskError | None) -> None:
        if error is not None:
            self._events.emit(Noted(f"a volunteer could not be remembered: {error}"))


def network_of(host: str) -> str:
    """Return what stands for everything that one person may have an address of."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.version == 4:
        return str(mapped)
    return str(ipaddress.IPv6Network((int(mapped), NETWORK_V6), strict=False))
