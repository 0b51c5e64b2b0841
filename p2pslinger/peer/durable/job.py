"""A durable job at one peer: its items, its board, its outcomes, kept together.

Every item comes in through `take`, whoever brought it: the program that submits, a
volunteer, another keeper, or our own disk at the start. What follows from it is done
here, in this order: the journal gets it, the board learns it, the other keepers are
told. Nobody hears that it is durable before it is; and what this peer says itself as an
owner, nobody hears at all before, so that after a power cut it never says it twice in
different words.

Without an owner the outcomes are those that every replica would choose
(`p2pslinger.rules.outcomes`); with one, it decides (`deciding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from p2pslinger.errors import DiskError, PeerError, UnavailableError, UsageError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.limits import INLINE
from p2pslinger.peer.durable.checking import Checking
from p2pslinger.peer.durable.deciding import Deciding, settled
from p2pslinger.peer.durable.excluding import Excluding
from p2pslinger.peer.durable.jobfile import JobFile, Saved
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.settled import Follower, Outcomes, Settled
from p2pslinger.peer.events import Dropped, JobClosed
from p2pslinger.peer.seats import KeptJob, Seat
from p2pslinger.peer.shelf import Batch, Shard, Shelf
from p2pslinger.peer.underway import UnderWay
from p2pslinger.rules.outcomes import Range
from p2pslinger.rules.replica import Replica, Taken, item_id
from p2pslinger.rules.spans import Span, Spans
from p2pslinger.wire.glimpse import Glimpse
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


@dataclass(eq=False)
class DurableJob:
    """One durable job here; also the sink of its work at our keeper.

    Attributes:
        kept: How the keeper sees it.
        replica: Its items.
        means: What it works with.
        is_keeper: This peer is one of its keepers, and not just a reader.
        file: What it has on disk.
        spread: Called with every item that is news: tells the other keepers.
        changed: Called when what the owner or a keeper says of the job has changed.
        on_granted: Called when tasks were handed out here.
        relay: Called with how a range goes on: tells the other keepers.
        under_way: What is known of running tasks.
        blobs: Sizes of the blobs that its items name, by digest.
        blob_bytes: Their sum.
        check_room: Called with bytes to come: raises where there is no room for them.
        shards: Of each shard its number, its first task and its count of tasks.
        gone: It is not here any more.
        end: "computed", "cancelled", "resigned" or "gone", once nothing is computed.
    """

    kept: KeptJob
    replica: Replica
    means: Means
    is_keeper: bool
    file: JobFile
    spread: Callable[[DurableJob, Taken], None]
    changed: Callable[[DurableJob], None]
    on_granted: Callable[[], None] = lambda: None
    relay: Callable[[PeerId, Glimpse], None] = lambda _, __: None
    under_way: UnderWay = field(default_factory=UnderWay)
    blobs: dict[bytes, int] = field(default_factory=dict)
    blob_bytes: int = 0
    check_room: Callable[[int], None] = lambda _: None
    shards: list[tuple[int, int, int]] = field(default_factory=list)
    gone: bool = False
    end: str = ""
    _given: Spans = field(default_factory=Spans)  # tasks whose outcome is shown
    _contradicted: bool = False

    def __post_init__(self) -> None:
        self.outcomes = Outcomes(
            self.file.range, partial(self.means.unpickles, self.kept)
        )
        self.deciding = Deciding(
            self.replica,
            self.file,
            mine=self.kept.submitter == self.means.me.id,
            sign=self._sign_acceptance,
            show=self._show,
            loop=self.means.loop,
        )
        self.checking = Checking(
            self.kept,
            self.replica,
            self.file,
            self.means,
            decides=lambda: self.deciding.decides,
            decide=self.deciding.offer,
        )
        self.excluding = Excluding(self.kept, self.replica, self.means)
        function = self.kept.manifest.function
        if not function.code:
            self._name(function.digest, function.size)

    def _name(self, blob: bytes, size: int) -> None:
        """Note that an item names a blob."""
        if blob not in self.blobs:
            self.blobs[blob] = size
            self.blob_bytes += size

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.kept.id

    @property
    def key(self) -> Identity | None:
        """The job key, if this peer is an owner."""
        return self.deciding.key

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
            trusted: Its signature has been checked, or made, here.
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
        id = item_id(item.signed)
        if taken is not None:
            self.file.add(taken, contents or {})
        if saved is not None:
            self.file.when_saved(id, saved)
        if taken is not None:
            ours = trusted and item.kind is not Kind.RESULTS
            if ours:  # first of all who wait for the disk
                self.file.when_saved(id, lambda e: self._spread(taken, e), patient=True)
            else:
                self._spread(taken, None)
            self._apply(taken, show=not (ours and taken.accepted))
        return taken

    def restore(self, items: Iterable[tuple[bytes, Kind, Signed]]) -> None:
        """Take up again what is on our disk, at the start."""
        for _, kind, signed in items:
            try:
                taken = self.replica.take(Item(kind, signed), trusted=True)
            except PeerError as error:  # damaged, and yet what it was: skip it
                self.means.events.emit(Dropped("item", str(error)))
                continue
            if taken is not None and kind is not Kind.RECEIPT:  # the tally has those
                self._apply(taken, show=False)
        found = self.replica.outcomes()
        hidden = self.deciding.waits
        self._show([settled(one) for one in found if one.accepted or not hidden])
        self.checking.look_back()

    def _spread(self, taken: Taken, error: DiskError | None) -> None:
        if error is None and not self.gone:
            self.spread(self, taken)

    # --- what the owner says ------------------------------------------------------

    def control(self, record: Control, saved: Saved | None = None) -> bytes:
        """Sign and take in a control record as an owner; return its id."""
        assert self.key is not None
        signed = seal(record, self.key, self.means.grid)
        self.take(Item(Kind.CONTROL, signed), trusted=True, saved=saved)
        return item_id(signed)

    def decide_the_rest(self) -> None:
        """Accept what has an outcome that nobody has accepted or doubts."""
        if self.deciding.is_to_look():
            found = [one for one in self.replica.outcomes() if not one.accepted]
            self.deciding.offer(self.checking.review(found))

    def _sign_acceptance(self, what: Acceptance) -> bytes | None:
        if self.gone or self.key is None:
            return None
        signed = seal(what, self.key, self.means.grid)
        taken = self.take(Item(Kind.ACCEPTANCE, signed), trusted=True)
        return None if taken is None else taken.id

    # --- what follows -------------------------------------------------------------

    def _apply(self, taken: Taken, *, show: bool) -> None:
        for batch, signed in taken.shards:
            self._append(batch, signed)
        for one in taken.ranges:
            self._absorb(one, show=show)
        if taken.ranges and taken.superseded:
            self._contradicted = True  # what has gone may have been shown
        self.deciding.heard(taken.accepted)
        self.excluding.accepted(taken.accepted)
        if show:
            self._show_accepted(taken.accepted)
        if taken.item.kind is Kind.RECEIPT:
            self.means.credited(taken.item.signed)
        if taken.standing:
            self._stand()
        if taken.ranges or taken.shards:
            self.means.keeper.settle(self.kept)

    def _append(self, batch: ShardBatch, signed: Signed) -> None:
        """Put shards on the shelf, and their tasks on the board."""
        board, base = self.kept.board, batch.base
        try:
            if base != board.total:
                raise UsageError(f"they begin at task {base}, not {board.total}")
            board.append(sum(head.count for head in batch.heads))
        except UsageError as error:  # its owner contradicts himself
            self.means.events.emit(Dropped("shards", str(error)))
            return
        described = Batch(batch.first, signed)
        made = []
        for number, head in enumerate(batch.heads, batch.first):
            data = self.file.content(head.digest) if head.size <= INLINE else None
            if head.size > INLINE:
                self._name(head.digest, head.size)
            for one in head.shared:
                self._name(one.digest, one.size)
            made.append(Shard(number, base, head, data, described))
            self.shards.append((number, base, head.count))
            base += head.count
        self.changed(self)
        self.means.keeper.appended(self.kept, made)

    def _absorb(self, one: Range, *, show: bool) -> None:
        """Have the board know a result, and decide on what is new in it, or show it."""
        new = self.kept.board.absorb(one.delivery, self.means.loop.time())
        if sum(stop - start for start, stop in new) < one.stop - one.start:
            self._contradicted = True  # there are two results, and a rule for that
        if one.blob:
            self._name(one.blob, one.size)
        if self.excluding.refuses(one) or not show:
            return
        ready = self.checking.arrived(one, new)
        if self.deciding.decides:
            new = ready
        found = [Settled(*span, one.batch, one.place) for span in new]
        if self.deciding.decides:
            self.deciding.offer(found)
        elif not self.deciding.waits:
            self._show(found)

    def _stand(self) -> None:
        """Have the board know what the owner has said last."""
        board, standing = self.kept.board, self.replica.standing
        newest = standing.newest
        if standing.cancelled or standing.forgotten:
            self.close("cancelled")
        elif newest is not None:
            sealed = standing.sealed
            whole = sealed if sealed is None else max(sealed, board.total)
            said = msgspec.structs.replace(newest, sealed=whole)
            self.means.keeper.revoke(self.kept, board.control(said))
            for span in self.excluding.look():
                self._given.remove(*span)  # others will give other values
                self._contradicted = True
        self.changed(self)
        self.means.keeper.settle(self.kept)

    def close(self, why: str) -> None:
        """Compute nothing of it any more; what is known of it stays."""
        if self.end in {why, "cancelled"}:
            return
        self.end = why
        self.checking.close()
        self.means.keeper.drop(self.kept, over=why != "resigned")
        self.kept.shelf = Shelf()
        self.means.events.emit(JobClosed(self.id, why))
        self.changed(self)
        if why == "cancelled":
            self.tell_end("cancelled", "the job was cancelled")

    def tell_end(self, kind: str, text: str) -> None:
        """Tell whoever follows that no more will come."""
        for follower in self.outcomes.followers:
            follower.ended(kind, text)

    def proof_of_forgetting(self) -> tuple[bytes, Item] | None:
        """Return the control record that says that it is forgotten, and its id."""
        for id, record in self.replica.standing.records.items():
            item = self.file.item(id)
            if record.forgotten and item is not None:
                return id, item
        return None

    # --- who follows --------------------------------------------------------------

    def follow(self, follower: Follower) -> None:
        """Send somebody every outcome, from the first on, as they are known now."""
        if self._contradicted:
            self._contradicted = False
            found = self.replica.outcomes()
            shown = [one for one in found if one.accepted or not self.deciding.decides]
            self.outcomes.rewrite([settled(one) for one in shown])
        self.outcomes.follow(follower)

    def _show_accepted(self, accepted: Iterable[Accepted]) -> None:
        for what in accepted:
            if not self._given.missing(what.start, what.stop):
                self._contradicted = True  # another result may have been shown
            for one in self.replica.batches.get(what.batch, ()):
                low, high = max(one.start, what.start), min(one.stop, what.stop)
                if low < high:
                    self._show([Settled(low, high, one.batch, one.place)])

    def _show(self, found: Sequence[Settled]) -> None:
        new = [
            one._replace(start=low, stop=high)
            for one in found
            for low, high in self._given.add(one.start, one.stop)
        ]
        if new:
            self.outcomes.settle(new)

    # --- the keeper's sink --------------------------------------------------------

    def granted(self) -> None:
        """Hear from the keeper that tasks were handed out."""
        self.on_granted()

    def accepted(
        self, seat: Seat, result: RangeResult, blob: bytes | None, new: list[Span]
    ) -> None:
        """Results of a durable job come in as signed items, never this way."""
        raise AssertionError("results of a durable job are taken as items")

    def glimpsed(
        self, peer: PeerId, glimpse: Glimpse, *, relayed: bool = False
    ) -> None:
        """Let programs see how a range goes on, and the other keepers."""
        self.under_way.shown(peer, glimpse)
        for follower in self.outcomes.followers:
            follower.glimpsed(peer, glimpse)
        if not relayed:
            self.relay(peer, glimpse)

    def delivered(self) -> None:
        """Nothing came in this way."""

    def finished(self) -> None:
        """Hear from the keeper that nothing is left to compute."""
        undecided = self.deciding.waits and (
            self.deciding.decided < self.kept.board.total
        )
        if not self.checking.is_waiting and not undecided:  # else it may go on
            self.close("computed")
