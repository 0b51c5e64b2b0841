"""A replica: what one peer holds of a durable job, as a set of signed items.

Pure. Items are only ever added, in any order, from anybody: each is checked by its own
signature, so replicas that hold the same items say the same about the job. Of control
records, appointments and receipts only those that still matter are kept; the others are
*superseded*, everywhere alike.

Bodies of results stay on disk; what is here is a line for each range.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from blake3 import blake3

from p2pslinger.errors import PeerError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.limits import FRAME, INLINE
from p2pslinger.rules.answers import Answers
from p2pslinger.rules.grants import grant_mac
from p2pslinger.rules.keeping import Places, places
from p2pslinger.rules.outcomes import Outcome, Range, outcomes
from p2pslinger.rules.standing import Standing
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import BUCKETS, Item, Kind
from p2pslinger.wire.manifest import Manifest
from p2pslinger.wire.records import (
    Acceptance,
    Accepted,
    Appointment,
    Control,
    RangeResult,
    Receipt,
    ResultBatch,
    ShardBatch,
    open_signed,
    read,
)

#: Bytes of an item: with what a message adds, it fits a frame.
LARGEST = FRAME - 4096

Record = ShardBatch | Control | Appointment | ResultBatch | Acceptance | Receipt

_KINDS: dict[Kind, type[Record]] = {
    Kind.SHARDS: ShardBatch,
    Kind.CONTROL: Control,
    Kind.APPOINTMENT: Appointment,
    Kind.RESULTS: ResultBatch,
    Kind.ACCEPTANCE: Acceptance,
    Kind.RECEIPT: Receipt,
}

#: Appointments of one signer that are remembered: an honest keeper makes three at most
#: for each control record.
APPOINTMENTS = 16


def item_id(signed: Signed) -> bytes:
    """Return what an item is called: 16 bytes of the BLAKE3 of what was signed."""
    return blake3(signed.body + signed.key).digest(16)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an item that was news.

    Attributes:
        id: What it is called.
        item: The item.
        superseded: Items that do not matter any more because of it.
        shards: Shard batches that are known without a gap now, in order.
        ranges: Results that came with it.
        accepted: Acceptances that came with it.
        standing: Whether what the owner says of the job has changed.
    """

    id: bytes
    item: Item
    superseded: tuple[bytes, ...] = ()
    shards: tuple[tuple[ShardBatch, Signed], ...] = ()
    ranges: tuple[Range, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    standing: bool = False


class Replica:
    """The items of one job, and what follows from them.

    Args:
        job: Its id.
        manifest: Its checked manifest.
        grid: Which grid.
        secret: The keepers' key for MACs, or None where this peer is no keeper and
            must take their word for what was granted.
    """

    def __init__(
        self, job: JobId, manifest: Manifest, grid: GridId, secret: bytes | None
    ) -> None:
        self.job = job
        self.manifest = manifest
        self.secret = secret
        self.standing = Standing()
        #: Appointments by id, with their signer.
        self.appointments: dict[bytes, tuple[PeerId, Appointment]] = {}
        #: The newest receipt of each volunteer, and its id.
        self.receipts: dict[PeerId, tuple[bytes, Receipt]] = {}
        #: What results there are.
        self.answers = Answers(manifest.policy.most_answers)
        self.accepted: list[Accepted] = []
        #: Grows with every change: who has looked at it knows whether to look again.
        self.revision = 0
        self._accepted: set[bytes] = set()  # batches
        self._grid = grid
        self._ids: dict[bytes, Kind] = {}
        self._sums = [0] * BUCKETS
        self._ahead: dict[int, tuple[ShardBatch, Signed]] = {}  # by first shard
        self._next_shard = 0
        self._places: Places | None = None
        self._takers: dict[Kind, Callable[[bytes, Item, Record], Taken | None]] = {
            Kind.SHARDS: self._take_shards,
            Kind.CONTROL: self._take_control,
            Kind.APPOINTMENT: self._take_appointment,
            Kind.RESULTS: self._take_results,
            Kind.ACCEPTANCE: self._take_acceptance,
            Kind.RECEIPT: self._take_receipt,
        }

    # --- items --------------------------------------------------------------------

    def __contains__(self, id: bytes) -> bool:
        return id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, item: Item, *, trusted: bool = False) -> Taken | None:
        """Take in an item.

        Args:
            item: What somebody sent.
            trusted: It comes from our own disk, or was just signed here: its signature
                needs no check.

        Returns:
            What follows from it; None if it was known, or does not matter.

        Raises:
            PeerError: it is not signed by whoever may say so, or not of this job.
        """
        id = item_id(item.signed)
        if id in self._ids:
            return None
        opened = self._open(item, trusted=trusted)
        taken = self._takers[item.kind](id, item, opened)
        if taken is not None:
            self.revision += 1
            if taken.standing:
                self._places = None
            self._note(id, item.kind)
            for gone in taken.superseded:
                self._drop(gone)
        return taken

    def check(self, item: Item) -> None:
        """Check that an item may be taken in, before anything is done for it.

        Raises:
            PeerError: it is not signed by whoever may say so, or not of this job.
        """
        self._open(item, trusted=False)

    def ids(self, buckets: Iterable[int] | None = None) -> list[bytes]:
        """Return the ids of all items, or of those in some buckets."""
        if buckets is None:
            return list(self._ids)
        wanted = set(buckets)
        return [id for id in self._ids if id[0] % BUCKETS in wanted]

    def of_kind(self, kind: Kind) -> list[bytes]:
        """Return the ids of all items of a kind."""
        return [id for id, one in self._ids.items() if one is kind]

    @property
    def sums(self) -> tuple[bytes, ...]:
        """Return for every bucket the exclusive or of its items' ids."""
        return self.sums_without(())

    def sums_without(self, left_out: Iterable[bytes]) -> tuple[bytes, ...]:
        """Return the sums as if some items were not here."""
        sums = self._sums[:]
        for id in left_out:
            if id in self._ids:
                sums[id[0] % BUCKETS] ^= int.from_bytes(id, "big")
        return tuple(one.to_bytes(16, "big") for one in sums)

    def differing(
        self, sums: tuple[bytes, ...], left_out: Iterable[bytes] = ()
    ) -> tuple[int, ...]:
        """Return the buckets in which another replica holds something else.

        Args:
            sums: The other's.
            left_out: Items that do not count as held here.
        """
        pairs = zip(self.sums_without(left_out), sums, strict=True)
        return tuple(i for i, (ours, theirs) in enumerate(pairs) if ours != theirs)

    # --- what follows -------------------------------------------------------------

    @property
    def keep_until(self) -> float:
        """Wall time after which everyone may forget the job."""
        newest = self.standing.newest
        said = newest.keep_until if newest is not None else None
        return self.manifest.keep_until if said is None else said

    @property
    def batches(self) -> Mapping[bytes, tuple[Range, ...]]:
        """What results there are, by batch."""
        return self.answers.batches

    def is_accepted(self, batch: bytes) -> bool:
        """Tell whether anything of a batch was accepted."""
        return batch in self._accepted

    def outcomes(self) -> list[Outcome]:
        """Return the outcome of every task that has one."""
        excluded = self.standing.excluded
        return outcomes(self.batches, self.accepted, excluded=excluded)

    # --- one method for each kind ---------------------------------------------------

    def _take_shards(self, id: bytes, item: Item, batch: Record) -> Taken:
        assert isinstance(batch, ShardBatch)
        self._ahead.setdefault(batch.first, (batch, item.signed))
        ready = []
        while self._next_shard in self._ahead:
            found = self._ahead.pop(self._next_shard)
            self._next_shard += len(found[0].heads)
            ready.append(found)
        return Taken(id, item, shards=tuple(ready))

    def _take_control(self, id: bytes, item: Item, control: Record) -> Taken | None:
        assert isinstance(control, Control)
        gone = self.standing.add(id, control)
        if gone is None:
            return None
        self.answers.excluded = self.standing.excluded
        if self.standing.newest is control:
            # What mended another record is void. Those that mend this one come again.
            gone += self.appointments
            self.appointments.clear()
        return Taken(id, item, superseded=tuple(gone), standing=True)

    def _take_appointment(self, id: bytes, item: Item, made: Record) -> Taken | None:
        assert isinstance(made, Appointment)
        signer = item.signed.signer
        theirs = [one for one, (by, _) in self.appointments.items() if by == signer]
        void = made.sequence != self.standing.sequence or signer not in self.places.all
        if void:
            return None  # or not valid yet: it is offered again when replicas compare
        gone = sorted([*theirs, id])[APPOINTMENTS:]
        if id in gone:
            return None
        for one in gone:
            del self.appointments[one]
        self.appointments[id] = (signer, made)
        return Taken(id, item, superseded=tuple(gone), standing=True)

    def _take_results(self, id: bytes, item: Item, batch: Record) -> Taken | None:
        assert isinstance(batch, ResultBatch)
        by = item.signed.signer
        ranges = tuple(
            range_of(result, id, place, by)
            for place, result in enumerate(batch.results)
        )
        gone = self.answers.add(id, ranges, self._accepted)
        return None if id in gone else Taken(id, item, tuple(gone), ranges=ranges)

    def _take_acceptance(self, id: bytes, item: Item, what: Record) -> Taken:
        assert isinstance(what, Acceptance)
        self.accepted += what.ranges
        self._accepted.update(one.batch for one in what.ranges)
        return Taken(id, item, accepted=what.ranges)

    def _take_receipt(self, id: bytes, item: Item, receipt: Record) -> Taken | None:
        assert isinstance(receipt, Receipt)
        volunteer = PeerId(receipt.volunteer)
        old = self.receipts.get(volunteer)
        if old is not None and (old[1].sequence, old[0]) > (receipt.sequence, id):
            return None
        self.receipts[volunteer] = (id, receipt)
        return Taken(id, item, superseded=(old[0],) if old is not None else ())

    @property
    def places(self) -> Places:
        """Who keeps the job."""
        if self._places is None:
            appointed = (
                (id, signer, made) for id, (signer, made) in self.appointments.items()
            )
            self._places = places(self.standing.newest, appointed)
        return self._places

    # --- checks -------------------------------------------------------------------

    def _open(self, item: Item, *, trusted: bool) -> Record:
        """Decode an item and check it: by itself, whatever else is known."""
        kind, signed = _KINDS[item.kind], item.signed
        if len(signed.body) > LARGEST:
            raise PeerError(f"sent an item of more than {LARGEST} bytes")
        record = (
            read(kind, signed) if trusted else open_signed(kind, signed, self._grid)
        )
        if isinstance(record, ResultBatch):
            for result in record.results:
                self._check_job(result.job)
                self._check_range(result, signed.signer)
            return record
        self._check_job(record.job)
        if not isinstance(record, Appointment) and signed.key != self.manifest.job_key:
            raise PeerError("sent an item that the job key has not signed")
        if isinstance(record, Acceptance):
            for one in record.ranges:
                if one.start >= one.stop:
                    raise PeerError("accepted a range without tasks")
        return record

    def _check_job(self, job: bytes) -> None:
        if job != self.job:
            raise PeerError("sent an item of another job")

    def _check_range(self, result: RangeResult, volunteer: PeerId) -> None:
        start, stop = result.granted
        if len(result.values) > INLINE:
            raise PeerError("sent values in an item that are too big for one")
        if not start <= result.start < result.stop <= stop:
            raise PeerError("sent results outside of their grant")
        if result.start != start and not result.lost:
            raise PeerError("sent results without the first tasks of their grant")
        if result.lost and (result.stop != result.start + 1 or not result.failures):
            raise PeerError("sent the death of a slot that is none of one task")
        if len(result.failures) > result.stop - result.start:
            raise PeerError("sent more failures than tasks")
        if self.secret is not None:
            grant = (result.grant, volunteer, result.granted)
            mac = grant_mac(self.secret, self.job, *grant)
            if not hmac.compare_digest(mac, result.mac):
                raise PeerError("sent results that no keeper has asked for")

    def _note(self, id: bytes, kind: Kind) -> None:
        self._ids[id] = kind
        self._sums[id[0] % BUCKETS] ^= int.from_bytes(id, "big")

    def _drop(self, id: bytes) -> None:
        if self._ids.pop(id, None) is not None:
            self._sums[id[0] % BUCKETS] ^= int.from_bytes(id, "big")


def range_of(result: RangeResult, batch: bytes, place: int, by: PeerId) -> Range:
    """Return what a replica remembers of one range of results."""
    return Range(
        batch,
        place,
        by,
        result.start,
        result.stop,
        len(result.failures),
        result.lost,
        bool(result.failures) and result.failures[0].kind == "timeout",
        result.grant,
        result.granted,
        result.mac,
        result.wall,
        result.cpu,
        result.digest,
        result.size,
    )
