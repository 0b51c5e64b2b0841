"""The vault: every durable job of this peer, whether submitted here or kept for others.

A job is *kept* by its keepers, on disk; it is *owned* where its job key is; a reader
holds it in memory, for as long as somebody reads. Whatever happens to a job as a whole
happens here: it is taken up, found again after a restart, expires, is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

from p2pslinger import limits
from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import JobId, PeerId, peer_id, short, starting_with
from p2pslinger.net.connection import Connection
from p2pslinger.peer.durable.fellows import Fellows
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.jobfile import JobFile
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.quota import Quota
from p2pslinger.peer.durable.sharing import Sharing
from p2pslinger.peer.durable.tombstones import Tombstones
from p2pslinger.peer.events import JobOpened, Noted
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.seats import KeptJob
from p2pslinger.rules.board import Board
from p2pslinger.rules.replica import Replica, Taken
from p2pslinger.store.jobs import StoredJob
from p2pslinger.wire.identity import Identity, Signed
from p2pslinger.wire.keeping import Item, Keeps
from p2pslinger.wire.manifest import Manifest, job_id, open_manifest

#: Seconds after keep-until for which a forgotten job is remembered as one, so that
#: nobody who was away brings it back: 30 days (design.md).
TOMBSTONE = 30 * 86_400.0

#: Seconds that a job is still here after it was forgotten, to tell the other keepers.
TELL_FORGOTTEN = 5.0


class Vault:
    """The durable jobs of one peer.

    Args:
        means: What they work with.
        owner: Owns the tasks that talk to other keepers.
        connections: Gives the open connection to a peer.
        changed: Called when there may be something to say about a job.
        gone: Called when a job is not here any more.
        secret: Makes the keepers' key of a new job, 32 bytes.
        keeps: This peer keeps jobs for others.
    """

    def __init__(
        self,
        means: Means,
        *,
        owner: Owner,
        connections: Callable[[PeerId], Connection | None],
        changed: Callable[[DurableJob], None],
        gone: Callable[[DurableJob], None],
        secret: Callable[[], bytes],
        keeps: bool,
    ) -> None:
        self._means = means
        self._owner = owner
        self.connections = connections
        self._changed = changed
        self._gone = gone
        self._secret = secret
        self._me = means.me.id
        self.grid = means.grid
        self.held: dict[JobId, Held] = {}
        self.quota = Quota(means, self.held.values, willing=keeps)
        self.tombstones = Tombstones(means.journal, means.store)

    # --- jobs come ----------------------------------------------------------------

    def load(self) -> None:
        """Take up the jobs that are on disk."""
        store = self._means.store
        self.tombstones.load()
        for stored in store.jobs():
            if stored.job in self.tombstones:  # written again by what came too late
                self._drop(stored.job)
                continue
            try:
                self._restore(stored)
            except SlingerError as error:
                held = self.held.pop(stored.job, None)
                if held is not None:
                    self._means.keeper.drop(held.job.kept, over=False)
                text = f"job {short(stored.job)} can't be read: {error}"
                self._means.events.emit(Noted(text))

    def _drop(self, job: JobId) -> None:
        self.tombstones.drop(job, unless=lambda: job in self.held)

    def create(self, signed: Signed, manifest: Manifest, key: Identity) -> Held:
        """Take up a job that is submitted here."""
        job = job_id(signed)
        stored = StoredJob(job, signed, self._secret(), key.secret, kept=True)
        return self._add(stored, manifest)

    def keep(self, signed: Signed, secret: bytes, items: Iterable[Item]) -> Held:
        """Take up a job that another keeper asks us to keep.

        Raises:
            PeerError: the manifest is none.
            UnavailableError: it is forgotten, has expired, or there is no room.
        """
        job = job_id(signed)
        manifest = open_manifest(signed, self._means.grid)
        said = Replica(job, manifest, self.grid, None)
        for item in items:
            said.take(item)
        self._check_wanted(job, until=said.keep_until)
        before = self.held.get(job)
        if before is not None and before.job.is_keeper:
            before.invited = self._means.loop.time()
            return before
        self.quota.check(peer_id(manifest.submitter))
        key = before.job.key if before is not None else None
        stored = StoredJob(job, signed, secret, key.secret if key else b"", kept=True)
        held = self._add(stored, manifest)
        held.invited = self._means.loop.time()
        held.job.kept.board.waits = True
        for item in items:
            held.job.take(item)
        if before is not None:  # until now we have just read it: go on with that
            for follower in before.job.outcomes.followers:
                before.job.outcomes.leave(follower)
                held.job.follow(follower)
            self._let_go(before, "resigned")
        return held

    def read(self, signed: Signed, key: bytes = b"") -> Held:
        """Take up a job that somebody here wants to read, in memory alone.

        Raises:
            PeerError: the manifest is none.
            UnavailableError: it is forgotten.
        """
        job = job_id(signed)
        manifest = open_manifest(signed, self._means.grid)
        self._check_wanted(job, until=math.inf)  # they keep it who give it to us
        return self._add(StoredJob(job, signed, b"", key, kept=False), manifest)

    def own(self, held: Held, key: Identity) -> None:
        """Become an owner of a job, for good."""
        held.job.deciding.key = key
        held.job.deciding.ready = True
        stored = StoredJob(
            held.job.id,
            held.job.kept.signed,
            held.job.replica.secret or b"",
            key.secret,
            kept=held.job.is_keeper,
        )
        self._means.journal.write(lambda: self._means.store.add(stored))
        self._stands(held.job)

    def _check_wanted(self, job: JobId, *, until: float) -> None:
        """Check that a job is neither forgotten nor over.

        Raises:
            UnavailableError: it is.
        """
        if job in self.tombstones:
            raise UnavailableError(f"job {short(job)} was forgotten by its owner")
        if until < self._means.wall():
            raise UnavailableError(f"job {short(job)} has expired")

    def keepers_of(
        self, signed: Signed, manifest: Manifest, items: Iterable[Item]
    ) -> set[PeerId]:
        """Return who keeps a job, as some of its items say.

        Raises:
            PeerError: an item is not signed by whoever may say so.
        """
        replica = Replica(job_id(signed), manifest, self.grid, None)
        for item in items:
            replica.take(item)
        return replica.places.all

    # --- jobs are found -----------------------------------------------------------

    def find(self, text: str) -> Held | None:
        """Return the job whose id is, or starts with, `text`; None if none is here.

        Raises:
            UsageError: several start with it, or it is a mistyped id.
        """
        found = starting_with(text, self.held)
        return None if found is None else self.held[found]

    def kept(self, job: JobId) -> Held:
        """Return a job that is kept here.

        Raises:
            UnavailableError: it is not.
        """
        held = self.held.get(job)
        if held is None or not held.job.is_keeper:
            raise UnavailableError(f"job {short(job)} is not kept here")
        return held

    def partners(self) -> list[PeerId]:
        """Return whom we would be connected with: the other keepers of our jobs."""
        found = dict.fromkeys(
            peer
            for held in self.held.values()
            if held.job.is_keeper or held.job.key or held.job.outcomes.followers
            for peer in held.fellows.all
        )
        return list(found)

    # --- neighbours come and go ---------------------------------------------------

    def joined(self, connection: Connection) -> None:
        """A connection to a peer has opened."""
        kept = [job for job, held in self.held.items() if held.job.is_keeper]
        proven = [job for job, (_, proof) in self.tombstones.items() if proof]
        known = (*kept, *proven)[: limits.BATCH]
        if known:
            connection.push(Keeps(known))
        for held in list(self.held.values()):
            held.fellows.came(connection)
            fellow = held.fellows.all.get(connection.peer) if connection.peer else None
            if fellow is not None and held.job.is_keeper:
                held.sharing.came(fellow)

    def left(self, peer: PeerId) -> None:
        """The connection to a peer is gone."""
        for held in list(self.held.values()):  # some may be forgotten now
            held.fellows.went(peer)

    # --- jobs go ------------------------------------------------------------------

    def forget(self, held: Held, proof: Item | None) -> None:
        """Delete everything of a job, and remember that."""
        job = held.job.id
        until = max(held.job.replica.keep_until, self._means.wall()) + TOMBSTONE
        self._remove(held)
        self.tombstones.bury(job, until, proof)

    def close(self) -> None:
        """The peer goes; what is on disk stays."""
        for held in list(self.held.values()):
            held.sharing.leave()
            held.sharing.close()
            held.fellows.close()

    # --- inside -------------------------------------------------------------------

    def _add(self, stored: StoredJob, manifest: Manifest) -> Held:
        held = self._make(stored, manifest, begun=False)
        if stored.kept:
            self._means.keeper.keep(held.job.kept)
        elif stored.key:  # so that an owner stays one
            self._means.journal.write(lambda: self._means.store.add(stored))
        self._means.events.emit(JobOpened(stored.job, manifest.name))
        return held

    def _restore(self, stored: StoredJob) -> None:
        manifest = open_manifest(stored.manifest, self._means.grid)
        held = self._make(stored, manifest, begun=True)
        if not stored.kept:
            self._stands(held.job)
            return
        self._means.keeper.keep(held.job.kept)
        held.job.restore(self._means.store.items(stored.job))
        library = self._means.library
        held.missing = {
            digest: size
            for digest, size in held.job.blobs.items()
            if not library.keep(stored.job, digest)
        }
        if held.missing:
            text = f"job {short(stored.job)} lacks {len(held.missing)} of its blobs"
            self._means.events.emit(Noted(f"{text}: its other keepers are asked"))
        self._stands(held.job)
        if held.job.kept.board.finished:
            held.job.finished()

    def _make(self, stored: StoredJob, manifest: Manifest, *, begun: bool) -> Held:
        means = self._means
        replica = Replica(stored.job, manifest, means.grid, stored.secret or None)
        board = Board(stored.job, stored.secret, numbers=means.keeper.numbers)
        kept = KeptJob(
            stored.job,
            manifest,
            stored.manifest,
            peer_id(manifest.submitter),
            means.loop.time(),
            board,
            sink=None,  # type: ignore[arg-type]  # the two name each other
        )
        journal = means.journal if stored.kept else None
        file = JobFile(stored, journal, means.store, means.loop, begun=begun)
        job = DurableJob(
            kept, replica, means, stored.kept, file, self._spread, self._stands
        )
        job.deciding.key = Identity(stored.key) if stored.key else None
        job.check_room = partial(self._check_room, job)
        job.deciding.ready = not begun  # else another owner may have decided since
        kept.sink = job
        fellows = Fellows(job, self._owner)
        sharing = Sharing(job, self._me, fellows, lambda: held.places)
        job.on_granted, job.relay = sharing.go_on, fellows.relay
        held = Held(job, fellows, sharing, means.loop.time())
        fellows.on_change = held.changed
        self.held[stored.job] = held
        return held

    def _spread(self, job: DurableJob, taken: Taken) -> None:
        held = self.held.get(job.id)
        if held is not None and held.job is job:  # else it was removed by what it took
            held.fellows.spread(taken)

    def _stands(self, job: DurableJob) -> None:
        """Something that was said of a job, or of its keepers, is new."""
        held = self.held.get(job.id)
        if held is None or held.job is not job:
            return
        if job.replica.standing.forgotten:
            self._forget_soon(held)
            return
        where = held.places
        others = where.all - {self._me}
        if not job.is_keeper and job.key is None:
            others = where.all
        held.fellows.should_be(others, self.connections)
        held.sharing.divide()
        self._changed(job)

    def _forget_soon(self, held: Held) -> None:
        """Forget a job once the others that can be reached have heard that they must.

        The others hear it from whoever remembers it.
        """
        proof = held.job.proof_of_forgetting()
        if proof is None or held.forgetting:
            return
        held.forgetting = True
        id, item = proof
        holding = held.fellows.holding
        waiting = holding.expect(
            id,
            lambda: 1 + len(held.fellows.there()),
            lambda *_: self.forget(held, item),
            TELL_FORGOTTEN,
        )
        held.job.file.when_saved(id, lambda _: holding.saved(waiting), patient=True)

    def let_go(self, held: Held) -> None:
        """Forget a job that is not kept here, and that nobody here reads any more."""
        held.job.tell_end("unavailable", "the job is not here any more")
        if not held.job.is_keeper and held.job.key is None:
            self._remove(held)

    def resign(self, held: Held) -> None:
        """Keep a job no longer: others do."""
        self._remove(held, "resigned")
        self._drop(held.job.id)

    def _remove(self, held: Held, why: str = "gone") -> None:
        held.job.tell_end("unavailable", "the job was forgotten, or has expired")
        if self.held.get(held.job.id) is held:
            del self.held[held.job.id]
            self._gone(held.job)
            self._means.library.end(held.job.id)
        self._let_go(held, why)

    def _let_go(self, held: Held, why: str) -> None:
        held.sharing.close()
        held.fellows.close()
        held.job.close(why)
        held.job.gone = True

    def _check_room(self, job: DurableJob, adding: int) -> None:
        if job.key is None and job.is_keeper:  # others' jobs have a quota
            self.quota.check(job.kept.submitter, adding)
