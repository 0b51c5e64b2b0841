"""What other peers may ask of this one: the handlers of their messages.

Each handler belongs to one service (keeper, volunteer, notices, links); what is here is
the way in: who is asking, is it signed by them, and do the bytes fit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from p2pslinger import limits
from p2pslinger.errors import PeerError, SlingerError
from p2pslinger.ids import GridId, JobId, PeerId, peer_id
from p2pslinger.net.body import Body
from p2pslinger.net.connection import Connection
from p2pslinger.net.exchange import Exchange, Handlers
from p2pslinger.net.gossip import Notices
from p2pslinger.peer.blobs.arriving import arrived
from p2pslinger.peer.blobs.lending import Lending
from p2pslinger.peer.computing.volunteer import Volunteer
from p2pslinger.peer.durable.custody import Custody
from p2pslinger.peer.keeper import Keeper
from p2pslinger.peer.links import Links
from p2pslinger.peer.owner import Owner
from p2pslinger.peer.seats import Seat
from p2pslinger.peer.underway import take_glimpses
from p2pslinger.wire.acquainting import Cards, GetCards
from p2pslinger.wire.glimpse import Glimpses
from p2pslinger.wire.identity import Signed
from p2pslinger.wire.keyring import Holds
from p2pslinger.wire.messages import (
    Compare,
    Deliver,
    Delivered,
    GiveBack,
    Gossip,
    Receipts,
    Renew,
    Revoke,
    Unwant,
    Want,
)
from p2pslinger.wire.needs import Offer
from p2pslinger.wire.records import (
    RangeResult,
    Receipt,
    ResultBatch,
    open_signed,
    range_name,
    read,
)


class Serving:
    """The way in for other peers' messages.

    Args:
        me: This peer.
        grid: Which grid.
        owner: Owns the tasks that read bodies.
        keeper: Hands out work and takes results.
        lending: Gives others the blobs that are here.
        volunteer: Is told when work is no longer wanted.
        notices: Spreads news of jobs.
        links: Knows other peers' cards.
        credited: Called with a receipt that somebody gave us.
        rekeyed: Hears which authkey a neighbour uses.
        custody: Has the durable jobs.
    """

    def __init__(
        self,
        *,
        me: PeerId,
        grid: GridId,
        owner: Owner,
        keeper: Keeper,
        lending: Lending,
        volunteer: Volunteer,
        notices: Notices,
        links: Callable[[], Links],
        credited: Callable[[Signed], object],
        rekeyed: Callable[[Connection, Holds, Exchange], None],
        custody: Custody,
    ) -> None:
        self._me = me
        self._grid = grid
        self._owner = owner
        self._keeper = keeper
        self._lending = lending
        self._volunteer = volunteer
        self._notices = notices
        self._links = links
        self._credited = credited
        self._rekeyed = rekeyed
        self._custody = custody

    def handlers(self) -> Handlers:
        """Return who takes which message."""
        table = Handlers()
        table.on(Want, self._want)
        table.on(Unwant, self._unwant)
        table.on(Offer, self._offered)
        table.on(Deliver, self._deliver)
        table.on(Renew, self._renew)
        table.on(GiveBack, self._give_back)
        table.on(Glimpses, self._glimpsed)
        self._lending.add_to(table)
        self._custody.add_to(table)
        table.on(Revoke, self._revoke)
        table.on(Gossip, self._notices.on_gossip)
        table.on(Compare, self._notices.on_compare)
        table.on(GetCards, self._cards)
        table.on(Receipts, self._receipts)
        table.on(Holds, self._rekeyed)
        return table

    # --- for the keeper -----------------------------------------------------------

    def _want(self, connection: Connection, want: Want, exchange: Exchange) -> None:
        seat = self._keeper.seat(connection.peer)
        if not exchange.number:
            raise PeerError("asked for work without waiting for an answer")
        if want.number in seat.parked:
            raise PeerError(f"asked for work twice under number {want.number}")
        self._keeper.want(seat, want, exchange.reply)
        exchange.on_cancel = lambda: self._keeper.unwant(seat, want.number)

    def _offered(self, connection: Connection, offer: Offer, _: Exchange) -> None:
        self._keeper.offered(self._keeper.seat(connection.peer), offer)

    def _unwant(self, connection: Connection, what: Unwant, _: Exchange) -> None:
        self._keeper.unwant(self._keeper.seat(connection.peer), what.number)

    def _deliver(
        self, connection: Connection, deliver: Deliver, exchange: Exchange
    ) -> None:
        seat = self._keeper.seat(connection.peer)
        if deliver.batch.key != connection.key:
            raise PeerError("delivered results that another peer has signed")
        batch = read(ResultBatch, deliver.batch)
        if any(len(result.values) > limits.INLINE for result in batch.results):
            raise PeerError("delivered values in a message that are too big for one")
        if exchange.body is not None:
            self._owner.spawn(
                self._deliver_big(seat, deliver.batch, exchange.body, exchange)
            )
            return
        if any(result.digest for result in batch.results):
            raise PeerError("delivered results without their values")
        self._take(seat, deliver.batch, batch.results, {}, exchange)

    def _take(
        self,
        seat: Seat,
        signed: Signed,
        results: tuple[RangeResult, ...],
        blobs: dict[bytes, bytes],
        exchange: Exchange,
    ) -> None:
        """Take results in; those of durable jobs are answered once they are safe."""
        durable = self._custody.delivering
        if durable.is_durable(results):
            durable.offer(seat, signed, results, blobs, partial(_answer, exchange))
        else:
            # The connection has proved whose they are, and nobody else sees them.
            exchange.reply(self._keeper.deliver(seat, results, blobs))

    async def _deliver_big(
        self, seat: Seat, signed: Signed, body: Body, exchange: Exchange
    ) -> None:
        """Read the values that follow results, then take them in together."""
        results = read(ResultBatch, signed).results
        try:
            blobs = await self._values(results, body)
            self._take(seat, signed, results, blobs, exchange)
        except PeerError as error:
            exchange.fail(error)
            self._links().refuse(seat.peer, error)
        except SlingerError as error:
            exchange.fail(error)

    async def _values(
        self, results: tuple[RangeResult, ...], body: Body
    ) -> dict[bytes, bytes]:
        """Read the values that follow results, and return them by their digest.

        Raises:
            PeerError: they are others than was signed.
        """
        big = [result for result in results if result.digest]
        by_range = all(result.digest == _by_range(result) for result in big)
        sizes = [result.size for result in big]
        if sum(sizes) > limits.BLOB:
            raise PeerError(f"delivered {sum(sizes)} bytes, more than a blob may have")
        values = await arrived(body, sizes, named=not by_range)
        if by_range:  # for a program; others would have nothing to check it by
            wrong = self._custody.delivering.is_durable(results)
        else:
            wrong = any(
                name != one.digest for one, (_, name) in zip(big, values, strict=True)
            )
        if wrong:
            raise PeerError("delivered other values than it has signed")
        return {one.digest: data for one, (data, _) in zip(big, values, strict=True)}

    def _renew(self, connection: Connection, renew: Renew, _: Exchange) -> None:
        seat = self._keeper.seat(connection.peer)
        void = set(self._keeper.renew(seat, renew))
        for held in renew.holdings if void else ():
            if held.grant in void:
                seat.revoke(Revoke(held.job, (held.grant,)))

    def _glimpsed(self, connection: Connection, what: Glimpses, _: Exchange) -> None:
        seat = self._keeper.seat(connection.peer)
        take_glimpses(self._keeper, seat, what.shown)

    def _give_back(self, connection: Connection, back: GiveBack, _: Exchange) -> None:
        self._keeper.give_back(self._keeper.seat(connection.peer), back)

    # --- for the volunteer --------------------------------------------------------

    def _revoke(self, connection: Connection, revoke: Revoke, _: Exchange) -> None:
        assert connection.peer is not None
        self._volunteer.revoke(connection.peer, revoke)

    def _receipts(self, connection: Connection, message: Receipts, _: Exchange) -> None:
        for signed in message.receipts:
            receipt = open_signed(Receipt, signed, self._grid)
            if receipt.volunteer != self._me:
                raise PeerError("sent a receipt for somebody else")
            if self._may_credit(connection, receipt, signed):
                self._credited(signed)

    def _may_credit(
        self, connection: Connection, receipt: Receipt, signed: Signed
    ) -> bool:
        """Tell whether a receipt is to be believed: its job's submitter or key signed.

        Raises:
            PeerError: somebody else did.
        """
        if signed.key == connection.key and signed.signer == receipt.submitter:
            return True
        manifest = self._volunteer.manifest(JobId(receipt.job))
        if manifest is None:  # the job is over: believe its submitter's peer
            return connection.peer == receipt.submitter
        right = (manifest.job_key, peer_id(manifest.submitter))
        if (signed.key, receipt.submitter) != right:
            raise PeerError("sent a receipt that its submitter has not signed")
        return True

    # --- neighbourhood ------------------------------------------------------------

    def _cards(self, connection: Connection, ask: GetCards, exchange: Exchange) -> None:
        links = self._links().open.values()
        cards = [
            link.signed
            for link in links
            if link.card.addresses and link.peer != connection.peer
        ]
        exchange.reply(Cards(tuple(cards[-ask.most :])))


def _by_range(result: RangeResult) -> bytes:
    return range_name(result.job, result.grant, result.start, result.stop)


def _answer(exchange: Exchange, what: Delivered | SlingerError) -> None:
    if isinstance(what, SlingerError):
        exchange.fail(what)
    else:
        exchange.reply(what)
