"""What peers have on disk of durable jobs, read without asking them.

Each copy is put together by `p2pslinger.rules.replica`, as the peer itself does: what
its items say, whatever the peer makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from p2pslinger.client.values import unpack_values
from p2pslinger.ids import JobId, PeerId
from p2pslinger.rules.keeping import Places, places
from p2pslinger.rules.replica import Replica
from p2pslinger.store.jobs import StoredJob
from p2pslinger.testing.grid import SimulatedGrid, SimulatedPeer
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.manifest import open_manifest
from p2pslinger.wire.records import RangeResult, ResultBatch, read

#: Items that others of the same size may take the place of.
REPLACED = (Kind.CONTROL, Kind.RECEIPT)


@dataclass(frozen=True)
class Shown:
    """The outcome of one task.

    Attributes:
        volunteer: Whose it is, as the signature says.
        value: The value, or None where the task has failed.
        failure: The kind of failure and its type, or None.
        accepted: Whether the job key has accepted it.
    """

    volunteer: PeerId
    value: object
    failure: tuple[str, str] | None
    accepted: bool


class Copy:
    """One peer's copy of one job.

    Args:
        peer: Whose.
        stored: What it has stored of it.
        grid: Which grid.
    """

    def __init__(
        self, peer: SimulatedPeer, stored: StoredJob, grid: SimulatedGrid
    ) -> None:
        self.peer = peer
        self.stored = stored
        manifest = open_manifest(stored.manifest, grid.authkey.grid)
        self.replica = Replica(stored.job, manifest, grid.authkey.grid, None)
        self._signed: dict[bytes, Signed] = {}
        for id_, kind, signed in peer.disk.jobs.items(stored.job):
            self.replica.take(Item(kind, signed), trusted=True)
            if kind is Kind.RESULTS:
                self._signed[id_] = signed

    @property
    def ids(self) -> frozenset[bytes]:
        """What it holds."""
        return frozenset(self.replica.ids())

    @property
    def places(self) -> Places:
        """Who keeps the job, as far as this copy knows."""
        appointed = [
            (id_, signer, made)
            for id_, (signer, made) in self.replica.appointments.items()
        ]
        return places(self.replica.standing.newest, appointed)

    def results(self) -> Iterator[tuple[PeerId, RangeResult]]:
        """Yield every range that it holds, and who has signed it."""
        for signed in self._signed.values():
            for result in read(ResultBatch, signed).results:
                yield signed.signer, result

    @cached_property
    def outcomes(self) -> dict[int, Shown]:
        """What it says of each task that has an outcome."""
        shown: dict[int, Shown] = {}
        for start, stop, range_, accepted in self.replica.outcomes():
            signed = self._signed[range_.batch]
            result = read(ResultBatch, signed).results[range_.place]
            for index, (value, failure) in enumerate(told(result), result.start):
                if start <= index < stop:
                    shown[index] = Shown(signed.signer, value, failure, accepted)
        return shown


def told(result: RangeResult) -> list[tuple[object, tuple[str, str] | None]]:
    """Return the value or the failure of each task of a range."""
    failed = {one.index: (one.kind, one.type) for one in result.failures}
    found = unpack_values(result.form, result.values, "mine")
    return [
        (None, failed[index]) if index in failed else (value, None)
        for index, value in enumerate(found, result.start)
    ]


class Archive:
    """All copies on all disks, read again only where something has changed.

    Args:
        grid: Whose disks.
    """

    def __init__(self, grid: SimulatedGrid) -> None:
        self._grid = grid
        self._jobs: dict[str, tuple[int, list[StoredJob]]] = {}
        self._read: dict[tuple[str, JobId], tuple[int, object, Copy]] = {}

    def copies(self, job: JobId) -> list[Copy]:
        """Return the copies of a job that are kept, those of dead peers included."""
        return [
            self._copy(peer, stored)
            for peer in self._grid.peers.values()
            for stored in self._stored(peer)
            if stored.job == job and stored.kept
        ]

    def _stored(self, peer: SimulatedPeer) -> list[StoredJob]:
        changes = peer.disk.changes
        known = self._jobs.get(peer.name)
        if known is None or known[0] != changes:
            known = self._jobs[peer.name] = (changes, peer.disk.jobs.jobs())
        return known[1]

    def _copy(self, peer: SimulatedPeer, stored: StoredJob) -> Copy:
        key, changes = (peer.name, stored.job), peer.disk.changes
        known = self._read.get(key)
        if known is not None and known[0] == changes:
            return known[2]
        state = _state(peer, stored.job)
        if known is not None and known[1] == state:
            copy = known[2]
        else:
            copy = Copy(peer, stored, self._grid)
        self._read[key] = (changes, state, copy)
        return copy


def _state(peer: SimulatedPeer, job: JobId) -> object:
    """Return what changes whenever a copy does: its size, and what may be replaced."""
    store = peer.disk.jobs
    return store.size(job), [id_ for k in REPLACED for id_, _, _ in store.items(job, k)]


def keepers_of(copies: Iterable[Copy]) -> list[PeerId]:
    """Return who keeps a job, in the order of its places, as the newest copy says."""
    known = [copy for copy in copies if copy.places.keepers]
    if not known:
        return []
    newest = max(
        known, key=lambda copy: (copy.replica.standing.sequence, len(copy.ids))
    )
    return list(newest.places.keepers)
