"""What a volunteer knows of the jobs that it computes.

Everything here was sent along with work and is checked as it comes in: the manifest by
its submitter's signature, shard batches by the job key's, code and shards by their
digest. A batch that comes from the submitter itself, over the connection that proves
who it is, needs no second proof. A job is known for as long as somebody gives work of
it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from p2pslinger import limits
from p2pslinger.errors import PeerError
from p2pslinger.ids import GridId, JobId, PeerId, peer_id
from p2pslinger.peer.computing.keepers import KeeperLink
from p2pslinger.sandbox.memory import in_memory
from p2pslinger.sandbox.slot import Order, Piece
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.manifest import Manifest, job_id, open_manifest
from p2pslinger.wire.messages import Grant, ShardData, Work
from p2pslinger.wire.records import (
    ShardBatch,
    ShardHead,
    SharedBlob,
    open_signed,
    read,
)

#: Bytes of shards of one job that a volunteer keeps at hand.
KEPT = 64 * limits.MIB

#: Shards of one job whose descriptions a volunteer keeps.
KEPT_HEADS = 16 * limits.BATCH


@dataclass(frozen=True, slots=True)
class Placed:
    """A shard's description and its place in the job."""

    number: int
    base: int
    head: ShardHead


class BlobsInUse(Protocol):
    """Who has to know which blobs are no longer computed with."""

    def release(self, job: JobId, digest: bytes) -> None:
        """Nothing uses a blob of a job any more."""

    def leave(self, job: JobId) -> None:
        """Nothing of a job is computed here any more."""


class JobHere:
    """One job, as far as a volunteer has been told.

    Args:
        number: What this peer's slots call it.
        job: Its id.
        manifest: Its checked manifest.
        blobs: Has the bytes of what is big, as long as they are used here.
    """

    def __init__(
        self, number: int, job: JobId, manifest: Manifest, blobs: BlobsInUse
    ) -> None:
        self._blobs = blobs
        self.number = number
        self.id = job
        self.manifest = manifest
        self.submitter: PeerId = peer_id(manifest.submitter)
        #: The function package, once it is here.
        self.code: bytes | None = manifest.function.code or None
        #: Who has given work of it. Without any of them it can be forgotten.
        self.keepers: set[KeeperLink] = set()
        self._bases: list[int] = []
        self._placed: dict[int, Placed] = {}  # by base
        self._by_number: dict[int, Placed] = {}
        self._data: dict[int, bytes] = {}  # by number, oldest first
        self._shared: dict[bytes, bytes] = {}  # by digest, oldest first
        self._recent: frozenset[bytes] = frozenset()  # what the last range referred to
        self._size = 0

    def add_batch(self, signed: Signed, sender: PeerId, grid: GridId) -> None:
        """Take in a batch of shard descriptions.

        Raises:
            PeerError: it is not of this job, or not signed by its job key.
        """
        if signed.key != self.manifest.job_key:
            raise PeerError("sent shards that the job key has not signed")
        if sender == self.submitter:
            batch = read(ShardBatch, signed)
        else:
            batch = open_signed(ShardBatch, signed, grid)
        if batch.job != self.id:
            raise PeerError("sent shards of another job")
        base = batch.base
        for offset, head in enumerate(batch.heads):
            placed = Placed(batch.first + offset, base, head)
            if base not in self._placed:
                insort(self._bases, base)
            self._placed[base] = self._by_number[placed.number] = placed
            base += head.count

    def add_data(self, shard: ShardData) -> None:
        """Take in a small shard.

        Raises:
            PeerError: nobody described it, or its bytes are others.
        """
        placed = self._by_number.get(shard.number)
        if placed is None:
            raise PeerError(f"sent shard {shard.number} without its description")
        self.put(placed, shard.data)

    def put_code(self, code: bytes) -> None:
        """Keep the function package.

        Raises:
            PeerError: it is not the one that the submitter has signed.
        """
        if blob_digest(code) != self.manifest.function.digest:
            raise PeerError("sent another function than its submitter has signed")
        self.code = code

    def put(self, placed: Placed, data: bytes, *, checked: bool = False) -> None:
        """Keep a shard's bytes.

        Args:
            placed: The shard.
            data: Its bytes.
            checked: They were got by their digest, and checked as they came.

        Raises:
            PeerError: they are not the ones that were signed.
        """
        if not checked and blob_digest(data) != placed.head.digest:
            raise PeerError(f"sent shard {placed.number} with other bytes than signed")
        if placed.number not in self._data:
            self._data[placed.number] = data
            self._size += len(data)

    def data(self, placed: Placed) -> bytes | None:
        """Return a shard's bytes if they are here."""
        return self._data.get(placed.number)

    def missing(self, shards: Iterable[Placed]) -> list[Placed]:
        """Return those of some shards whose bytes are not here."""
        return [placed for placed in shards if placed.number not in self._data]

    def put_shared(self, digest: bytes, data: bytes) -> None:
        """Keep a shared value's bytes.

        Raises:
            PeerError: they are others.
        """
        if blob_digest(data) != digest:
            raise PeerError("sent another shared value than its submitter has signed")
        self._shared[digest] = cast(bytes, in_memory(data))  # for all slots at once

    def shared(self, digest: bytes) -> bytes | None:
        """Return a shared value's bytes if they are here."""
        return self._shared.get(digest)

    def missing_shared(self, shards: Iterable[Placed]) -> Iterator[SharedBlob]:
        """Yield the shared values that some shards refer to and that are not here."""
        named = {one.digest: one for placed in shards for one in placed.head.shared}
        self._recent = frozenset(named) or self._recent
        for digest, one in named.items():
            if digest not in self._shared:
                yield one

    def shards_of(self, start: int, stop: int) -> list[Placed] | None:
        """Return the shards that hold [start, stop), or None if one is unknown."""
        found: list[Placed] = []
        at = start
        i = bisect_right(self._bases, start) - 1
        while at < stop:
            if not 0 <= i < len(self._bases):
                return None
            placed = self._placed[self._bases[i]]
            if not placed.base <= at < placed.base + placed.head.count:
                return None
            found.append(placed)
            at = placed.base + placed.head.count
            i += 1
        return found

    def order(self, grant: Grant) -> Order:
        """Return what a slot needs to know to compute a grant."""
        pieces = tuple(
            Piece(
                placed.number,
                max(grant.start, placed.base) - placed.base,
                min(grant.stop, placed.base + placed.head.count) - placed.base,
            )
            for placed in self.shards_of(grant.start, grant.stop) or ()
        )
        return Order(self.number, grant.start, pieces, grant.slice)

    def prune(self, in_use: Iterable[int]) -> None:
        """Forget the oldest shards, if there are too many, but those `in_use`."""
        shared = sum(map(len, self._shared.values()))
        if max(self._size, shared) <= KEPT and len(self._placed) <= KEPT_HEADS:
            return
        used = set(in_use)
        self._prune_shared(used)
        for number in list(self._data):
            if self._size <= KEPT // 2:
                break
            if number not in used:
                self._size -= len(self._data.pop(number))
                self._blobs.release(self.id, self._by_number[number].head.digest)
        if len(self._placed) > KEPT_HEADS:
            for base in self._bases[: KEPT_HEADS // 2]:
                placed = self._placed[base]
                if placed.number not in used:
                    del self._placed[base], self._by_number[placed.number]
                    self._size -= len(self._data.pop(placed.number, b""))
                    self._blobs.release(self.id, placed.head.digest)
            self._bases = sorted(self._placed)

    def _prune_shared(self, used: set[int]) -> None:
        """Forget shared values that no shard in use refers to, nor the last one did.

        The next range is most likely to need what the last one has needed, however
        large that is. What goes stays in the library until the job ends: it is not
        fetched twice, but it is read again, and decoded again in every slot.
        """
        needed = {
            one.digest
            for number in used
            if number in self._by_number
            for one in self._by_number[number].head.shared
        } | self._recent
        self._shared = {d: data for d, data in self._shared.items() if d in needed}


class JobsHere:
    """The jobs that some keeper gives work of.

    Args:
        grid: Their grid.
        blobs: Has the bytes of what is big, as long as they are used here.
        forget: Called with a job that nobody gives work of any more.
    """

    def __init__(
        self, grid: GridId, blobs: BlobsInUse, *, forget: Callable[[JobHere], None]
    ) -> None:
        self._grid = grid
        self._blobs = blobs
        self._forget = forget
        self._jobs: dict[JobId, JobHere] = {}
        self._numbers = 0

    def read(self, keeper: KeeperLink, work: Work) -> JobHere | None:
        """Check what came with an assignment; return its job if we know it.

        Raises:
            PeerError: it is not what its keeper may send along.
        """
        wanted = JobId(work.grants[0].job)
        if any(g.job != wanted or g.start >= g.stop for g in work.grants):
            raise PeerError("sent work that is none, or of several jobs at once")
        for signed in work.manifests:
            self._take(wanted, signed)
        here = self._jobs.get(wanted)
        if here is None:
            return None
        here.keepers.add(keeper)
        for batch in work.batches:
            here.add_batch(batch, keeper.peer, self._grid)
        for shard in work.shards:
            here.add_data(shard)
        return here

    def manifest(self, job: JobId) -> Manifest | None:
        """Return the manifest of a job that is known here, or None."""
        here = self._jobs.get(job)
        return None if here is None else here.manifest

    def lose(self, keeper: KeeperLink) -> None:
        """Expect nothing more from a keeper that is gone."""
        for job in [job for job in self._jobs.values() if keeper in job.keepers]:
            self._part(job, keeper)

    def end(self, job: JobId, told_by: PeerId) -> None:
        """Expect nothing more of a job from a keeper that says it is over."""
        here = self._jobs.get(job)
        if here is not None:
            for keeper in [one for one in here.keepers if one.peer == told_by]:
                self._part(here, keeper)

    def _take(self, wanted: JobId, signed: Signed) -> None:
        if job_id(signed) != wanted:
            raise PeerError("sent the manifest of a job that it has no work of")
        if wanted not in self._jobs:
            manifest = open_manifest(signed, self._grid)
            self._numbers += 1
            self._jobs[wanted] = JobHere(self._numbers, wanted, manifest, self._blobs)

    def _part(self, job: JobHere, keeper: KeeperLink) -> None:
        job.keepers.discard(keeper)
        if not job.keepers:
            del self._jobs[job.id]
            self._blobs.leave(job.id)
            self._forget(job)
