"""What other peers may ask about durable jobs: the handlers of those messages.

Items prove themselves, so it does not matter who brings them; what costs something
(keeping a job, its place on our disk) is asked for by name and may be refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from p2pslinger import limits
from p2pslinger.errors import (
    DiskError,
    PeerError,
    SlingerError,
    UnavailableError,
)
from p2pslinger.ids import JobId, PeerId, peer_id, short
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.durable.delivering import Delivering
from p2pslinger.peer.durable.fellows import CONTENT
from p2pslinger.peer.durable.gathering import gather
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.seats import Seat
from p2pslinger.rules.replica import item_id
from p2pslinger.wire.glimpse import Relayed
from p2pslinger.wire.keeping import (
    IDS,
    Adopt,
    CompareJob,
    Content,
    GetItems,
    GotItems,
    Item,
    JobCompared,
    Keep,
    Keeping,
    Keeps,
    ShareGrants,
    Tell,
    Told,
)
from p2pslinger.wire.manifest import open_manifest

#: Bytes of contents in one answer.
ROOM = 2 * limits.ANSWER

#: Lots of items that one connection may tell of at once: each is up to a frame.
TOLD = 8


class KeepServing:
    """The way in for messages about durable jobs.

    Args:
        vault: The jobs.
        owner: Owns the tasks that fetch what items refer to.
        delivering: Takes grants over.
        seat: Gives the seat of who is at the other end.
        keeps: Whether this peer keeps jobs for others.
        refuses: Tells whose jobs are not kept.
    """

    def __init__(
        self,
        vault: Vault,
        owner: Owner,
        *,
        delivering: Delivering,
        seat: Callable[[Connection], Seat],
        keeps: bool,
        refuses: Callable[[PeerId], bool],
    ) -> None:
        self._vault = vault
        self._owner = owner
        self._delivering = delivering
        self._seat = seat
        self._keeps = keeps
        self._refuses = refuses
        self._told: Counter[Connection] = Counter()

    def add_to(self, table: Handlers) -> None:
        """Take the messages that are about durable jobs."""
        table.on(Keep, self._keep)
        table.on(Tell, self._tell)
        table.on(CompareJob, self._compare)
        table.on(GetItems, self._get)
        table.on(ShareGrants, self._share)
        table.on(Adopt, self._adopt)
        table.on(Relayed, self._relayed)
        table.on(Keeps, self._keeps_too)

    # --- keeping ------------------------------------------------------------------

    def _keep(self, connection: Connection, keep: Keep, exchange: Exchange) -> None:
        assert connection.peer is not None
        if not self._keeps:
            raise UnavailableError("this peer keeps no jobs for others")
        self._check_asker(connection.peer, keep)
        held = self._vault.keep(keep.manifest, keep.secret, keep.items)
        self._owner.spawn(self._take_over(held, connection, exchange))

    def _check_asker(self, asker: PeerId, keep: Keep) -> None:
        """Check that somebody asks who keeps or has submitted the job itself."""
        manifest = open_manifest(keep.manifest, self._vault.grid)
        if self._refuses(peer_id(manifest.submitter)):
            raise UnavailableError("this peer keeps nothing of that submitter")
        if asker == peer_id(manifest.submitter):
            return
        if asker not in self._vault.keepers_of(keep.manifest, manifest, keep.items):
            raise UnavailableError("you do not keep that job, as far as we can see")

    async def _take_over(
        self, held: Held, connection: Connection, exchange: Exchange
    ) -> None:
        """Get the function if it is big, then say that the job is kept."""
        job = held.job
        function = job.kept.manifest.function
        library = job.means.library
        try:
            if not function.code:
                await library.obtain(job.id, function.digest, function.size, connection)
        except SlingerError as error:
            exchange.fail(error)
            return

        def begun(error: DiskError | None) -> None:
            if error is None:
                exchange.reply(Keeping())
            else:
                exchange.fail(error)

        job.file.begin(begun)

    def _relayed(self, connection: Connection, what: Relayed, _: Exchange) -> None:
        """Hear from another keeper how a range goes on."""
        held = self._vault.held.get(JobId(what.shown.job))
        if held is not None and connection.peer in held.fellows.all:
            held.job.glimpsed(PeerId(what.volunteer), what.shown, relayed=True)

    # --- items --------------------------------------------------------------------

    def _tell(self, connection: Connection, tell: Tell, exchange: Exchange) -> None:
        job = JobId(tell.job)
        if job in self._vault.tombstones:
            raise UnavailableError(f"job {short(job)} was forgotten by its owner")
        held = self._vault.kept(job)
        if self._told[connection] >= TOLD:
            raise PeerError(f"told of more than {TOLD} lots of items at once")
        held.job.check_room(0)
        self._told[connection] += 1
        self._owner.spawn(self._gather(held.job, tell, connection, exchange))

    async def _gather(
        self, job: DurableJob, tell: Tell, connection: Connection, exchange: Exchange
    ) -> None:
        try:
            refused = await gather(job, tell.items, tell.contents, connection)
            exchange.reply(Told(tuple(refused)))
        except SlingerError as error:
            exchange.fail(error)
        finally:
            self._told[connection] -= 1
            if not self._told[connection]:
                del self._told[connection]

    def _keeps_too(self, connection: Connection, message: Keeps, _: Exchange) -> None:
        """Hear which jobs somebody keeps that we know as well."""
        for job in map(JobId, message.jobs):
            tombstone = self._vault.tombstones.get(job)
            held = self._vault.held.get(job)
            if tombstone is not None and tombstone[1] is not None:
                connection.ask(Tell(job, (tombstone[1],)), _ignore)
            elif held is not None and (held.job.is_keeper or held.job.key):
                self._owner.spawn(held.fellows.meet(connection))

    def _compare(self, _: Connection, ask: CompareJob, exchange: Exchange) -> None:
        job = JobId(ask.job)
        proof = self._proof(job)
        if proof is not None:
            exchange.reply(JobCompared((0,), (item_id(proof.signed),)))
            return
        held = self._vault.kept(job)
        replica = held.job.replica
        unsaved = set(held.job.file.unsaved())  # what is not on disk is not held yet
        buckets = replica.differing(ask.sums, unsaved)
        ids = [id for id in replica.ids(buckets) if id not in unsaved]
        exchange.reply(JobCompared(buckets, tuple(ids[:IDS]), held.job.kept.signed))

    def _get(self, _: Connection, ask: GetItems, exchange: Exchange) -> None:
        job = JobId(ask.job)
        proof = self._proof(job)
        if proof is not None:
            exchange.reply(GotItems((proof,)))
            return
        held = self._vault.kept(job)
        items: list[Item] = []
        contents: list[Content] = []
        room = ROOM
        for id in ask.ids:
            item = held.job.file.item(id)
            if item is None:
                continue
            small = held.job.file.contents_of(item)
            room -= len(item.signed.body)
            if items and room < 0:
                break
            items.append(item)
            for digest, data in small.items():
                room -= len(data) + CONTENT
                if room > 0:
                    contents.append(Content(digest, data))
        exchange.reply(GotItems(tuple(items), tuple(contents)))

    def _proof(self, job: JobId) -> Item | None:
        """Return the control record by which a job was forgotten, if it was."""
        tombstone = self._vault.tombstones.get(job)
        if tombstone is None:
            return None
        if tombstone[1] is None:
            raise UnavailableError(f"job {short(job)} has expired")
        return tombstone[1]

    # --- grants -------------------------------------------------------------------

    def _share(self, connection: Connection, message: ShareGrants, _: Exchange) -> None:
        held = self._vault.held.get(JobId(message.job))
        if held is not None and connection.peer in held.fellows.all:
            held.sharing.heard(connection.peer, message)

    def _adopt(self, connection: Connection, ask: Adopt, exchange: Exchange) -> None:
        exchange.reply(self._delivering.adopt(self._seat(connection), ask))


def _ignore(_: msgspec.Struct | SlingerError, __: Body | None) -> None:
    """Whoever knows it already says so."""
