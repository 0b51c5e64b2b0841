"""Finding a job in the grid by its id: who keeps it, and what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import GridId, JobId, PeerId, short
from p2pslinger.net.connection import Connection
from p2pslinger.peer.durable.held import Held
from p2pslinger.peer.durable.vault import Vault
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keeping import BUCKETS, CompareJob, JobCompared
from p2pslinger.wire.manifest import job_id
from p2pslinger.wire.records import Notice, open_signed

#: Seconds between two rounds of asking, where nobody could be reached.
AGAIN = 1.0

#: Seconds between two looks for a job that this peer owns, and does not keep: at first
#: (longer than one takes), and at most. Neighbours that keep it say so when they come.
PAUSE, LONGEST_PAUSE = 20.0, 120.0


class JobForgottenError(UnavailableError):
    """A job's owner had everybody drop it.

    Attributes:
        proven: The owner's record says so, not just somebody.
    """

    def __init__(self, job: JobId, *, proven: bool = False) -> None:
        super().__init__(
            f"job {short(job)} was forgotten by its owner: nobody keeps it any more"
        )
        self.proven = proven


class Seeking:
    """Finds jobs that this peer does not keep.

    Args:
        vault: Where they are taken up, for reading.
        heard: Gives the keepers that gossip names.
        find: Looks up the records under a key of the directory.
        reach: Connects to a peer by its id.
        neighbours: Gives the open connections: in a small grid, somebody knows.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        grid: GridId,
        heard: Callable[[JobId], Iterable[PeerId]],
        find: Callable[[bytes], Awaitable[list[Signed]]],
        reach: Callable[[PeerId], Awaitable[Connection]],
        neighbours: Callable[[], Iterable[Connection]],
    ) -> None:
        self._vault = vault
        self._grid = grid
        self._heard = heard
        self._find = find
        self._reach = reach
        self._neighbours = neighbours

    async def seek(self, job: JobId, key: bytes = b"") -> Held:
        """Find a job and take it up for reading.

        Args:
            job: Its id.
            key: The secret half of its job key, where this peer is to be an owner.

        Raises:
            UnavailableError: nobody who keeps it can be reached, or it was forgotten.
        """
        said = [UnavailableError(f"nobody who can be reached keeps job {short(job)}")]
        try:
            async with asyncio.timeout(limits.FIND_JOB):
                while True:
                    held = await self._ask_all(job, key, said)
                    if held is not None:
                        return held
                    await asyncio.sleep(AGAIN)
        except TimeoutError:
            if any(isinstance(error, JobForgottenError) for error in said):
                raise JobForgottenError(job) from None
            raise UnavailableError(
                f"{said[-1]}: start a machine that has kept it, or check the id"
            ) from None

    async def look(self, held: Held) -> None:
        """Look once for the keepers of a job that this peer owns.

        They may be gone for good, so each pause until the next time is longer.
        """
        held.pause = min(LONGEST_PAUSE, 2 * held.pause or PAUSE)
        held.look_at = asyncio.get_running_loop().time() + held.pause
        try:
            async with asyncio.timeout(limits.FIND_JOB):
                await self._ask_all(held.job.id, b"", [])
        except (TimeoutError, UnavailableError):
            pass  # it is tried again, unless it is forgotten now

    async def _ask_all(
        self, job: JobId, key: bytes, said: list[UnavailableError]
    ) -> Held | None:
        """Ask everyone who might keep a job, once; add why they don't to `said`.

        Raises:
            JobForgottenError: that is proven now.
        """
        for connection in await self._keepers(job):
            try:
                return await self._take_up(job, key, connection)
            except PeerError as error:
                connection.close(error)
            except UnavailableError as error:
                if isinstance(error, JobForgottenError) and error.proven:
                    raise
                said.append(error)
        return None

    async def _keepers(self, job: JobId) -> list[Connection]:
        """Return connections to who might keep a job, the likeliest first."""
        named = dict.fromkeys(self._heard(job))
        try:
            for signed in await self._find(job):
                named[PeerId(open_signed(Notice, signed, self._grid).keeper)] = None
        except SlingerError:
            pass  # the directory does not answer: whoever is connected may know
        found: dict[Connection, None] = {}
        for peer in named:
            try:
                found[await self._reach(peer)] = None
            except UnavailableError:
                continue
        found |= dict.fromkeys(self._neighbours())
        return list(found)

    async def _take_up(self, job: JobId, key: bytes, connection: Connection) -> Held:
        nothing = (bytes(16),) * BUCKETS
        answer = await connection.request(CompareJob(job, nothing))
        if not isinstance(answer, JobCompared):
            raise PeerError(f"compared jobs by a {type(answer).__name__}")
        held = self._vault.held.get(job)
        if answer.manifest is None:
            await self._check_forgotten(job, held, connection)
            raise JobForgottenError(job)
        if job_id(answer.manifest) != job:
            raise PeerError("gave the manifest of another job")
        if held is None:
            held = self._vault.read(answer.manifest, key)
        assert connection.peer is not None
        held.fellows.should_be(
            {connection.peer, *held.fellows.all}, self._vault.connections
        )
        await held.fellows.compare_with(connection)
        return held

    async def _check_forgotten(
        self, job: JobId, held: Held | None, connection: Connection
    ) -> None:
        """Have the record shown by which a job was forgotten, if we can tell.

        It is signed by the job key, and only the manifest says which one that is.

        Raises:
            JobForgottenError: it is proven; the job here goes.
        """
        if held is None:
            return
        await held.fellows.meet(connection)
        if held.job.replica.standing.forgotten:
            raise JobForgottenError(job, proven=True)
