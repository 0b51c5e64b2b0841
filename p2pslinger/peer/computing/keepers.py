"""A volunteer's view of a keeper: somebody else's over a connection, or our own.

Both speak the same messages. To our own keeper they are handed over as they are,
without bytes or signatures: nobody needs to prove anything to himself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from p2pslinger.errors import PeerError, SlingerError, UnavailableError
from p2pslinger.ids import JobId, PeerId
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.peer.blobs.library import Library
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.seats import Seat
from p2pslinger.peer.underway import take_glimpses
from p2pslinger.wire.glimpse import Glimpse, Glimpses
from p2pslinger.wire.identity import Signed, unsigned
from p2pslinger.wire.keeping import Adopt
from p2pslinger.wire.messages import (
    Deliver,
    Delivered,
    GiveBack,
    Grant,
    Holding,
    Renew,
    Renewed,
    Unwant,
    Want,
    Work,
)
from p2pslinger.wire.needs import Offer
from p2pslinger.wire.records import RangeResult, ResultBatch, encode

#: Called with the answer to a parked request; None says that it was not served.
GotWork = Callable[[Work | None], None]
#: Called with what became of results; an error says that they were not taken.
GotDelivered = Callable[[Delivered | SlingerError], None]
#: Called with the grants that are void of those that were to be adopted.
GotAdopted = Callable[[Sequence[int] | SlingerError], None]


class KeeperLink(Protocol):
    """What a volunteer asks of a keeper."""

    @property
    def peer(self) -> PeerId:
        """Whose keeper it is."""

    def tell(self, offer: Offer) -> None:
        """Say what our slots can be."""

    def want(self, want: Want, done: GotWork) -> None:
        """Park a request; `done` is called once."""

    def unwant(self, number: int) -> None:
        """Take a parked request back; it is answered all the same."""

    def deliver(self, results: Sequence[RangeResult], blobs: Sequence[bytes]) -> None:
        """Send results; `blobs` are the values of those that are too big, in order."""

    def offer(
        self,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: Sequence[bytes],
        told: GotDelivered,
    ) -> None:
        """Send results of one durable job, and hear whether enough keepers have them.

        Args:
            batch: The results as they were signed.
            results: What it holds.
            blobs: The values of those that are too big, in order.
            told: Called once, perhaps at once.
        """

    def adopt(self, adopt: Adopt, told: GotAdopted) -> None:
        """Ask it to take over the grants of a keeper that is gone."""

    def renew(self, holdings: Sequence[Holding]) -> Sequence[int]:
        """Send a heartbeat; return the grants that are known to be void at once."""

    def show(self, glimpses: Sequence[Glimpse]) -> None:
        """Show how its grants go on."""

    def give_back(self, back: GiveBack) -> None:
        """Say which grants will not be computed."""

    def fetch(self, job: JobId, digest: bytes, size: int) -> Awaitable[bytes]:
        """Get a function or a shard that is too big for a message."""


class RemoteKeeper:
    """Another peer's keeper.

    Args:
        connection: To that peer.
        key: Our public key, whose secret the connection has proved.
        library: Gets big blobs.
    """

    def __init__(self, connection: Connection, key: bytes, library: Library) -> None:
        assert connection.peer is not None
        self._connection = connection
        self._key = key
        self._library = library
        self._peer = connection.peer

    @property
    def peer(self) -> PeerId:
        """Whose keeper it is."""
        return self._peer

    def tell(self, offer: Offer) -> None:
        """Say what our slots can be."""
        self._connection.push(offer)

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
        """Send results of throw-away jobs; big values follow as a body.

        They are for this keeper alone, to which the connection proves whose they are.
        """
        batch = unsigned(encode(ResultBatch(tuple(results))), self._key)
        if blobs:
            self._connection.ask(Deliver(batch), _ignore, iter(blobs))
        else:
            self._connection.push(Deliver(batch))

    def offer(
        self,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: Sequence[bytes],
        told: GotDelivered,
    ) -> None:
        """Send results that are signed already, and wait for the answer."""

        def answered(answer: msgspec.Struct | SlingerError, _: Body | None) -> None:
            if isinstance(answer, Delivered | SlingerError):
                told(answer)
            else:
                raise PeerError(f"answered a delivery with {type(answer).__name__}")

        self._connection.ask(Deliver(batch), answered, iter(blobs) if blobs else None)

    def adopt(self, adopt: Adopt, told: GotAdopted) -> None:
        """Ask it to take over grants."""

        def answered(answer: msgspec.Struct | SlingerError, _: Body | None) -> None:
            if isinstance(answer, Renewed):
                told(answer.void)
            elif isinstance(answer, SlingerError):
                told(answer)
            else:
                raise PeerError(f"answered an adoption with {type(answer).__name__}")

        self._connection.ask(adopt, answered)

    def renew(self, holdings: Sequence[Holding]) -> Sequence[int]:
        """Send a heartbeat; what is void is revoked by the other end."""
        self._connection.push(Renew(tuple(holdings)))
        return ()

    def show(self, glimpses: Sequence[Glimpse]) -> None:
        """Show how its grants go on."""
        self._connection.push(Glimpses(tuple(glimpses)))

    def give_back(self, back: GiveBack) -> None:
        """Say which grants will not be computed."""
        self._connection.push(back)

    async def fetch(self, job: JobId, digest: bytes, size: int) -> bytes:
        """Get a blob's bytes, from this keeper or from whom it names.

        Raises:
            UnavailableError: nobody has it, or has the right bytes, or it is too much
                for this machine now; as `DiskError` if there is no room for it.
        """
        return await self._library.get(job, digest, size, self._connection)


class OwnDurable(Protocol):
    """How our own volunteer hands over what belongs to durable jobs that we keep."""

    def is_durable(self, results: Sequence[RangeResult]) -> bool:
        """Tell whether results belong to a job that is kept here."""

    def offer(
        self,
        seat: Seat,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: dict[bytes, bytes],
        told: GotDelivered,
    ) -> None:
        """Take results in; `blobs` has those that are too big, by their digest."""

    def adopt(self, seat: Seat, adopt: Adopt) -> Renewed:
        """Take grants over; return those that are void.

        Raises:
            UnavailableError: the job is not kept here.
        """


class OwnKeeper:
    """This machine's own keeper.

    Args:
        keeper: It.
        seat: Our seat there.
        blobs: Finds the bytes of what a keeper holds.
        durable: Its durable jobs, if it keeps any.
        library: Has what is not in memory.
    """

    def __init__(
        self,
        keeper: Keeper,
        seat: Seat,
        blobs: Callable[[JobId, bytes], bytes],
        durable: OwnDurable | None = None,
        library: Library | None = None,
    ) -> None:
        self._durable = durable
        self._library = library
        self._keeper = keeper
        self._seat = seat
        self._blobs = blobs

    @property
    def peer(self) -> PeerId:
        """Whose keeper it is: ours."""
        return self._seat.peer

    def tell(self, offer: Offer) -> None:
        """Say what our slots can be."""
        self._keeper.offered(self._seat, offer)

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

    def offer(
        self,
        batch: Signed,
        results: Sequence[RangeResult],
        blobs: Sequence[bytes],
        told: GotDelivered,
    ) -> None:
        """Hand results of a durable job over."""
        digests = [result.digest for result in results if result.digest]
        found = dict(zip(digests, blobs, strict=True))
        if self._durable is None:
            told(self._keeper.deliver(self._seat, results, found))
        elif self._durable.is_durable(results):
            self._durable.offer(self._seat, batch, results, found, told)
        else:
            told(UnavailableError("this peer does not keep the job any more"))

    def adopt(self, adopt: Adopt, told: GotAdopted) -> None:
        """Hand grants over."""
        if self._durable is None:
            told(UnavailableError("this peer keeps no durable jobs"))
            return
        try:
            void = self._durable.adopt(self._seat, adopt).void
        except UnavailableError as error:
            told(error)
        else:
            told(void)

    def renew(self, holdings: Sequence[Holding]) -> Sequence[int]:
        """Hand a heartbeat over; return the grants that are void."""
        return self._keeper.renew(self._seat, Renew(tuple(holdings)))

    def show(self, glimpses: Sequence[Glimpse]) -> None:
        """Show how its grants go on."""
        take_glimpses(self._keeper, self._seat, glimpses)

    def give_back(self, back: GiveBack) -> None:
        """Say which grants will not be computed."""
        self._keeper.give_back(self._seat, back)

    async def fetch(self, job: JobId, digest: bytes, size: int) -> bytes:
        """Get a blob's bytes from this peer's own store."""
        if self._library is not None and self._library.lends(job, digest):
            return await self._library.read(digest)
        return self._blobs(job, digest)


def _ignore(_: msgspec.Struct | SlingerError, __: Body | None) -> None:
    """The answer says that the body was read; a lost keeper has lost its job too."""


def refuse(
    keeper: KeeperLink, grants: Iterable[Grant], *, forgot: bool = False
) -> None:
    """Give grants back, each job's together."""
    by_job: dict[bytes, list[int]] = {}
    for grant in grants:
        by_job.setdefault(grant.job, []).append(grant.grant)
    for job, numbers in by_job.items():
        keeper.give_back(GiveBack(job, tuple(numbers), forgot))
