"""What an owner says of a durable job, and who is one: control records and tickets.

What a program changes is a control record, and done once that is on this machine's
disk, or on a keeper's where this machine does not keep the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec

from p2pslinger.errors import DiskError, SlingerError, UnavailableError, UsageError
from p2pslinger.ids import JobId, PeerId, short
from p2pslinger.limits import EXCLUDED
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.owning import ChangeJob, Ticket
from p2pslinger.wire.records import Control

#: Seconds that a keeper has to take in what an owner elsewhere says.
ASKED = 10.0

#: Changes that mean something only while tasks are left to be begun.
OF_TASKS = {"pause", "resume", "priority"}


class Owning:
    """Speaks for the owner of jobs, where that is this peer.

    Args:
        vault: The jobs.
        means: What they work with.
        seek: Finds a job in the grid; the second argument is its job key, or empty.
        may_sign: Tells whether this peer's clock allows it to sign control records.
        unwanted: Gives the volunteers whose results are not to count.
    """

    def __init__(
        self,
        vault: Vault,
        means: Means,
        *,
        seek: Callable[[JobId, bytes], Awaitable[Held]],
        may_sign: Callable[[], bool],
        unwanted: Callable[[], Iterable[PeerId]],
    ) -> None:
        self._vault = vault
        self._means = means
        self._seek = seek
        self._may_sign = may_sign
        self._unwanted = unwanted

    # --- changing ---------------------------------------------------------------------

    def change(
        self,
        held: Held,
        said: Mapping[str, object],
        saved: Callable[[DiskError | None], None] | None = None,
    ) -> bytes:
        """Sign the next control record of a job; this peer must be an owner.

        Raises:
            UnavailableError: the job is gone, or our clock is too far off to sign.
        """
        if not self._may_sign():
            raise UnavailableError(
                "this machine's clock is too far off its neighbours': set it, best by "
                "NTP, and try again"
            )
        newest = held.job.replica.standing.newest
        if newest is None:
            newest = Control(held.job.id, 0)
        standing = held.job.replica.standing
        record = msgspec.structs.replace(
            newest,
            sequence=newest.sequence + 1,
            cancelled=standing.cancelled,
            sealed=standing.sealed,
        )
        return held.job.control(msgspec.structs.replace(record, **said), saved)

    def unwanted(self) -> tuple[PeerId, ...]:
        """Return whom this peer excludes from a job from the start."""
        return tuple(sorted(self._unwanted())[:EXCLUDED])

    def exclude(self, held: Held) -> None:
        """Exclude from a job whom this peer does not want, if that is up to it."""
        job = held.job
        if not job.deciding.decides or job.end or held.forgetting:
            return
        before = job.replica.standing.excluded
        new = sorted(set(self._unwanted()) - before)[: EXCLUDED - len(before)]
        if new and self._may_sign():
            self.change(held, {"excluded": (*sorted(before), *new)})

    async def change_as_asked(self, ask: ChangeJob) -> None:
        """Change a job as a program asks; return once that is safe.

        It is on our disk if we keep the job, else on that of a keeper at least.

        Raises:
            UsageError: there is no such change or job, or it is another's.
            UnavailableError: nobody who keeps it can be reached, or the disk is full.
        """
        held = self._vault.find(ask.job)
        if held is None:
            raise UsageError(
                f"this machine knows no durable job {ask.job!r}: `slinger jobs` lists "
                "them"
            )
        if held.job.key is None:
            raise UsageError(
                "this machine does not own that job: ask whoever has submitted it for "
                "a ticket with the job key (`slinger ticket JOB --owner`)"
            )
        said = self._said(ask)
        if ask.change in OF_TASKS and held.state not in {"open", "paused"}:
            raise UsageError(
                f"job {short(held.job.id)} is {held.state}: none of its tasks is left "
                "to be begun"
            )
        if not held.job.is_keeper:
            held = await self._seek(held.job.id, held.job.key.secret)
        safe: asyncio.Future[SlingerError | None] = self._means.loop.create_future()

        def settle(error: SlingerError | None) -> None:
            if not safe.done():
                safe.set_result(error)

        self._change_safely(held, settle, said)
        error = await safe
        if error is not None:
            raise error

    def _change_safely(
        self,
        held: Held,
        settle: Callable[[SlingerError | None], None],
        said: dict[str, object],
    ) -> None:
        """Change a job, and say when that is safe."""
        if held.job.is_keeper:
            self.change(held, said, settle)
            return

        def answer(_: int, enough: bool) -> None:
            late = UnavailableError("no keeper of the job has answered: try again")
            settle(None if enough else late)

        holding = held.fellows.holding
        id = self.change(held, said)
        waiting = holding.expect(id, lambda: 2, answer, ASKED)
        # Ours counts as one, once others have been told, and a keeper's as the other.
        held.job.file.when_saved(id, lambda _: holding.saved(waiting), patient=True)

    def _said(self, ask: ChangeJob) -> dict[str, object]:
        value = ask.value
        match ask.change:
            case "cancel":
                return {"cancelled": True}
            case "pause":
                return {"paused": True}
            case "resume":
                return {"paused": False}
            case "forget":
                return {"forgotten": True, "cancelled": True}
            case "priority" if value is not None and -100 <= value <= 100:
                return {"priority": int(value)}
            case "extend" if value is not None and 0 < value <= 1e9:
                return {"keep_until": self._means.wall() + value}
        raise UsageError(f"a job can't be changed by {ask.change!r} with {value!r}")

    # --- tickets ----------------------------------------------------------------------

    def ticket(self, text: str, *, owner: bool) -> Ticket:
        """Return the ticket of a job, with its job key for an owner.

        Raises:
            UsageError: the job is not here, or this peer does not own it.
        """
        held = self._vault.find(text)
        if held is None:
            raise UsageError(f"this machine knows no durable job {text!r}")
        key = held.job.key
        if not owner:
            return Ticket(held.job.id, self._means.grid)
        if key is None:
            raise UsageError("this machine does not own that job, and has no key of it")
        return Ticket(held.job.id, self._means.grid, key.secret)

    async def use_ticket(self, ticket: Ticket) -> Held:
        """Find a ticket's job; with its key in the ticket, become an owner of it.

        Raises:
            UsageError: the ticket is of another grid, or its key of another job.
            UnavailableError: nobody who keeps the job can be reached.
        """
        if ticket.grid != self._means.grid:
            raise UsageError("that ticket is of another grid than this machine's")
        job = JobId(ticket.job)
        held = self._vault.held.get(job)
        if held is None:
            held = await self._seek(job, b"")
        if ticket.key:
            key = Identity(ticket.key)
            if key.public != held.job.kept.manifest.job_key:
                raise UsageError("that ticket's key is not the job's: it is damaged")
            self._vault.own(held, key)
        return held
