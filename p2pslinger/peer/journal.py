"""What is to be durable is written here, without keeping the event loop waiting.

1. One commit at a time. Whatever is written while it runs goes into the next one, all
   together: the slower the disk, the larger the commits. No timer is needed.
2. Order is kept. `done` is called in the loop, in that order too, once the write is on
   disk: what was not done may be lost by a crash, what was done is not.
3. What fails, fails alone: the writes of a failed commit are tried one by one, so that
   a small one (a receipt) may fit where a large one does not. Urgent ones (a tombstone)
   may use the disk's reserve.
4. A disk that takes nothing is a state, not an event: `trouble` says so until a probe
   succeeds.
5. The space of dropped jobs is freed in between, a little at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from p2pslinger.errors import DiskError
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.world import Disk
from p2pslinger.store.jobs import NotKeptError
from p2pslinger.store.state import State

#: Seconds between two tries of a disk in trouble: people who free some space should
#: see the effect, and a disk that is broken should not be worked hard.
PROBE_EVERY = 10.0

#: Seconds that closing waits for what is still to be written. A disk that takes longer
#: hangs, and everything that waits for an answer knows that it got none.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Write:
    """One write.

    Attributes:
        call: Changes the state.
        done: Who wants to know.
        urgent: May use the disk's reserve.
    """

    call: Callable[[], object]
    done: Callable[[DiskError | None], None] | None
    urgent: bool


@dataclass(slots=True)
class Outcome:
    """What became of some writes.

    Attributes:
        errors: For each of them, why it failed, or None.
        trouble: What is wrong with the disk, or empty.
        unswept: Whether dropped jobs still take space.
    """

    errors: list[DiskError | None] = field(default_factory=list)
    trouble: str = ""
    unswept: bool = False


class Journal:
    """Writes to a peer's state, in order and in few commits.

    Args:
        state: What is written to.
        disk: Where the calls run.
        owner: Owns the tasks.
        loop: The peer's.

    Attributes:
        trouble: Why the disk takes nothing, as a sentence; empty while it does.
    """

    def __init__(
        self, state: State, disk: Disk, owner: Owner, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.trouble = ""
        self._state = state
        self._disk = disk
        self._owner = owner
        self._loop = loop
        self._waiting: list[Write] = []
        self._writing = False
        self._probing = False

    def write(
        self,
        call: Callable[[], object],
        done: Callable[[DiskError | None], None] | None = None,
        *,
        urgent: bool = False,
    ) -> None:
        """Have `call` made and committed, soon and in order.

        Args:
            call: Changes the state; runs in another thread, so it must not touch what
                else the peer holds. It may run twice, its first time undone.
            done: Called in the loop with None once that is durable, or with the reason
                why it is not and will not be. Not called if the peer ends before.
            urgent: It is small, and a full disk must not be in its way.
        """
        self._waiting.append(Write(call, done, urgent))
        if not self._writing:
            self._writing = self._owner.spawn(self._write_all()) is not None

    async def flush(self) -> None:
        """Return when everything that was written so far is durable, or has failed."""
        if not self._waiting and not self._writing:
            return
        flushed = asyncio.Event()
        self.write(_nothing, lambda _: flushed.set())
        await flushed.wait()

    async def close(self) -> None:
        """Wait for what is still to be written, for a bounded time."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.flush()
        except TimeoutError:
            pass  # what is not durable was promised to nobody

    async def _write_all(self) -> None:
        unswept = False
        try:
            while self._waiting or unswept:
                if not self._waiting:
                    unswept = await self._sweep()
                    continue
                writes, self._waiting = self._waiting, []
                outcome = await self._commit(writes)
                unswept = outcome.unswept
                self._note(outcome.trouble)
                for write, error in zip(writes, outcome.errors, strict=True):
                    if write.done is not None:
                        write.done(error)
        finally:
            self._writing = False

    async def _commit(self, writes: Sequence[Write]) -> Outcome:
        try:
            return await self._disk.run(lambda: _commit(self._state, writes))
        except DiskError as error:
            return Outcome([error] * len(writes), str(error))

    async def _sweep(self) -> bool:
        """Free some space; return whether there is more to free."""
        try:
            return await self._disk.run(self._state.jobs.sweep)
        except DiskError as error:
            self._note(str(error))
            return False  # not now; it is tried again after the next commit

    def _note(self, trouble: str) -> None:
        if trouble:
            self.trouble = trouble
            if not self._probing:
                self._probing = self._owner.spawn(self._probe()) is not None

    async def _probe(self) -> None:
        """Try the disk now and then until it takes something."""
        try:
            while self.trouble:
                await asyncio.sleep(PROBE_EVERY)
                try:
                    await self._disk.run(self._state.probe)
                    self.trouble = ""
                except DiskError as error:
                    self.trouble = str(error)
        finally:
            self._probing = False


def _nothing() -> None:
    """Take a place in the order."""


def _commit(state: State, writes: Sequence[Write]) -> Outcome:
    """Commit the writes, all at once if that works."""
    outcome = Outcome()
    try:
        with state.batch():
            for write in writes:
                write.call()
        outcome.errors = [None] * len(writes)
    except DiskError:
        for write in writes:
            outcome.errors.append(_commit_alone(state, write, outcome))
    try:
        outcome.unswept = state.jobs.unswept()
    except DiskError as error:  # no reason to take back what has been committed
        outcome.trouble = str(error)
    return outcome


def _commit_alone(state: State, write: Write, outcome: Outcome) -> DiskError | None:
    try:
        with state.batch():
            write.call()
    except NotKeptError as error:
        return error
    except DiskError as error:
        outcome.trouble = str(error)
        if write.urgent and state.reserve.spend():
            return _commit_alone(state, write, outcome)
        return error
    return None
