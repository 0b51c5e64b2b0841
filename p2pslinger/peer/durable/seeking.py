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


class JobForgottenError(UnavailableError):
    """A job's owner had everybody drop it."""

    def __init__(self, job: JobId) -> None:
        super().__init__(
            f"job {short(job)} was forgotten by its owner: nobody keeps it any more"
        )


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
        why = f"nobody who can be reached keeps job {short(job)}"
        forgotten = False
        try:
            async with asyncio.timeout(limits.FIND_JOB):
                while True:
                    for connection in await self._keepers(job):
                        try:
                            return await self._take_up(job, key, connection)
                        except PeerError as error:
                            connection.close(error)
                        except UnavailableError as error:
                            forgotten |= isinstance(error, JobForgottenError)
                            why = why if forgotten else str(error)
                    await asyncio.sleep(AGAIN)
        except TimeoutError:
            if forgotten:
                raise JobForgottenError(job) from None
            raise UnavailableError(
                f"{why}: start a machine that has kept it, or check the id"
            ) from None

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
        if answer.manifest is None:
            raise JobForgottenError(job)
        if job_id(answer.manifest) != job:
            raise PeerError("gave the manifest of another job")
        held = self._vault.held.get(job)
        if held is None:
            held = self._vault.read(answer.manifest, key)
        assert connection.peer is not None
        held.fellows.should_be(
            {connection.peer, *held.fellows.all}, self._vault.connections
        )
        await held.fellows.compare_with(connection)
        return held
