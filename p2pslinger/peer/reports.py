"""Reports: what this peer can say about itself, its jobs and its neighbours.

Facts only (`p2pslinger.wire.facts`): the command line and programs choose how to show
them. Nothing here changes anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from p2pslinger.ids import GridId, PeerId, to_text
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.computing.confining import Confining
from p2pslinger.peer.computing.offering import Offering
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.peer.events import Event, Noted
from p2pslinger.peer.explaining import Explaining
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.links import Links
from p2pslinger.peer.presence.presence import Presence
from p2pslinger.peer.programs.submitter import Submitter
from p2pslinger.peer.sandboxreport import sandbox_checks, sandbox_facts
from p2pslinger.store.state import State
from p2pslinger.version import __version__
from p2pslinger.wire.facts import PeerFacts
from p2pslinger.wire.ownfacts import CheckFacts, KeepingFacts, RekeyFacts, StatusFacts
from p2pslinger.wire.records import Address, Notice, PeerCard

#: Notes kept for `slinger status`: the latest.
NOTES = 20


@dataclass(frozen=True)
class Subjects:
    """What is reported on."""

    me: PeerId
    grid: GridId
    card: Callable[[], PeerCard]
    links: Links
    keeper: Keeper
    submitter: Submitter
    volunteer: Volunteer
    notices: Notices
    state: State
    confining: Confining
    explaining: Explaining
    offering: Offering
    notes: Callable[[], list[str]]
    dropped: Callable[[], Iterable[Mapping[str, int]]]
    presence: Presence
    petname: Callable[[PeerId], str]
    rekeying: Callable[[], RekeyFacts | None]
    keeping: Callable[[], KeepingFacts]


class Reports:
    """Answers questions about this peer.

    Args:
        about: What there is to report on.
    """

    def __init__(self, about: Subjects) -> None:
        self._about = about
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._noted: dict[str, None] = {}

    def hear(self, event: Event) -> None:
        """Remember what the owner should know."""
        if isinstance(event, Noted):
            self._noted[event.text] = None
            if len(self._noted) > NOTES:
                del self._noted[next(iter(self._noted))]

    # --- this peer ----------------------------------------------------------------

    def status(self) -> StatusFacts:
        """Return this peer's state."""
        about = self._about
        card = about.card()
        notes = dict.fromkeys([*about.notes(), *about.state.notes, *self._noted])
        dropped: Counter[str] = Counter()
        for counts in about.dropped():
            dropped.update(counts)
        return StatusFacts(
            to_text(about.me),
            card.name,
            to_text(about.grid),
            __version__,
            next(iter(_addresses(about.presence.listening())), ""),
            self._loop.time() - self._started,
            len(about.links.open),
            len(about.volunteer.stations),
            about.volunteer.busy,
            about.explaining.peer(),
            len(about.keeper.jobs),
            len(self._heard()),
            about.volunteer.computed,
            dict(dropped),
            tuple(notes),
            about.presence.reach.facts(),
            about.presence.clock.off,
            sandbox_facts(about.confining),
            about.rekeying(),
            about.keeping(),
        )

    def _heard(self) -> list[Notice]:
        me = self._about.me
        return [n for n in self._about.notices.open_notices() if n.keeper != me]

    def peers(self) -> tuple[PeerFacts, ...]:
        """Return this peer, and those that it is connected to."""
        about = self._about
        own = _peer(about.me, about.card(), this=True, connected=0.0, clock=0.0)
        facts = [replace(own, mine=self._is_mine(about.me))]
        now = self._loop.time()
        for link in about.links.open.values():
            age = now - link.connection.opened_at
            fact = _peer(
                link.peer, link.card, this=False, connected=age, clock=link.clock
            )
            name, mine = about.petname(link.peer), self._is_mine(link.peer)
            known, left = about.keeper.company.record(link.peer)
            facts.append(
                replace(
                    fact,
                    petname=name,
                    mine=mine,
                    agreed=known.agreed,
                    strikes=known.strikes,
                    barred=left,
                )
            )
        return tuple(facts)

    def _is_mine(self, peer: PeerId) -> bool:
        """Tell whether a peer's results are trusted like this machine's own."""
        seat = self._about.keeper.seats.get(peer)
        return seat is not None and seat.mine

    # --- examination --------------------------------------------------------------

    def checks(self) -> tuple[CheckFacts, ...]:
        """Return what can be seen from inside: ports, clock, neighbours, slots."""
        from p2pslinger.peer import examining  # for doctor alone

        about = self._about
        presence, links, volunteer = about.presence, about.links, about.volunteer
        return (
            examining.ports(_addresses(presence.listening())),
            examining.reach(presence),
            examining.clock(presence, links),
            *examining.authkeys(about.rekeying()),
            examining.neighbours(links),
            examining.discovery(about.notes()),
            examining.slots(volunteer, about.offering),
            examining.pythons(about.offering),
            *sandbox_checks(about.confining, len(volunteer.stations)),
        )


def _addresses(addresses: Iterable[Address]) -> tuple[str, ...]:
    return tuple(
        f"[{a.host}]:{a.port}" if ":" in a.host else f"{a.host}:{a.port}"
        for a in addresses
    )


def _peer(
    peer: PeerId, card: PeerCard, *, this: bool, connected: float, clock: float
) -> PeerFacts:
    return PeerFacts(
        to_text(peer),
        card.name,
        _addresses(card.addresses),
        card.software,
        card.slots,
        card.pythons,
        card.sandbox,
        this,
        connected,
        clock,
        why=card.why,
    )
