"""Reports: what this peer can say about itself, its jobs and its neighbours.

Facts only (`p2pslinger.wire.facts`): the command line and programs choose how to show
them. Nothing here changes anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from p2pslinger.ids import GridId, PeerId, short, to_text
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.events import Event, Noted
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.links import Links
from p2pslinger.peer.ownjob import OwnJob
from p2pslinger.peer.submitter import Submitter
from p2pslinger.peer.volunteer import Volunteer
from p2pslinger.rules.reasons import PeerSituation, why_idle
from p2pslinger.rules.schedule import fits
from p2pslinger.store.state import Share, State
from p2pslinger.version import __version__
from p2pslinger.wire.facts import (
    CheckFacts,
    JobFacts,
    PeerFacts,
    ReasonFacts,
    StatusFacts,
    TallyFacts,
)
from p2pslinger.wire.records import Notice, PeerCard

#: Seconds that a clock may be off before `doctor` says so; two minutes break things.
CLOCK_NOTED = 30.0

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
    trusting: bool
    pythons: tuple[str, ...]
    notes: Callable[[], list[str]]
    dropped: Callable[[], Iterable[Mapping[str, int]]]


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
            _addresses(card)[0] if card.addresses else "",
            self._loop.time() - self._started,
            len(about.links.open),
            len(about.volunteer.stations),
            about.volunteer.busy,
            self.why_idle(),
            len(about.keeper.jobs),
            len(self._heard()),
            about.volunteer.computed,
            dict(dropped),
            tuple(notes),
        )

    def why_idle(self) -> ReasonFacts | None:
        """Return why this peer is not computing, or None if it is."""
        about = self._about
        own = list(about.keeper.jobs.values())
        heard = self._heard()
        needs = [job.python for job in own] + [notice.python for notice in heard]
        linked = about.links.open
        return why_idle(
            PeerSituation(
                wanted=len(about.volunteer.stations),
                ready=about.volunteer.ready,
                busy=about.volunteer.busy,
                broken=about.volunteer.broken,
                neighbours=len(linked),
                own=len(own),
                others=len(heard),
                trusting=about.trusting,
                misfits=sum(1 for need in needs if not fits(need, about.pythons)),
                unreachable=sum(
                    1
                    for notice in heard
                    if not any(PeerId(keeper) in linked for keeper in notice.keepers)
                ),
            )
        )

    def _heard(self) -> list[Notice]:
        me = self._about.me
        return [n for n in self._about.notices.open_notices() if n.submitter != me]

    def peers(self) -> tuple[PeerFacts, ...]:
        """Return this peer, and those that it is connected to."""
        about = self._about
        facts = [_peer(about.me, about.card(), this=True, connected=0.0, clock=0.0)]
        now = self._loop.time()
        for link in about.links.open.values():
            age = now - link.connection.opened_at
            facts.append(
                _peer(link.peer, link.card, this=False, connected=age, clock=link.clock)
            )
        return tuple(facts)

    # --- jobs ---------------------------------------------------------------------

    def jobs(self, start: str) -> tuple[JobFacts, ...]:
        """Return the jobs whose id starts with `start`, newest first."""
        if start:
            return (self.job(self._about.submitter.find(start)),)
        jobs = list(self._about.submitter.jobs.values())
        return tuple(self.job(job) for job in reversed(jobs))

    def job(self, own: OwnJob) -> JobFacts:
        """Return what there is to know about a job."""
        board = own.kept.board
        state = own.end or "open"
        if state not in {"open", "computed"}:
            state = "cancelled"
        shares = [
            Share(peer, credit.tasks, credit.failures, credit.cpu)
            for peer, credit in board.credits.items()
        ]
        waiting = self._about.keeper.why_waiting(own.kept) if state == "open" else None
        return JobFacts(
            to_text(own.id),
            own.kept.manifest.name,
            state,
            board.total,
            board.sealed,
            board.done.count,
            board.running,
            board.failed,
            board.lost,
            self._loop.time() - own.kept.since,
            waiting,
            self._tally(shares),
        )

    def tally(self, start: str) -> tuple[TallyFacts, ...]:
        """Return who contributed what, open jobs included."""
        if start:
            return self.job(self._about.submitter.find(start)).volunteers
        shares = list(self._about.state.tally())
        for job in self._about.keeper.jobs.values():
            shares.extend(
                Share(peer, credit.tasks, credit.failures, credit.cpu)
                for peer, credit in job.board.credits.items()
            )
        return self._tally(shares)

    def _tally(self, shares: Iterable[Share]) -> tuple[TallyFacts, ...]:
        sums: dict[PeerId, Share] = {}
        for share in shares:
            had = sums.get(share.volunteer, Share(share.volunteer, 0, 0, 0.0))
            sums[share.volunteer] = Share(
                share.volunteer,
                had.tasks + share.tasks,
                had.failures + share.failures,
                had.cpu + share.cpu,
            )
        whole = sum(share.cpu for share in sums.values()) or 1.0
        rows = [
            TallyFacts(
                to_text(share.volunteer),
                self._name(share.volunteer),
                share.tasks,
                share.failures,
                share.cpu,
                share.cpu / whole,
            )
            for share in sums.values()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.cpu, -row.tasks, row.peer)))

    def _name(self, peer: PeerId) -> str:
        if peer == self._about.me:
            return self._about.card().name
        link = self._about.links.open.get(peer)
        return link.card.name if link is not None else short(peer)

    # --- examination --------------------------------------------------------------

    def checks(self) -> tuple[CheckFacts, ...]:
        """Return what can be seen from inside: ports, clock, neighbours, slots."""
        about = self._about
        card = about.card()
        volunteer = about.volunteer
        checks = [
            CheckFacts("ports", True, f"listening on {', '.join(_addresses(card))}", "")
            if card.addresses
            else CheckFacts(
                "ports",
                False,
                "no one can dial this peer",
                "allow its port, TCP and UDP, in the firewall",
            )
        ]
        off = [link.clock for link in about.links.open.values()]
        worst = max(off, key=abs, default=0.0)
        checks.append(
            CheckFacts("clock", True, "agrees with the neighbours'", "")
            if abs(worst) < CLOCK_NOTED
            else CheckFacts(
                "clock",
                False,
                f"a neighbour's clock is {abs(worst):.0f} s "
                f"{'ahead' if worst > 0 else 'behind'}",
                "set this machine's clock, best by NTP",
            )
        )
        neighbours = len(about.links.open)
        checks.append(
            CheckFacts("neighbours", True, f"connected to {neighbours}", "")
            if neighbours
            else CheckFacts(
                "neighbours",
                False,
                "no other peer is known",
                "start one on another machine with the same authkey, or name one "
                "with `slinger up --bootstrap HOST`",
            )
        )
        notes = about.notes()
        checks.append(
            CheckFacts("discovery", True, "nothing to complain about", "")
            if not notes
            else CheckFacts("discovery", False, "; ".join(notes), "check the addresses")
        )
        checks.append(
            CheckFacts(
                "slots",
                True,
                f"{volunteer.ready} of {len(volunteer.stations)} ready, "
                f"Python {', '.join(about.pythons)}",
                "",
            )
            if volunteer.ready == len(volunteer.stations)
            else CheckFacts(
                "slots",
                False,
                f"{volunteer.ready} of {len(volunteer.stations)} ready"
                + (f": {volunteer.broken}" if volunteer.broken else ""),
                "wait a moment, then look at the peer's log",
            )
        )
        return tuple(checks)


def _addresses(card: PeerCard) -> tuple[str, ...]:
    return tuple(
        f"[{a.host}]:{a.port}" if ":" in a.host else f"{a.host}:{a.port}"
        for a in card.addresses
    )


def _peer(
    peer: PeerId, card: PeerCard, *, this: bool, connected: float, clock: float
) -> PeerFacts:
    return PeerFacts(
        to_text(peer),
        card.name,
        _addresses(card),
        card.software,
        card.slots,
        card.pythons,
        card.sandbox,
        this,
        connected,
        clock,
    )
