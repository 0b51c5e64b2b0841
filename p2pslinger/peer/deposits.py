"""Durable jobs as programs see them: submitted here, followed, changed, handed over.

A program appends arguments to a job that it has opened; they are numbered and signed in
the order in which they came, whenever the disk is through with them. What a program
changes is a control record, and done once that is on this machine's disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from p2pslinger import limits
from p2pslinger.errors import DiskError, SlingerError, UnavailableError, UsageError
from p2pslinger.ids import FULL, JobId, from_text, short
from p2pslinger.peer.durable import Means
from p2pslinger.peer.held import Held
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.settled import Follower
from p2pslinger.peer.vault import Vault
from p2pslinger.rules.replica import item_id
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import ChangeJob, KeptBy, OpenJob, ShardIn, Ticket
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keeping import Item, Kind
from p2pslinger.wire.manifest import Manifest, seal_manifest
from p2pslinger.wire.records import Control, ShardBatch, ShardHead, seal

#: Seconds that a durable job is kept unless it says otherwise: 7 days (design.md).
KEEP = 7 * 86_400.0

#: Seconds that a keeper has to take in what an owner elsewhere says.
ASKED = 10.0

#: Seconds between two looks for news at the keepers, while somebody follows a job that
#: is not kept here.
READ = 1.0


class Deposit:
    """A durable job, as one program of this machine sees it.

    Args:
        held: The job.
        deposits: Where it was opened or found.
        writer: This program has opened it, and may append.
    """

    def __init__(self, held: Held, deposits: Deposits, *, writer: bool) -> None:
        self._job = held.job.id
        self._deposits = deposits
        self._writer = writer
        self._chain = bytes(32)
        self._shards = 0
        self._tasks = 0
        self._sealed = False
        self._last: bytes | None = None

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self._job

    @property
    def held(self) -> Held:
        """The job as it is here now: kept, or only read.

        Raises:
            UnavailableError: it is not here any more.
        """
        return self._deposits.held(self._job)

    def append(self, shards: Sequence[tuple[ShardIn, bytes]]) -> None:
        """Append arguments.

        Raises:
            UsageError: it is sealed, or was opened by another program.
        """
        if not self._writer or self._sealed:
            raise UsageError("nothing can be appended to a job that is sealed")
        if self.held.job.end:
            return
        heads = tuple(
            ShardHead(
                shard.count, shard.form, blob_digest(data), len(data), shard.shared
            )
            for shard, data in shards
        )
        batch = ShardBatch(self.id, self._shards, self._tasks, self._chain, heads)
        assert self.held.job.key is not None
        signed = seal(batch, self.held.job.key, self._deposits.means.grid)
        self._chain = blob_digest(self._chain + signed.body)
        self._shards += len(heads)
        self._tasks += sum(head.count for head in heads)
        self._last = item_id(signed)
        contents = {
            head.digest: data for head, (_, data) in zip(heads, shards, strict=True)
        }
        shared = {one.digest: one.size for head in heads for one in head.shared}
        item = Item(Kind.SHARDS, signed)
        self._deposits.deposit(self.held, item, contents, shared)

    def seal(self) -> None:
        """Say that nothing more will be appended."""
        if self._writer and not self._sealed:
            self._sealed = True
            with contextlib.suppress(UnavailableError):  # forgotten meanwhile
                self._deposits.change(self.held, {"sealed": self._tasks})

    def withdraw(self, start: int, stop: int) -> None:
        """Stop nothing: others may want these tasks."""

    def leave(self, follower: Follower) -> None:
        """A program has gone, or wants nothing more of the job."""
        self.seal()
        with contextlib.suppress(UnavailableError):
            self.held.job.outcomes.leave(follower)

    async def values(self, digest: bytes) -> bytes:
        """Return values that are a blob, from here or from another keeper.

        Raises:
            UnavailableError: nobody has them any more.
        """
        job = self.held.job
        size = job.blobs.get(digest)
        if size is None:
            raise UnavailableError("these values are no longer here")
        connections = [
            one.connection for one in self.held.fellows.there() if one.connection
        ]
        return await job.means.library.get(job.id, digest, size, *connections)

    async def kept(self, timeout: float) -> KeptBy:
        """Return how many keepers hold it all, when that is enough or time is up."""
        return await self._deposits.kept(self.held, timeout)


class Deposits:
    """Submits, finds and changes durable jobs for this machine's programs.

    Args:
        vault: The jobs.
        means: What they work with.
        owner: Owns the tasks that write big arguments.
        randbytes: Makes nonces and job keys.
        fill: Finds the keepers that a job lacks.
        seek: Finds a job in the grid; the second argument is its job key, or empty.
        may_sign: Tells whether this peer's clock allows it to sign control records.
    """

    def __init__(
        self,
        vault: Vault,
        means: Means,
        owner: Owner,
        *,
        randbytes: Callable[[int], bytes],
        fill: Callable[[Held], None],
        seek: Callable[[JobId, bytes], Awaitable[Held]],
        may_sign: Callable[[], bool],
    ) -> None:
        self.means = means
        self._vault = vault
        self._owner = owner
        self._randbytes = randbytes
        self._fill = fill
        self._seek = seek
        self._may_sign = may_sign
        self._depositing: dict[JobId, int] = {}
        self._writing: set[JobId] = set()  # jobs whose program may append

    def held(self, job: JobId) -> Held:
        """Return a job that is here, kept or only read.

        Raises:
            UnavailableError: it is not.
        """
        held = self._vault.held.get(job)
        if held is None:
            raise UnavailableError(f"job {short(job)} is not here any more")
        return held

    # --- submitting -------------------------------------------------------------------

    def open(self, ask: OpenJob, code: bytes) -> Deposit:
        """Submit a job; its arguments follow.

        Raises:
            UsageError: the function's bytes are not the ones that it names.
            UnavailableError: the disk takes nothing.
        """
        function = ask.function
        if blob_digest(code) != function.digest or len(code) != function.size:
            raise UsageError("the function's bytes do not fit its description")
        if self.means.journal.trouble:
            raise UnavailableError(
                f"no durable job can be submitted: {self.means.journal.trouble}"
            )
        now = self.means.wall()
        key = Identity(self._randbytes(32))
        keep = KEEP if ask.keep_for is None else ask.keep_for
        manifest = Manifest(
            self._randbytes(16),
            ask.name,
            self.means.me.public,
            key.public,
            function,
            ask.policy,
            now,
            now + keep,
        )
        signed = seal_manifest(manifest, self.means.me, self.means.grid)
        held = self._vault.create(signed, manifest, key)
        self._writing.add(held.job.id)
        held.job.control(
            Control(
                held.job.id,
                1,
                priority=ask.priority,
                keepers=(self.means.me.id,),
                wanted=ask.keepers,
            )
        )
        if function.code:
            self._fill(held)
        else:
            self._begin(held)
            self._owner.spawn(self._deposit_code(held, code))
        return Deposit(held, self, writer=True)

    def deposit(
        self,
        held: Held,
        item: Item,
        contents: dict[bytes, bytes],
        shared: dict[bytes, int],
    ) -> None:
        """Take in arguments, those that are big when the disk has them.

        Args:
            held: Their job.
            item: Their description.
            contents: Their bytes, by digest.
            shared: The sizes of the shared values that they refer to, by digest.
        """
        big = {d: data for d, data in contents.items() if len(data) > limits.INLINE}
        keep = self.means.library.keep
        volatile = {d: size for d, size in shared.items() if not keep(held.job.id, d)}
        if not big and not volatile:
            held.job.take(item, contents=contents, trusted=True)
            return
        small = {d: data for d, data in contents.items() if d not in big}
        self._begin(held)
        self._owner.spawn(self._deposit_big(held, item, small, big, volatile))

    async def _deposit_code(self, held: Held, code: bytes) -> None:
        """Write a big function, and look for keepers then."""
        try:
            await self.means.library.put(held.job.id, code, durable=True)
            self._fill(held)
        except SlingerError as error:
            self._give_up(held, error)
        finally:
            self._end(held)

    async def _deposit_big(
        self,
        held: Held,
        item: Item,
        small: dict[bytes, bytes],
        big: dict[bytes, bytes],
        shared: dict[bytes, int],
    ) -> None:
        job = held.job.id
        try:
            for digest, size in shared.items():
                await self.means.library.obtain(job, digest, size)
            for data in big.values():
                await self.means.library.put(job, data, durable=True)
            held.job.take(item, contents=small, trusted=True)
        except SlingerError as error:
            self._give_up(held, error)
        finally:
            self._end(held)

    def _give_up(self, held: Held, error: SlingerError) -> None:
        """Cancel a job of which the disk does not take everything."""
        held.job.tell_end("unavailable", str(error))
        with contextlib.suppress(UnavailableError):
            self.change(held, {"cancelled": True})

    def _begin(self, held: Held) -> None:
        self._depositing[held.job.id] = self._depositing.get(held.job.id, 0) + 1

    def _end(self, held: Held) -> None:
        self._depositing[held.job.id] -= 1
        if not self._depositing[held.job.id]:
            del self._depositing[held.job.id]
        held.changed()

    # --- how safe it is ---------------------------------------------------------------

    async def kept(self, held: Held, timeout: float) -> KeptBy:
        """Return how many keepers hold all of a job, when all do or time is up."""
        changed = asyncio.Event()
        held.on_change.append(changed.set)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self.means.journal.flush()
                    if self.is_kept(held):
                        break
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass
        finally:
            held.on_change.remove(changed.set)
        return self._kept_by(held)

    def is_kept(self, held: Held) -> bool:
        """Return whether a job has all the keepers that it wants."""
        return self._holders(held) > held.wanted

    def seal_abandoned(self, held: Held) -> None:
        """Seal a job whose program was cut off with this peer: nobody appends more."""
        job = held.job
        ours = job.kept.submitter == self.means.me.id and job.id not in self._writing
        lacks_end = job.replica.standing.sealed is None and not job.end
        if ours and job.deciding.ready and job.is_keeper and lacks_end:
            with contextlib.suppress(UnavailableError):  # tried again
                self.change(held, {"sealed": job.kept.board.total})

    def _holders(self, held: Held) -> int:
        """Count the keepers that hold all of a job on disk, this peer included."""
        if held.job.id in self._depositing:
            return 0
        places = held.places.keepers
        holding = [
            one.peer
            for one in held.fellows.there()
            if one.holds_all and one.peer in places
        ]
        return len(holding) + (not held.job.file.refused)

    def _kept_by(self, held: Held) -> KeptBy:
        have, wanted = self._holders(held), held.wanted + 1
        if have >= wanted:
            return KeptBy(have, wanted)
        named = len(held.places.keepers)
        if self.means.journal.trouble:
            why = f"this machine's disk: {self.means.journal.trouble}"
        elif named < wanted:
            others = {1: "no other peer", 2: "only 1 other peer"}
            some = others.get(named, f"only {named - 1} other peers")
            why = (
                f"{some} that can be reached would keep it; it gets more as soon as "
                "there are any, while this peer runs"
            )
        else:
            why = "its keepers are still taking it in"
        return KeptBy(have, wanted, why)

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
        if not held.job.is_keeper:
            held = await self._seek(held.job.id, held.job.key.secret)
        safe: asyncio.Future[SlingerError | None] = self.means.loop.create_future()

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
                return {"keep_until": self.means.wall() + value}
        raise UsageError(f"a job can't be changed by {ask.change!r} with {value!r}")

    # --- finding ----------------------------------------------------------------------

    def find(self, text: str) -> Held | None:
        """Return the job of this peer whose id is, or starts with, `text`.

        Raises:
            UsageError: several start with it, or it is a mistyped id.
        """
        return self._vault.find(text)

    async def seek(self, text: str) -> Held:
        """Find a job in the grid by its whole id.

        Raises:
            UsageError: that is no whole id, and no job here starts with it.
            UnavailableError: nobody who keeps it can be reached.
        """
        if len(text.replace("-", "").strip()) <= FULL:
            raise UsageError(
                f"this machine knows no job {text!r}: `slinger jobs` lists them; a job "
                "of another machine is found by its whole id"
            )
        return await self._seek(JobId(from_text(text)), b"")

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
            return Ticket(held.job.id, self.means.grid)
        if key is None:
            raise UsageError("this machine does not own that job, and has no key of it")
        return Ticket(held.job.id, self.means.grid, key.secret)

    async def use_ticket(self, ticket: Ticket) -> Held:
        """Find a ticket's job; with its key in the ticket, become an owner of it.

        Raises:
            UsageError: the ticket is of another grid, or its key of another job.
            UnavailableError: nobody who keeps the job can be reached.
        """
        if ticket.grid != self.means.grid:
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

    # --- following --------------------------------------------------------------------

    def follow(self, held: Held, follower: Follower) -> Deposit:
        """Send a program every outcome of a job, from the first on."""
        job = held.job
        job.follow(follower)
        if job.end == "cancelled":
            follower.ended("cancelled", "the job was cancelled")
        if not job.is_keeper and not held.reading:
            held.reading = True
            self._owner.spawn(self._read_on(held))
        return Deposit(held, self, writer=False)

    async def _read_on(self, held: Held) -> None:
        """Look for news at the keepers for as long as somebody follows."""
        try:
            while held.job.outcomes.followers:
                await asyncio.sleep(READ)
                held.fellows.compare_all()
        finally:
            held.reading = False
            self._vault.let_go(held)
