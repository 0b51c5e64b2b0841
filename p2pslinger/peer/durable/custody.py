"""Durable jobs at this peer, put together: `Peer` makes one of these, and no more.

Vault           the jobs themselves          Deposits   what programs do with them
Appointing      who else keeps them          Seeking    finding those of others
Announcing      saying that we keep them     Crediting  receipts for volunteers
KeepServing     what other keepers ask       Delivering results on their way in
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Handlers
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.durable.announcing import Announcing
from p2pslinger.peer.durable.appointing import Appointing
from p2pslinger.peer.durable.caretaking import Caretaking
from p2pslinger.peer.durable.crediting import Crediting
from p2pslinger.peer.durable.delivering import Delivering
from p2pslinger.peer.durable.deposits import Deposits
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.keepserve import KeepServing
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.owning import Owning
from p2pslinger.peer.durable.resigning import HandingOver
from p2pslinger.peer.durable.seeking import Seeking
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.events import Noted
from p2pslinger.peer.neighbourhood import Neighbourhood
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.people import Acquaintance
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.records import Notice

#: Seconds between two looks at what is due.
LOOK = 5.0

#: Seconds after which a peer that has started decides by itself: nobody is there.
ALONE = 30.0

#: Seconds after which a peer that is alone trusts its clock to say what has expired.
TRUST_CLOCK = 3600.0

#: Seconds for which a job's submitter must have been away before its keepers have
#: results checked by themselves.
UNSEEN = 10.0

#: Seconds for which a job's submitter must have been away before another owner decides.
AWAY = 60.0


class Custody:
    """The durable jobs of one peer.

    Args:
        means: What they work with.
        owner: Owns their tasks.
        around: The grid around this peer.
        notices: Spreads notices, and knows those of others.
        credited: Hands a receipt of ours to its volunteer.
        may_sign: Tells whether this peer's clock allows it to sign control records.
        randbytes: Makes keys.
        keeps: This peer takes up jobs for others.
        leaves: It gives those that it keeps to other keepers.
        alone: There will never be any.
        people: Tells whose jobs are not kept, and whose results do not count.
    """

    def __init__(
        self,
        means: Means,
        owner: Owner,
        around: Neighbourhood,
        notices: Notices,
        *,
        credited: Callable[[PeerId, Signed], None],
        may_sign: Callable[[], bool],
        randbytes: Callable[[int], bytes],
        keeps: bool,
        leaves: bool = False,
        alone: bool = False,
        people: Acquaintance,
    ) -> None:
        self._means = means
        self._owner = owner
        self._announcing = Announcing(
            means, owner, announce=notices.announce, put=around.put
        )
        self._crediting = Crediting(means, credited)
        self.vault = Vault(
            means,
            owner=owner,
            connections=around.connection,
            changed=self._changed,
            gone=self._gone,
            secret=lambda: randbytes(32),
            keeps=not leaves,
        )
        self._caretaking = Caretaking(self.vault, means, owner)
        self._appointing = Appointing(
            self.vault,
            means,
            applicants=around.applicants,
            connections=around.connection,
            may_sign=may_sign,
            leaves=lambda: not self.vault.quota.keeps,
        )
        self._started = means.loop.time()
        self._connection = around.connection
        self._neighbours = around.connections
        self._may_sign = may_sign
        self._seeking = Seeking(
            self.vault,
            grid=means.grid,
            heard=notices.keepers_of,
            find=around.find,
            reach=around.reach,
            neighbours=around.connections,
        )
        self.deposits = Deposits(
            self.vault,
            means,
            owner,
            randbytes=randbytes,
            fill=self._fill,
            seek=self._seeking.seek,
            owning=Owning(
                self.vault,
                means,
                seek=self._seeking.seek,
                may_sign=may_sign,
                unwanted=lambda: {*people.banned(), *means.company.barred()},
            ),
            alone=alone,
        )
        self.handing_over = HandingOver(
            self.vault, means.me.id, self._appointing, owner, self.deposits.is_kept
        )
        self.delivering = Delivering(self.vault, owner)
        self._serving = KeepServing(
            self.vault,
            owner,
            delivering=self.delivering,
            seat=lambda connection: means.keeper.seat(connection.peer),
            keeps=keeps,
            refuses=people.is_banned,
        )
        self._people = people
        means.company.on_strike = self._exclude_soon

    def add_to(self, table: Handlers) -> None:
        """Take the messages that are about durable jobs."""
        self._serving.add_to(table)

    # --- life -------------------------------------------------------------------------

    def start(self) -> None:
        """Take up the jobs that are on disk, and look after them from now on."""
        self.vault.load()
        kept = self.vault.quota.facts()
        if kept.jobs and not kept.willing:
            jobs = "1 job" if kept.jobs == 1 else f"{kept.jobs} jobs"
            text = f"keep = false: {jobs} of others will be handed over to other peers"
            self._means.events.emit(Noted(text))
        self._owner.spawn(self._look_on())

    def close(self) -> None:
        """The peer goes; what is on disk stays."""
        self.vault.close()

    def joined(self, connection: Connection) -> None:
        """A connection to a peer has opened."""
        self.vault.joined(connection)
        for held in self.vault.held.values():
            if len(held.places.keepers) <= held.wanted:
                self._fill(held)

    def sift(self) -> None:
        """Let go of the jobs of those whose jobs are not kept any more."""
        for held in list(self.vault.held.values()):
            theirs = self._people.is_banned(held.job.kept.submitter)
            if theirs and held.job.is_keeper and held.job.key is None:
                self.vault.resign(held)
        self.exclude()

    def _exclude_soon(self) -> None:
        self._means.loop.call_soon(self.exclude)

    def exclude(self) -> None:
        """Exclude from this peer's jobs whom it has banned, or found to lie."""
        for held in list(self.vault.held.values()):
            self.deposits.owning.exclude(held)

    def heard(self, notice: Notice) -> bool:
        """Look at a notice of our own that has come back; tell if the job is here."""
        held = self.vault.held.get(JobId(notice.job))
        self._announcing.heard(notice, held.job if held is not None else None)
        return held is not None

    def left(self, peer: PeerId) -> None:
        """The connection to a peer is gone."""
        self.vault.left(peer)

    @property
    def is_settled(self) -> bool:
        """Whether every job that was submitted here has the keepers that it wants."""
        return all(
            self.deposits.is_kept(held)
            for held in self.vault.held.values()
            if held.job.key is not None
        )

    def blob(self, job: JobId, digest: bytes) -> bytes | None:
        """Return small arguments of a durable job, or None if they are not here."""
        held = self.vault.held.get(job)
        return None if held is None else held.job.file.content(digest)

    # --- inside -----------------------------------------------------------------------

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            # Also without a job: what is gone may still have to go from the disk.
            self._caretaking.look_after(may_expire=self._may_expire)
            self._appointing.tick()
            for held in list(self.vault.held.values()):
                self._fill(held)
                self._announcing.look(held.job)
                self._crediting.look(held.job)
                self._find_out_who_decides(held)
                self._find_out_who_checks(held)
                self._find_again(held)

    def _may_expire(self) -> bool:
        """Tell whether our clock may delete jobs: somebody has agreed with it."""
        up = self._means.loop.time() - self._started
        return self._may_sign() and (bool(self._neighbours()) or up > TRUST_CLOCK)

    def _find_out_who_decides(self, held: Held) -> None:
        """See whether results are ours to accept, as an owner of the job."""
        deciding, submitter = held.job.deciding, held.job.kept.submitter
        if held.job.key is None:
            return
        now = self._means.loop.time()
        there = held.fellows.there()
        heard = there and all(one.agrees or one.lacks for one in there)
        alone = now - self._started > ALONE or len(held.places.keepers) < 2
        waited = not deciding.ready
        deciding.ready = deciding.ready or bool(heard) or alone
        if submitter == self._means.me.id:
            self.deposits.seal_abandoned(held)
        elif self._connection(submitter) is not None:
            held.submitter_seen = now
        deciding.away = now - max(held.submitter_seen, self._started) > AWAY
        self.deposits.owning.exclude(held)
        held.job.decide_the_rest()
        if waited and deciding.ready:
            self._means.keeper.settle(held.job.kept)  # its end may have waited for this

    def _find_out_who_checks(self, held: Held) -> None:
        """See whether keepers have to have results checked by themselves."""
        job, now = held.job, self._means.loop.time()
        if self._connection(job.kept.submitter) is not None:
            held.submitter_seen = now
        gone = now - max(held.submitter_seen, self._started) > UNSEEN
        stands_in = job.is_keeper and job.key is None and gone
        if stands_in and not job.checking.stands_in:
            job.checking.stands_in = True
            job.checking.review(job.replica.outcomes())
        job.checking.stands_in = stands_in

    def _find_again(self, held: Held) -> None:
        """Look for the keepers of a job that this peer owns by a ticket."""
        theirs = not held.job.is_keeper and held.job.key and not held.forgetting
        if not theirs or not all(one.lacks for one in held.fellows.there()):
            held.look_at, held.pause = 0.0, 0.0
        elif self._means.loop.time() >= held.look_at:
            self._owner.spawn(self._seeking.look(held))

    def _fill(self, held: Held) -> None:
        if self._appointing.is_due(held):
            self._owner.spawn(self._appointing.fill(held))

    def _changed(self, job: DurableJob) -> None:
        self._announcing.look(job)
        if job.end:
            self._crediting.look(job)

    def _gone(self, job: DurableJob) -> None:
        self._announcing.forget(job)
        self._crediting.forget(job.id)
