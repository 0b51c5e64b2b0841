"""A volunteer's view of a keeper: somebody else's over a connection, or our own.

Both speak the same messages. To our own keeper they are handed over as they are,
without bytes or signatures: nobody needs to prove anything to himself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import GridId, JobId, PeerId
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.seats import Seat
from p2pslinger.wire.identity import Identity
from p2pslinger.wire.messages import (
    Deliver,
    Fetch,
    GiveBack,
    Holding,
    Renew,
    Renewed,
    Unwant,
    Want,
    Work,
)
from p2pslinger.wire.records import RangeResult, ResultBatch, seal

#: Called with the answer to a parked request; None says that it was not served.
GotWork = Callable[[Work | None], None]
#: Called with the grants that are void.
GotVoid = Callable[[Sequence[int]], None]


class KeeperLink(Protocol):
    """What a volunteer asks of a keeper."""

    @property
    def peer(self) -> PeerId:
        """Whose keeper it is."""

    def want(self, want: Want, done: GotWork) -> None:
        """Park a request; `done` is called once."""

    def unwant(self, number: int) -> None:
        """Take a parked request back; it is answered all the same."""

    def deliver(self, results: Sequence[RangeResult], blobs: Sequence[bytes]) -> None:
        """Send results; `blobs` are the values of those that are too big, in order."""

    def renew(self, holdings: Sequence[Holding], void: GotVoid) -> None:
        """Send a heartbeat."""

    def give_back(self, back: GiveBack) -> None:
        """Say which grants will not be computed."""

    def fetch(self, job: JobId, digest: bytes, size: int) -> Awaitable[bytes]:
        """Get a function or a shard that is too big for a message."""


class RemoteKeeper:
    """Another peer's keeper.

    Args:
        connection: To that peer.
        identity: Signs our results.
        grid: Which grid they are for.
    """

    def __init__(
        self, connection: Connection, identity: Identity, grid: GridId
    ) -> None:
        assert connection.peer is not None
        self._connection = connection
        self._identity = identity
        self._grid = grid
        self._peer = connection.peer

    @property
    def peer(self) -> PeerId:
        """Whose keeper it is."""
        return self._peer

    def want(self, want: Want, done: GotWork) -> None:
        """Park a request."""

        def answered(answer: msgspec.Struct | SlingerError, _: Body | None) -> None:
            if isinstance(answer, Work):
                done(answer)
            elif isinstance(answer, SlingerError):
                done(None)
            else:
                raise PeerError(f"answered a want with {type(answer).__name__}")

        self._connection.ask(want, answered)

    def unwant(self, number: int) -> None:
        """Take a parked request back."""
        self._connection.push(Unwant(number))

    def deliver(self, results: Sequence[RangeResult], blobs: Sequence[bytes]) -> None:
        """Sign results and send them; big values follow as a body."""
        batch = seal(ResultBatch(tuple(results)), self._identity, self._grid)
        if blobs:
            self._connection.ask(Deliver(batch), _ignore, iter(blobs))
        else:
            self._connection.push(Deliver(batch))

    def renew(self, holdings: Sequence[Holding], void: GotVoid) -> None:
        """Send a heartbeat."""

        def answered(answer: msgspec.Struct | SlingerError, _: Body | None) -> None:
            if isinstance(answer, Renewed) and answer.void:
                void(answer.void)

        self._connection.ask(Renew(tuple(holdings)), answered)

    def give_back(self, back: GiveBack) -> None:
        """Say which grants will not be computed."""
        self._connection.push(back)

    async def fetch(self, job: JobId, digest: bytes, size: int) -> bytes:
        """Get a blob's bytes.

        Raises:
            UnavailableError: the keeper is gone, or no longer has it, or it is too much
                for this machine now.
            PeerError: it is not what the keeper has announced.
        """
        _, body = await self._connection.fetch(Fetch(job, digest))
        try:
            data = await body.read_all(size)
        except MemoryError as error:
            body.close()
            raise UnavailableError(f"no memory for a blob of {size} bytes") from error
        if len(data) != size:
            raise PeerError("sent a blob of another size than it had announced")
        return data


class OwnKeeper:
    """This machine's own keeper.

    Args:
        keeper: It.
        seat: Our seat there.
        blobs: Finds the bytes of what a keeper holds.
    """

    def __init__(
        self,
        keeper: Keeper,
        seat: Seat,
        blobs: Callable[[JobId, bytes], bytes],
    ) -> None:
        self._keeper = keeper
        self._seat = seat
        self._blobs = blobs

    @property
    def peer(self) -> PeerId:
        """Whose keeper it is: ours."""
        return self._seat.peer

    def want(self, want: Want, done: GotWork) -> None:
        """Park a request."""
        self._keeper.want(self._seat, want, done)

    def unwant(self, number: int) -> None:
        """Take a parked request back."""
        self._keeper.unwant(self._seat, number)

    def deliver(self, results: Sequence[RangeResult], blobs: Sequence[bytes]) -> None:
        """Hand results over."""
        digests = [result.digest for result in results if result.digest]
        self._keeper.deliver(
            self._seat, results, dict(zip(digests, blobs, strict=True))
        )

    def renew(self, holdings: Sequence[Holding], void: GotVoid) -> None:
        """Hand a heartbeat over."""
        answer = self._keeper.renew(self._seat, Renew(tuple(holdings)))
        if answer.void:
            void(answer.void)

    def give_back(self, back: GiveBack) -> None:
        """Say which grants will not be computed."""
        self._keeper.give_back(self._seat, back)

    async def fetch(self, job: JobId, digest: bytes, size: int) -> bytes:
        """Get a blob's bytes from this peer's own store."""
        return self._blobs(job, digest)


def _ignore(_: msgspec.Struct | SlingerError, __: Body | None) -> None:
    """The answer says that the body was read; a lost keeper has lost its job too."""
