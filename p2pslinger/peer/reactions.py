"""What a peer does when something around it changes: who is told, in which order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from p2pslinger.ids import JobId, PeerId
from p2pslinger.peer.computing.keepers import RemoteKeeper
from p2pslinger.peer.computing.offering import Room
from p2pslinger.peer.events import NoticeHeard
from p2pslinger.peer.links import Link
from p2pslinger.wire.records import Notice

if TYPE_CHECKING:
    from p2pslinger.peer.peer import Peer


class Reactions:
    """Passes on what happens.

    Args:
        peer: Whose neighbours and findings these are.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()

    # --- neighbours ---------------------------------------------------------------

    def joined(self, link: Link) -> None:
        """There is a neighbour: it may work for us, and we for it."""
        peer, connection = self._peer, link.connection
        peer.probing.joined()
        peer.presence.joined(link)
        peer.membership.rekeying.joined(link)
        peer.company.joined(link.peer, connection.host)
        peer.keeper.sit(
            link.peer, mine=peer.people.is_mine(link.peer), revoke=connection.push
        )
        peer.workplaces.add(
            RemoteKeeper(connection, peer.identity.public, peer.library)
        )
        for address in link.card.addresses[:1]:
            peer.remembering.neighbour(link.peer, address)
        peer.custody.joined(connection)
        peer.upkeep.joined(link)

    def left(self, link: Link, why: str) -> None:
        """It is gone."""
        peer = self._peer
        peer.presence.left(link)
        seat = peer.keeper.seats.get(link.peer)
        if seat is not None:
            peer.keeper.leave(seat, why)
        peer.workplaces.remove(link.peer)
        peer.custody.left(link.peer)
        peer.upkeep.left(link)

    def heard(self, notice: Notice) -> None:
        """A job is open somewhere, or no longer."""
        peer = self._peer
        peer.offering.heard(notice.needs)
        if notice.needs.sandbox and notice.open:
            peer.probing.wanted()
        if notice.keeper == peer.id:
            self._loop.call_soon(self._heard_of_ourselves, notice)
            return
        peer.events.emit(
            NoticeHeard(JobId(notice.job), PeerId(notice.keeper), notice.open)
        )
        peer.governing.heard()
        peer.workplaces.look_soon()
        peer.upkeep.look()

    def _heard_of_ourselves(self, notice: Notice) -> None:
        if not self._peer.custody.heard(notice):
            self._peer.submitter.disown(notice)

    # --- the owner ----------------------------------------------------------------

    def said(self) -> None:
        """The owner says something else of other members than before."""
        peer = self._peer
        peer.notices.sift()
        peer.custody.sift()
        peer.links.sift()
        peer.volunteer.sift(peer.people.serves)
        for seat in peer.keeper.seats.values():
            seat.mine = peer.people.is_mine(seat.peer)
        peer.keeper.wake()
        peer.workplaces.look_soon()
        peer.upkeep.look()

    def permitted(self) -> None:
        """Others may have something else of this machine than before."""
        peer = self._peer
        peer.permitting.limit()
        self._offer_room()
        peer.keeper.wake()
        peer.workplaces.look_soon()
        peer.upkeep.look()

    # --- slots --------------------------------------------------------------------

    def confined(self) -> None:
        """It is known anew how well slots can be confined."""
        peer = self._peer
        peer.presence.level_found(peer.confining.level)
        self._offer_room()
        peer.keeper.wake()
        peer.workplaces.look_soon()

    def _offer_room(self) -> None:
        """Offer what slots may use of this machine from now on."""
        peer, halting = self._peer, self._peer.volunteer.halting
        own = halting.lent if peer.config.strangers else halting.whole
        others = halting.whole if peer.confining.trusts_all else halting.lent
        peer.offering.give(Room(others, own, peer.confining.confines_well))

    def offer_changed(self) -> None:
        """Slots can be something else than before."""
        peer = self._peer
        peer.volunteer.offer(peer.offering.offer)
        peer.workplaces.look_soon()
        if peer.presence.card.told != peer.offering.pythons:
            peer.presence.listing.announce()
