"""Values that this machine's programs share with their tasks, here for their jobs.

They are blobs of the library: a program's own for as long as it wants or is connected,
and each job's that refers to them, until the job ends. So a job that has begun does not
depend on what its program does next.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from p2pslinger.errors import PeerError, SlingerError, UnavailableError, UsageError
from p2pslinger.ids import BlobId, JobId
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.programs.handover import taken
from p2pslinger.wire.control import Done, ShardIn, ShareBlob, Unshare


class SharedValues:
    """What programs have shared.

    Args:
        library: Has the bytes.
        owner: Owns the tasks that read them.
    """

    def __init__(self, library: Library, owner: Owner) -> None:
        self._library = library
        self._owner = owner
        self._numbers = count(1)
        self._pins: dict[Connection, JobId] = {}

    def add_to(self, table: Handlers) -> None:
        """Take the messages that are about shared values."""
        table.on(ShareBlob, self._share)
        table.on(Unshare, self._unshare)

    def _share(
        self, connection: Connection, what: ShareBlob, exchange: Exchange
    ) -> None:
        if exchange.body is None and not what.memory:
            raise PeerError("announced a shared value and sent no bytes")
        if connection not in self._pins:
            self._pins[connection] = JobId(b"%020d" % next(self._numbers))
        pin = self._pins[connection]
        self._owner.spawn(self._take(connection, pin, what, exchange))

    async def _take(
        self,
        connection: Connection,
        pin: JobId,
        what: ShareBlob,
        exchange: Exchange,
    ) -> None:
        """Take a value; answer when it is here, or why it is not."""
        try:
            if exchange.body is not None:
                await self._library.take(pin, exchange.body, what.digest, what.size)
            else:
                data = taken(connection, what.memory, what.size)
                if await self._library.put(pin, data) != what.digest:
                    raise PeerError("shared another value than it has named")
            exchange.reply(Done())
        except SlingerError as error:
            exchange.fail(error)
        if connection not in self._pins:
            self._library.end(pin)  # the program has gone meanwhile

    def _unshare(self, connection: Connection, what: Unshare, _: Exchange) -> None:
        pin = self._pins.get(connection)
        if pin is not None:
            self._library.blobs.unpin(BlobId(what.digest), pin)

    def left(self, connection: Connection) -> None:
        """A program has gone."""
        pin = self._pins.pop(connection, None)
        if pin is not None:
            self._library.end(pin)

    def lend(
        self, connection: Connection, job: JobId, shards: Iterable[ShardIn]
    ) -> None:
        """Keep what a job's arguments refer to, for the job.

        Raises:
            UsageError: this program has not shared it.
        """
        pin = self._pins.get(connection)
        for blob in {
            one.digest: one for shard in shards for one in shard.shared
        }.values():
            try:
                if pin is None or not self._library.has(pin, blob.digest):
                    raise UnavailableError(blob.digest)
                if self._library.blobs.size(BlobId(blob.digest)) != blob.size:
                    raise UnavailableError(blob.digest)
                self._library.blobs.pin(BlobId(blob.digest), job)
            except UnavailableError:
                raise UsageError(
                    "a task refers to a value that this grid does not have: share it "
                    "with `grid.share` of the grid that runs the task, while that is "
                    "open"
                ) from None

    def end(self, job: JobId) -> None:
        """A throw-away job is over."""
        self._library.end(job)
