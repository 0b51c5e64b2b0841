"""Finding keepers: for jobs of this peer, and in the place of those that are silent.

The owner names keepers in control records. Without one, the first living keeper fills
the place of one that has been silent for long, by a signed appointment. Whoever is
asked may refuse, and is then not asked again for a while.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Set

import msgspec

from p2pslinger.errors import SlingerError, UnavailableError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.connection import Connection
from p2pslinger.peer.durable.fellows import Fellow
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.job import DurableJob
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.rules.keeping import (
    DEPTH,
    REPLACE_AFTER,
    Applicant,
    in_order,
    replacement,
)
from p2pslinger.wire.keeping import Item, Keep, Keeping, Kind
from p2pslinger.wire.records import Appointment, Control, seal

#: Seconds until a peer is asked again that would not keep a job.
REFUSED = 300.0

#: Seconds that a peer has to say whether it keeps a job: it fetches the function first.
PATIENCE = 10.0


class Appointing:
    """Sees to it that jobs have the keepers that they should have.

    Args:
        vault: The jobs.
        means: What signs, and tells the time.
        applicants: Gives the peers that could be asked: connected, can be dialled.
        connections: Gives the open connection to a peer.
        may_sign: Tells whether this peer's clock allows it to sign control records.
        leaves: Tells whether this peer gives what it keeps for others to others.
    """

    def __init__(
        self,
        vault: Vault,
        means: Means,
        *,
        applicants: Callable[[], Iterable[Applicant]],
        connections: Callable[[PeerId], Connection | None],
        may_sign: Callable[[], bool],
        leaves: Callable[[], bool],
    ) -> None:
        self._leaves = leaves
        self._vault = vault
        self._means = means
        self._me = means.me.id
        self._applicants = applicants
        self._connections = connections
        self._may_sign = may_sign
        self._refused: dict[tuple[JobId, PeerId], float] = {}
        self._busy: set[JobId] = set()

    def tick(self) -> None:
        """Let those be asked again that have refused a while ago."""
        now = self._means.loop.time()
        self._refused = {
            key: when for key, when in self._refused.items() if now - when < REFUSED
        }

    def is_due(self, held: Held) -> bool:
        """Tell whether a job may lack keepers, and finding them is up to us."""
        job = held.job
        idle = not job.is_keeper or job.end == "cancelled" or held.forgetting
        if job.id in self._busy or idle or not self._may_sign():
            return False
        if next(self._to_invite(held), None) is not None:
            return True
        if self._is_up_to_owner(job):
            lacking = self._lacking(held, self._silent(held))
            return lacking > 0 or bool(job.replica.appointments)
        return self._replaceable(held) is not None

    def finds_somebody(self, held: Held) -> bool:
        """Tell whether there is a peer that could be asked to keep a job, or is."""
        return held.job.id in self._busy or bool(self._candidates(held))

    async def fill(self, held: Held) -> None:
        """Find the keepers that a job lacks, if that `is_due`."""
        job = held.job
        if not self.is_due(held):
            return
        self._busy.add(held.job.id)
        try:
            await self._invite_again(held)
            if self._is_up_to_owner(job):
                await self._fill_as_owner(held)
            else:
                await self._fill_as_keeper(held)
        except UnavailableError:
            pass  # it was forgotten meanwhile
        finally:
            self._busy.discard(held.job.id)

    async def _invite_again(self, held: Held) -> None:
        """Ask those who have a place and no copy, as far as they have not refused."""
        for fellow in self._to_invite(held):
            if await self._ask(held, fellow.peer):
                fellow.lacks = False
                held.fellows.compare_all()

    def _to_invite(self, held: Held) -> Iterator[Fellow]:
        for peer in held.places.keepers:
            fellow = held.fellows.all.get(peer)
            refused = (held.job.id, peer) in self._refused
            asks = held.job.is_keeper and not refused
            if fellow is not None and fellow.lacks and asks:
                yield fellow

    # --- as the owner -------------------------------------------------------------

    async def _fill_as_owner(self, held: Held) -> None:
        job = held.job
        if job.replica.standing.newest is None:
            return  # lost with a part of our disk: the other keepers have it
        if job.replica.appointments:
            self._confirm(held)
        gone = self._silent(held)
        lacking = self._lacking(held, gone)
        for peer in self._candidates(held):
            if lacking <= 0:
                return
            if await self._ask(held, peer):
                control = _control(job)
                keepers = [PeerId(one) for one in control.keepers]
                old = next((one for one in keepers if one in gone), None)
                if old is None:
                    keepers.append(peer)
                else:
                    keepers[keepers.index(old)] = peer
                    gone.discard(old)
                lacking -= 1
                job.control(
                    msgspec.structs.replace(
                        control,
                        sequence=control.sequence + 1,
                        keepers=tuple(keepers),
                    )
                )

    def _is_up_to_owner(self, job: DurableJob) -> bool:
        return job.key is not None and (job.deciding.ready or job.deciding.away)

    def _silent(self, held: Held) -> set[PeerId]:
        """Return who was silent for too long, of those that the owner has named."""
        newest = held.job.replica.standing.newest
        named = [PeerId(one) for one in newest.keepers] if newest is not None else []
        silence = self._silence(held)
        return {one for one in named if silence.get(one, 0.0) > REPLACE_AFTER}

    def _lacking(self, held: Held, gone: Set[PeerId]) -> int:
        """Return how many keepers the owner still has to find."""
        newest = held.job.replica.standing.newest
        if newest is None:
            return 0
        named = [one for one in newest.keepers if PeerId(one) not in gone]
        return 1 + held.wanted - len(named)

    def _confirm(self, held: Held) -> None:
        """Name those who were appointed in our absence; the others may resign."""
        control = _control(held.job)
        others = [one for one in held.places.keepers if one != self._me]
        keepers = (self._me, *others[: held.wanted])
        sequence = control.sequence + 1
        held.job.control(
            msgspec.structs.replace(control, sequence=sequence, keepers=keepers)
        )

    # --- as a keeper --------------------------------------------------------------

    async def _fill_as_keeper(self, held: Held) -> None:
        old = self._replaceable(held)
        if old is None:
            return
        for peer in self._candidates(held):
            if await self._ask(held, peer):
                where = held.places
                if old in where.keepers:
                    self._appoint(held, peer, old, where.depth[old] + 1)
                return

    def _replaceable(self, held: Held) -> PeerId | None:
        """Return whose place is ours to fill: our own, if we leave."""
        where = held.places
        if self._leaves() and held.job.key is None and self._me in where.keepers:
            return self._me if where.depth[self._me] < DEPTH else None
        alive = {fellow.peer for fellow in held.fellows.there()} | {self._me}
        return replacement(where, self._me, alive, self._silence(held))

    def _appoint(self, held: Held, new: PeerId, old: PeerId, depth: int) -> None:
        made = Appointment(
            held.job.id,
            held.job.replica.standing.sequence,
            new,
            old,
            depth,
            self._means.wall(),
        )
        signed = seal(made, self._means.me, self._means.grid)
        held.job.take(Item(Kind.APPOINTMENT, signed), trusted=True)

    # --- asking -------------------------------------------------------------------

    def _silence(self, held: Held) -> dict[PeerId, float]:
        """Return for how long those have been silent that are not there.

        Who is there and will not keep the job is as good as gone.
        """
        now = self._means.loop.time()
        silence = {}
        for fellow in held.fellows.all.values():
            if fellow.lacks and (held.job.id, fellow.peer) in self._refused:
                silence[fellow.peer] = math.inf
            elif not fellow.is_there:
                silence[fellow.peer] = now - fellow.since
        return silence

    def _candidates(self, held: Held) -> list[PeerId]:
        taken = held.places.all | held.job.kept.board.excluded | {self._me}
        free = [
            one
            for one in self._applicants()
            if one.peer not in taken and (held.job.id, one.peer) not in self._refused
        ]
        return list(in_order(free, held.job.id))

    async def _ask(self, held: Held, peer: PeerId) -> bool:
        connection = self._connections(peer)
        if connection is None:
            return False
        job = held.job
        items = [
            job.file.item(id)
            for id in (*job.replica.standing.records, *job.replica.appointments)
        ]
        keep = Keep(
            job.kept.signed,
            job.kept.board.key,
            tuple(item for item in items if item is not None),
        )
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await connection.request(keep)
        except (SlingerError, TimeoutError):
            self._refused[job.id, peer] = self._means.loop.time()
            return False
        return isinstance(answer, Keeping)


def _control(job: DurableJob) -> Control:
    newest = job.replica.standing.newest
    assert newest is not None  # an owner's job has had one since it was made
    return newest
