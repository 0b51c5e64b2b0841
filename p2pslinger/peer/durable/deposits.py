"""Durable jobs for this machine's programs: submitted, found in the grid, followed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from p2pslinger import limits
from p2pslinger.errors import SlingerError, UnavailableError, UsageError
from p2pslinger.ids import FULL, JobId, from_text, short
from p2pslinger.peer.durable.deposit import Deposit
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.means import Means
from p2pslinger.peer.durable.owning import Owning
from p2pslinger.peer.durable.settled import Follower
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.peer.owner import Owner
from p2pslinger.wire.blobs import blob_digest
from p2pslinger.wire.control import OpenJob
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.keeping import Item
from p2pslinger.wire.manifest import Manifest, seal_manifest
from p2pslinger.wire.owning import KeptBy
from p2pslinger.wire.records import Control

#: Seconds between two looks for news at the keepers, while somebody follows a job that
#: is not kept here.
READ = 1.0


class Deposits:
    """Submits, finds and changes durable jobs for this machine's programs.

    Args:
        vault: The jobs.
        means: What they work with.
        owner: Owns the tasks that write big arguments.
        randbytes: Makes nonces and job keys.
        fill: Finds the keepers that a job lacks.
        seek: Finds a job in the grid; the second argument is its job key, or empty.
        owning: Signs what changes.
        alone: There will never be another peer: nobody waits for one.
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
        owning: Owning,
        alone: bool = False,
    ) -> None:
        self._alone = alone
        self.means = means
        self._vault = vault
        self._owner = owner
        self._randbytes = randbytes
        self._fill = fill
        self._seek = seek
        self.owning = owning
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
        keep = limits.KEEP if ask.keep_for is None else ask.keep_for
        manifest = Manifest(
            self._randbytes(16),
            ask.name,
            self.means.me.public,
            key.public,
            function,
            ask.policy,
            now,
            now + keep,
            ask.needs,
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
                excluded=self.owning.unwanted(),
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
            self.owning.change(held, {"cancelled": True})

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
                    depositing = held.job.id in self._depositing
                    if self.is_kept(held) or (self._alone and not depositing):
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
                self.owning.change(held, {"sealed": job.kept.board.total})

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
        elif self._alone:
            why = (
                "this machine belongs to no grid, so that no other peer can keep it: "
                "`slinger init` founds one"
            )
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
