"""Who sits at a keeper's table: the jobs that it keeps, the volunteers that ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.shelf import Shelf
from p2pslinger.rules.board import Board
from p2pslinger.rules.delivery import Delivery
from p2pslinger.rules.fitting import fits
from p2pslinger.rules.reputation import Record
from p2pslinger.rules.schedule import Candidate
from p2pslinger.rules.spans import Span
from p2pslinger.wire.glimpse import Glimpse
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.manifest import Manifest
from p2pslinger.wire.messages import Revoke, Want, Work
from p2pslinger.wire.needs import Needs, Offer
from p2pslinger.wire.records import RangeResult

#: Setbacks of a job that are remembered, for whoever asks why a task waits.
SETBACKS = 32

#: Shards per job and volunteer that are remembered as sent before the list is pruned.
REMEMBERED = 4096

#: What a volunteer has to offer before it has said so.
UNKNOWN = Offer()


class Sink(Protocol):
    """Who gets a job's accepted results: its submitter."""

    def granted(self) -> None:
        """Hear that tasks were handed out."""

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None:
        """Take in a range; `new` are the tasks in it that had no outcome before."""

    def glimpsed(self, peer: PeerId, glimpse: Glimpse) -> None:
        """Hear how a range goes on that is being computed."""

    def delivered(self) -> None:
        """Hear that these were all, for now."""

    def finished(self) -> None:
        """Hear that nothing is left to compute."""


class Setback(NamedTuple):
    """Tasks that came back without a result.

    Attributes:
        start: The first of them.
        stop: One after the last.
        peer: Who had them.
        why: What happened to it, to go on after its name.
        when: On the loop's clock.
    """

    start: int
    stop: int
    peer: PeerId
    why: str
    when: float


class Company(Protocol):
    """What is known of volunteers, whether they are here or not."""

    def apart(self, volunteer: PeerId, other: PeerId) -> bool:
        """Tell whether a volunteer can check another one."""

    def is_barred(self, volunteer: PeerId, submitter: PeerId) -> bool:
        """Tell whether a volunteer gets no work of a submitter for now."""

    def record(self, volunteer: PeerId) -> tuple[Record, float]:
        """Return how well a volunteer computes, and for how long it gets no work."""


class Strangers:
    """Company of which nothing is known."""

    def apart(self, volunteer: PeerId, other: PeerId) -> bool:
        """Say that nobody can check anybody."""
        return False

    def is_barred(self, volunteer: PeerId, submitter: PeerId) -> bool:
        """Say that everybody may work for everybody."""
        return False

    def record(self, volunteer: PeerId) -> tuple[Record, float]:
        """Say that nothing is known."""
        return Record(), 0.0


@dataclass(eq=False)
class KeptJob:
    """A job at its keeper.

    Attributes:
        setbacks: The latest, the newest last.
    """

    id: JobId
    manifest: Manifest
    signed: Signed
    submitter: PeerId
    since: float
    board: Board
    sink: Sink
    shelf: Shelf = field(default_factory=Shelf)
    setbacks: list[Setback] = field(default_factory=list)
    #: Who fits it, by what they offered: asked again and again, of everybody.
    _fitting: dict[PeerId, tuple[Offer, bool]] = field(default_factory=dict)

    @property
    def python(self) -> str | None:
        """The minor version that its function needs, or None for any."""
        return self.manifest.function.python

    @property
    def hurries(self) -> bool:
        """Whether what takes too long may be computed twice at the same time."""
        return self.manifest.policy.durable

    @property
    def needs(self) -> Needs:
        """What it needs besides."""
        return self.manifest.needs

    def remember(self, setback: Setback) -> None:
        """Keep a setback in mind, and forget the oldest if there are many."""
        self.setbacks.append(setback)
        del self.setbacks[:-SETBACKS]

    def fits(self, offer: Offer, volunteer: PeerId) -> bool:
        """Tell whether a volunteer with that to offer can compute it, and may."""
        if volunteer in self.board.excluded:
            return False
        known = self._fitting.get(volunteer)
        if known is None or known[0] is not offer:
            own = volunteer == self.submitter
            found = fits(self.python, self.needs, offer, own=own)
            known = self._fitting[volunteer] = offer, found
        return known[1]

    @property
    def candidate(self) -> Candidate:
        """What decides when its turn is."""
        board = self.board
        return Candidate(
            self.id, self.submitter, board.grants, board.priority, self.since
        )


@dataclass(eq=False)
class Seat:
    """One volunteer at this keeper.

    Attributes:
        peer: Who it is.
        mine: It is this machine's own, or trusted like it.
        own: It is this machine's own.
        revoke: Tells it to stop.
        takes: Tells whose jobs it computes, as far as is known here.
        offer: What its slots can be, as far as it has said.
        parked: Its open requests, by its own numbers.
        heard: When it last asked for work, on the loop's clock.
        sent: What its connection has carried of each job.
    """

    peer: PeerId
    mine: bool
    own: bool
    revoke: Callable[[Revoke], None]
    takes: Callable[[PeerId], bool] = lambda _: True
    offer: Offer = UNKNOWN
    heard: float = float("-inf")
    parked: dict[int, Parked] = field(default_factory=dict)
    sent: dict[JobId, Sent] = field(default_factory=dict)

    def fits(self, job: KeptJob) -> bool:
        """Tell whether it has slots for a job, busy or not."""
        fits = job.fits(self.offer, self.peer)
        return fits and self.takes(job.submitter) and self.may_have(job)

    def may_have(self, job: KeptJob) -> bool:
        """Tell whether a job's submitter trusts it as far as the job demands.

        A durable job has keepers that do not know whom its submitter trusts.
        """
        policy = job.manifest.policy
        if not policy.trusted:
            return True
        return self.peer == job.submitter if policy.durable else self.mine


@dataclass(slots=True)
class Sent:
    """What a seat's connection has carried of one job, by number.

    Attributes:
        shards: Shards.
        batches: Batches, by the number of their first shard.
    """

    shards: set[int] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)

    def prune(self, first: int) -> None:
        """Forget what lies before shard `first`, if it has become much."""
        if len(self.shards) > REMEMBERED:
            self.shards = {number for number in self.shards if number >= first}
            self.batches = {number for number in self.batches if number >= first}


@dataclass(eq=False, slots=True)
class Parked:
    """A volunteer's open request for one assignment, and since when it is open."""

    seat: Seat
    want: Want
    answer: Callable[[Work], None]
    since: float
    live: bool = True

    def fits(self, job: KeptJob) -> bool:
        """Tell whether it is for such a job."""
        if self.want.mine and job.submitter != self.seat.peer:
            return False
        return self.seat.fits(job)


def able(job: KeptJob, seats: Iterable[Seat], since: float) -> frozenset[PeerId]:
    """Return the volunteers that could compute a job's task soon: those heard since."""
    heard = (seat for seat in seats if seat.heard >= since)
    return frozenset(seat.peer for seat in heard if seat.fits(job))


def parked_for(job: KeptJob, seats: Iterable[Seat]) -> int:
    """Count the open requests that could get a part of a job."""
    return sum(len(seat.parked) for seat in seats if seat.fits(job))


def delivery_of(volunteer: PeerId, result: RangeResult) -> Delivery:
    """Return a range of results in the board's words."""
    final = bool(result.failures) and result.failures[0].kind == "timeout"
    return Delivery(
        volunteer,
        result.grant,
        result.mac,
        result.start,
        result.stop,
        len(result.failures),
        result.lost,
        final,
        result.wall,
        result.cpu,
    )
