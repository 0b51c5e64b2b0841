"""Results of durable jobs on their way in, from a volunteer to the job's keepers.

They are taken as signed items, every signature checked, because others will rely on
them. The volunteer is answered when enough keepers hold them on disk; until then, or if
that takes too long, it keeps its copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from p2pslinger.errors import DiskError, PeerError, SlingerError, UnavailableError
from p2pslinger.ids import JobId
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.seats import Seat
from p2pslinger.rules.grants import Held as HeldGrant
from p2pslinger.rules.replica import item_id
from p2pslinger.wire.identity import Purpose, Signed, verify
from p2pslinger.wire.keeping import Adopt, Item, Kind
from p2pslinger.wire.messages import Delivered, Renewed
from p2pslinger.wire.records import RangeResult

#: Keepers that hold a result before its volunteer may forget it, if so many are there.
ENOUGH = 2

#: Seconds that the other keepers have to take it in before the volunteer is told that
#: it has to keep its copy.
PATIENCE = 5.0

#: Called with what became of results; an error says that they were not taken.
Told = Callable[[Delivered | SlingerError], None]


class Delivering:
    """Takes results of durable jobs in.

    Args:
        vault: The jobs.
        owner: Owns the tasks that write big values.
    """

    def __init__(self, vault: Vault, owner: Owner) -> None:
        self._vault = vault
        self._owner = owner

    def is_durable(self, results: Sequence[RangeResult]) -> bool:
        """Tell whether any of these are of a durable job that is, or was, kept here."""
        return any(map(self._is_kept, {JobId(result.job) for result in results}))

    def _is_kept(self, job: JobId) -> bool:
        held = self._vault.held.get(job)
        return (held is not None and held.job.is_keeper) or (
            job in self._vault.tombstones
        )

    def offer(
        self,
        seat: Seat,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: Mapping[bytes, bytes],
        told: Told,
    ) -> None:
        """Take in results of one job.

        Args:
            seat: Who has signed them.
            batch: As they were signed.
            results: What it holds.
            blobs: The values of those that are too big, by digest, which is checked.
            told: Called once.

        Raises:
            PeerError: they are of several jobs, badly signed, or were not asked for.
        """
        job = results[0].job
        if any(result.job != job for result in results):
            raise PeerError("delivered results of a durable job beside another's")
        held = self._vault.held.get(JobId(job))
        if not seat.own:
            verify(batch, Purpose.RESULTS, self._vault.grid)
        if held is None or held.job.end == "cancelled" or held.forgetting:
            told(Delivered(0, tuple(result.grant for result in results)))
            return
        try:
            held.job.check_room(len(batch.body) + sum(map(len, blobs.values())))
        except UnavailableError as error:
            told(error)
            return
        for result in results:
            if result.lost:
                held.job.means.keeper.note_loss(held.job.kept, seat.peer, result)
        if blobs:
            self._owner.spawn(self._take_big(held, batch, blobs, told))
        else:
            self._take(held, batch, told)

    async def _take_big(
        self,
        held: Held,
        batch: Signed,
        blobs: Mapping[bytes, bytes],
        told: Told,
    ) -> None:
        """Make values durable that are too big for a message, then the results."""
        library, job = held.job.means.library, held.job.id
        try:
            for digest, data in blobs.items():
                if not library.keep(job, digest):
                    await library.put(job, data, durable=True)
            self._take(held, batch, told)
        except SlingerError as error:
            told(error)

    def _take(self, held: Held, batch: Signed, told: Told) -> None:
        holding = held.fellows.holding

        def answer(holders: int, enough: bool) -> None:
            until = held.job.replica.keep_until
            told(Delivered(holders, (), enough, max(0.0, until)))

        def saved(error: DiskError | None) -> None:
            if error is None:
                holding.saved(waiting)
            elif holding.forget(waiting):
                told(error)

        id = item_id(batch)
        waiting = holding.expect(id, lambda: _enough(held), answer, PATIENCE)
        try:
            held.job.take(Item(Kind.RESULTS, batch), trusted=True, saved=saved)
        except SlingerError:
            holding.forget(waiting)
            raise

    # --- grants -----------------------------------------------------------------------

    def adopt(self, seat: Seat, ask: Adopt) -> Renewed:
        """Take over a volunteer's grants whose keeper is gone; return the void ones.

        Raises:
            PeerError: no keeper has made them.
            UnavailableError: the job is not kept here.
        """
        held = self._vault.kept(JobId(ask.job))
        job = held.job.kept
        now = held.job.means.loop.time()
        void = []
        for one in ask.grants:
            grant = HeldGrant(
                one.number,
                seat.peer,
                one.start,
                one.stop,
                now + job.board.lease,
                one.start,
            )
            if held.job.end or not job.board.adopt(grant, one.mac):
                void.append(one.number)
        held.job.means.keeper.settle(job)
        held.sharing.go_on()
        return Renewed(tuple(void))


def _enough(held: Held) -> int:
    """Return how many keepers are enough, as things stand."""
    named = held.places.keepers
    keep = [one for one in held.fellows.there() if one.peer in named and one.takes]
    return min(ENOUGH, 1 + len(keep))
