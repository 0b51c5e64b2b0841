"""A durable job at one peer: its items, its board, its outcomes, kept together.

Every item comes in through `take`, whoever brought it: from the program that submits,
from a volunteer, from another keeper, or from our own disk at the start. What follows
from it is done here, in this order: the board learns it, the journal makes it durable,
the other keepers are told. Only then is it acknowledged to anyone.

With the job key here, this peer is an owner: it accepts results, first come, and a
program sees a value once its acceptance is durable. Without an owner the outcomes are
those that every replica would choose (`p2pslinger.rules.outcomes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from p2pslinger.errors import DiskError, UnavailableError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.limits import ACCEPTED_RANGES, INLINE
from p2pslinger.peer.events import Events, JobClosed
from p2pslinger.peer.jobfile import JobFile, Saved
from p2pslinger.peer.journal import Journal
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.library import Library
from p2pslinger.peer.seats import KeptJob, Seat
from p2pslinger.peer.settled import Follower, Outcomes, Settled
from p2pslinger.peer.shelf import Shard, Shelf, SignedBatch
from p2pslinger.rules.delivery import Credit, Delivery
from p2pslinger.rules.outcomes import Outcome, Range
from p2pslinger.rules.replica import Replica, Taken, item_id
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.store.jobs import JobStore
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.records import (
    Acceptance,
    Accepted,
    Control,
    RangeResult,
    ShardBatch,
    seal,
)


@dataclass(frozen=True)
class Means:
    """What all durable jobs of a peer work with.

    Attributes:
        loop: Gives the time.
        wall: Gives the wall time, seconds.
        grid: Which grid.
        me: Signs receipts and appointments.
        journal: Makes things durable.
        store: Where they go.
        library: Has the blobs.
        keeper: Hands out the work.
        events: Where to report.
        mine: Tells whether a peer's values are trusted like our own.
    """

    loop: asyncio.AbstractEventLoop
    wall: Callable[[], float]
    grid: GridId
    me: Identity
    journal: Journal
    store: JobStore
    library: Library
    keeper: Keeper
    events: Events
    mine: Callable[[PeerId], bool]


@dataclass(eq=False)
class DurableJob:
    """One durable job here.

    Attributes:
        kept: How the keeper sees it.
        replica: Its items.
        means: What it works with.
        key: The job key, if this peer is an owner.
        is_keeper: This peer is one of its keepers, and not just a reader.
        file: What it has on disk.
        spread: Called with every item that is news: tells the other keepers.
        changed: Called when what the owner or a keeper says of the job has changed.
        on_granted: Called when tasks were handed out here.
        credits: What we have accepted, by volunteer.
        away: The submitter's peer is gone, so that another owner may decide.
        blobs: Sizes of the blobs that its items name, by digest.
    """

    kept: KeptJob
    replica: Replica
    means: Means
    key: Identity | None
    is_keeper: bool
    file: JobFile
    spread: Callable[[DurableJob, Taken], None]
    changed: Callable[[DurableJob], None]
    on_granted: Callable[[], None] = lambda: None
    credits: dict[PeerId, Credit] = field(default_factory=dict)
    away: bool = False
    blobs: dict[bytes, int] = field(default_factory=dict)
    #: Of each shard its number, its first task and its count of tasks.
    shards: list[tuple[int, int, int]] = field(default_factory=list)
    #: It is not here any more.
    gone: bool = False
    #: "computed", "cancelled", "resigned" or "gone", once nothing is computed here.
    end: str = ""
    _given: Spans = field(default_factory=Spans)  # tasks whose outcome is shown
    _decided: Spans = field(default_factory=Spans)  # tasks that an owner has accepted
    _contradicted: bool = False
    _undecided: list[Settled] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outcomes = Outcomes(self.file.range, self.means.mine)
        function = self.kept.manifest.function
        if not function.code:
            self.blobs[function.digest] = function.size

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.kept.id

    @property
    def decides(self) -> bool:
        """Whether this peer accepts results: one owner does, so that two never differ.

        That is the submitter's peer; without it, whoever has the job key.
        """
        mine = self.kept.submitter == self.means.me.id
        return self.key is not None and (mine or self.away)

    @property
    def accepted_tasks(self) -> int:
        """Tasks whose outcome an owner has accepted."""
        return self._decided.count

    # --- items come in ------------------------------------------------------------

    def take(
        self,
        item: Item,
        *,
        contents: dict[bytes, bytes] | None = None,
        trusted: bool = False,
        saved: Saved | None = None,
    ) -> Taken | None:
        """Take in an item.

        Args:
            item: What came. What it refers to by digest is in `contents`, or a blob
                that the library has.
            contents: Small data by digest.
            trusted: We have just signed it ourselves.
            saved: Called once it is durable here.

        Returns:
            What follows from it, or None if it was no news; then it may still be on
            its way to the disk.

        Raises:
            PeerError: nobody may say that.
            UnavailableError: the job is not here any more.
        """
        if self.gone:
            raise UnavailableError("the job is not kept here any more")
        taken = self.replica.take(item, trusted=trusted)
        if taken is not None:
            self.file.add(taken, contents or {})
        if saved is not None:
            self.file.when_saved(item_id(item.signed), saved)
        if taken is None:
            return None
        own_word = trusted and item.kind == Kind.ACCEPTANCE  # shown once it is durable
        self._apply(taken, show=not own_word)
        self.spread(self, taken)
        return taken

    def restore(self, items: Iterable[tuple[bytes, Kind, Signed]]) -> None:
        """Take up again what is on our disk, at the start."""
        for _, kind, signed in items:
            taken = self.replica.take(Item(kind, signed), trusted=True)
            if taken is not None:
                self._apply(taken, show=False)
        for one in self.replica.outcomes():
            settled = _settled(one.start, one.stop, one.range)
            if one.accepted:
                self._settle([settled])
                if self.decides:
                    self._credit([settled])
            else:
                self._new_outcomes([settled])

    # --- what the owner says ------------------------------------------------------

    def control(self, record: Control, saved: Saved | None = None) -> None:
        """Sign and take in a control record; this peer must be an owner."""
        assert self.key is not None
        signed = seal(record, self.key, self.means.grid)
        self.take(Item(Kind.CONTROL, signed), trusted=True, saved=saved)

    def accept(self, ranges: Sequence[Settled]) -> None:
        """Say which results count; programs get them once that is durable."""
        assert self.key is not None
        for i in range(0, len(ranges), ACCEPTED_RANGES):
            part = ranges[i : i + ACCEPTED_RANGES]
            what = tuple(Accepted(one.start, one.stop, one.batch) for one in part)
            signed = seal(Acceptance(self.id, what), self.key, self.means.grid)
            taken = self.take(Item(Kind.ACCEPTANCE, signed), trusted=True)
            if taken is not None:
                self.file.when_saved(
                    taken.id, partial(self._accepted, part), patient=True
                )

    def _accepted(self, ranges: Sequence[Settled], error: DiskError | None) -> None:
        if error is None:
            self._settle(ranges)

    # --- what follows -------------------------------------------------------------

    def _apply(self, taken: Taken, *, show: bool = True) -> None:
        for batch, signed in taken.shards:
            self._append(batch, signed)
        for one in taken.ranges:
            new = self.kept.board.absorb(delivery_of(one))
            if one.blob:
                self.blobs[one.blob] = one.size
            self._new_outcomes([_settled(*span, one) for span in new if show])
        for what in taken.accepted:
            self._decided.add(what.start, what.stop)
        if show:
            self._show_accepted(taken.accepted)
        if taken.standing:
            self._stand()
        if taken.ranges or taken.shards:
            self.means.keeper.settle(self.kept)

    def _append(self, batch: ShardBatch, signed: Signed) -> None:
        """Put shards on the shelf, and their tasks on the board."""
        board, base = self.kept.board, batch.base
        if base != board.total:
            return  # signed by an owner who miscounts: none of its later ones fits
        described = SignedBatch(batch.first, signed)
        made = []
        for number, head in enumerate(batch.heads, batch.first):
            data = self.file.content(head.digest) if head.size <= INLINE else None
            if head.size > INLINE:
                self.blobs[head.digest] = head.size
            made.append(Shard(number, base, head, data, described))
            self.shards.append((number, base, head.count))
            base += head.count
        board.append(base - batch.base)
        self.changed(self)
        self.means.keeper.appended(self.kept, made)

    def _new_outcomes(self, found: list[Settled]) -> None:
        """Show outcomes, or have them accepted first if that is up to us."""
        if not self.decides:
            self._settle(found)
        elif found:
            if not self._undecided:
                self.means.loop.call_soon(self._decide)
            self._undecided += found

    def _decide(self) -> None:
        """Accept what has come, but what another owner has accepted otherwise."""
        found, self._undecided = self._undecided, []
        if self.gone:
            return
        open_ = [
            one._replace(start=low, stop=high)
            for one in found
            for low, high in self._decided.missing(one.start, one.stop)
        ]
        if open_:
            self._credit(open_)
            self.accept(open_)

    def decide_the_rest(self) -> None:
        """Accept what was left to another owner, who is gone."""
        found = self.replica.outcomes()
        rest = [
            _settled(one.start, one.stop, one.range)
            for one in found
            if not one.accepted
        ]
        if rest and not self._undecided:
            self._undecided = rest
            self._decide()

    def _credit(self, accepted: Iterable[Settled]) -> None:
        for one in accepted:
            from_ = self.replica.batches[one.batch][one.place]
            credit = self.credits.setdefault(from_.volunteer, Credit())
            part = (one.stop - one.start) / (from_.stop - from_.start)
            credit.tasks += one.stop - one.start
            credit.failures += min(one.stop - one.start, from_.failures)
            credit.cpu += from_.cpu * part

    def _show_accepted(self, accepted: Iterable[Accepted]) -> None:
        for what in accepted:
            if not self._given.missing(what.start, what.stop):
                self._contradicted = True  # another result may have been shown
            for one in self.replica.batches.get(what.batch, ()):
                low, high = max(one.start, what.start), min(one.stop, what.stop)
                if low < high:
                    self._settle([_settled(low, high, one)])

    def follow(self, follower: Follower) -> None:
        """Send somebody every outcome, from the first on, as they are known now."""
        if self._contradicted:
            self._contradicted = False
            found = self.replica.outcomes()
            self.outcomes.rewrite(
                [_settled(*one[:3]) for one in found if self._is_shown(one)]
            )
        self.outcomes.follow(follower)

    def _is_shown(self, one: Outcome) -> bool:
        return one.accepted or not self.decides

    def _settle(self, found: Iterable[Settled]) -> None:
        new = [
            one._replace(start=low, stop=high)
            for one in found
            for low, high in self._given.add(one.start, one.stop)
        ]
        if new:
            self.outcomes.settle(new)

    def _stand(self) -> None:
        """Have the board know what the owner has said last."""
        board, standing = self.kept.board, self.replica.standing
        newest = standing.newest
        if newest is None:
            return
        if standing.cancelled or standing.forgotten:
            self.close("cancelled")
        else:
            said = msgspec.structs.replace(newest, sealed=standing.sealed)
            self.means.keeper.revoke(self.kept, board.control(said))
        self.changed(self)
        self.means.keeper.settle(self.kept)

    def close(self, why: str) -> None:
        """Compute nothing of it any more; what is known of it stays."""
        if self.end in {why, "cancelled"}:
            return
        self.end = why
        self.means.keeper.drop(self.kept, over=why != "resigned")
        self.kept.shelf = Shelf()
        self.means.events.emit(JobClosed(self.id, why))
        self.changed(self)
        if why == "cancelled":
            for follower in self.outcomes.followers:
                follower.ended("cancelled", "the job was cancelled")

    def proof_of_forgetting(self) -> tuple[bytes, Item] | None:
        """Return the control record that says that it is forgotten, and its id."""
        for id, record in self.replica.standing.records.items():
            item = self.file.item(id)
            if record.forgotten and item is not None:
                return id, item
        return None

    # --- the keeper's sink --------------------------------------------------------

    def granted(self) -> None:
        """Hear from the keeper that tasks were handed out."""
        self.on_granted()

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None:
        """Results of a durable job come in as signed items, never this way."""
        raise AssertionError("results of a durable job are taken as items")

    def delivered(self) -> None:
        """Nothing came in this way."""

    def finished(self) -> None:
        """Hear from the keeper that nothing is left to compute."""
        self.close("computed")


def delivery_of(one: Range) -> Delivery:
    """Return a range in the board's words."""
    return Delivery(
        one.volunteer,
        one.grant,
        one.mac,
        one.start,
        one.stop,
        one.failures,
        one.lost,
        one.final,
        one.wall,
        one.cpu,
    )


def _settled(start: int, stop: int, one: Range) -> Settled:
    return Settled(start, stop, one.batch, one.place)
